package trace

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxWaiting bounds how many records of a buffer wait to be collected, and so their
	// memory: with most of them it is 2 KiB or less.
	maxWaiting = 2048
	// wakeAt is how many of them do not wait for the collector to come by itself.
	wakeAt = 256
)

// maxAsked is how many requests a second of one buffer are recorded because a stranger says
// that their traces are. More would be for him to keep the receiver busy with.
const maxAsked = 100

// off is the bound of a tracer that takes no part.
const off = math.MaxUint64

// Tracer chooses the requests that are recorded, and holds the records until they are
// collected. Multiple goroutines may use it at the same time.
type Tracer struct {
	bound   atomic.Uint64 // of the requests that begin a trace; off
	dropped atomic.Uint64 // spans
	wakeC   chan struct{}

	mu      sync.Mutex
	buffers []*Buffer
	first   int // of buffers, modulo their number: where the next collection begins
}

// New returns a tracer that takes no part until Configure says so.
func New() *Tracer {
	t := &Tracer{wakeC: make(chan struct{}, 1)}
	t.bound.Store(off)
	return t
}

// Configure sets whether requests are traced at all, and which share of those that
// belong to no trace yet is recorded, in 0..1.
func (t *Tracer) Configure(on bool, share float64) {
	if !on {
		t.bound.Store(off)
		return
	}
	t.bound.Store(bound(share))
}

// bound returns how many of the 2^63 numbers that a trace's ID ends with are chosen. It
// is a property of the ID: all services that record the same share of traces choose the
// same ones.
func bound(share float64) uint64 {
	switch {
	case share >= 1:
		return 1 << 63
	case share > 0:
		return uint64(share * (1 << 63))
	}
	return 0
}

// chosen reports whether a trace whose ID ends with low is recorded.
func chosen(low, bound uint64) bool { return low>>1 < bound }

// Dropped returns how many spans were lost since the tracer was made, because they
// were not collected soon enough.
func (t *Tracer) Dropped() uint64 { return t.dropped.Load() }

// Wake returns where a collector is told that there is something to collect.
func (t *Tracer) Wake() <-chan struct{} { return t.wakeC }

// NewBuffer returns a buffer for the goroutine that will own it. It draws IDs from
// random, which is nobody else's.
func (t *Tracer) NewBuffer(random *rand.PCG) *Buffer {
	b := &Buffer{
		tracer: t, random: random, doneC: make(chan *Record, maxWaiting), freeC: make(chan *Record, maxWaiting),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buffers = append(t.buffers, b)
	return b
}

// Collect appends up to most records to records, those of one buffer in the order in
// which they ended. They are for Release.
func (t *Tracer) Collect(records []*Record, most int) []*Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.buffers {
		b := t.buffers[(t.first+i)%len(t.buffers)]
		for len(records) < most {
			r := b.take()
			if r == nil {
				break
			}
			records = append(records, r)
		}
	}
	t.first++ // each is the first in its turn, so that none is starved
	return records
}

// Release gives records back, whose memory is used again.
func (t *Tracer) Release(records []*Record) {
	for _, r := range records {
		r.from.free(r)
	}
}

// Buffer takes the records of one goroutine, which owns it.
type Buffer struct {
	tracer *Tracer
	random *rand.PCG
	doneC  chan *Record // to be collected
	freeC  chan *Record // to be used again

	asked   int       // by strangers, since askedAt
	askedAt time.Time // less than a second ago, or nothing is asked
}

// On reports whether requests are traced at all.
func (b *Buffer) On() bool { return b.tracer.bound.Load() != off }

// Begin returns a record for a request that began at start, if it is to be recorded:
// when the trace that it belongs to is, or it belongs to none and begins one that is
// chosen. Else it returns nil.
func (b *Buffer) Begin(parent Context, start time.Time) *Record {
	c := Context{Flags: Sampled | Random}
	if parent.Valid() {
		if parent.Flags&Sampled == 0 {
			return nil
		}
		c = parent
	} else {
		low := b.random.Uint64()
		if at := b.tracer.bound.Load(); at == off || !chosen(low, at) {
			return nil
		}
		binary.BigEndian.PutUint64(c.Trace[8:], low)
		for c.Trace == (ID{}) || binary.BigEndian.Uint64(c.Trace[:8]) == 0 {
			binary.BigEndian.PutUint64(c.Trace[:8], b.random.Uint64())
		}
	}
	c.Span = b.spanID()
	r := b.fresh()
	r.Context, r.Parent, r.Start = c, parent.Span, start
	return r
}

// BeginForStranger is Begin, except that of the traces that a stranger says are recorded,
// so many a second are.
func (b *Buffer) BeginForStranger(parent Context, start time.Time) *Record {
	if parent.Valid() && parent.Flags&Sampled != 0 && !b.heeds(start) {
		return nil
	}
	return b.Begin(parent, start)
}

// heeds counts a request that began at start and is to be recorded because a stranger says
// so, and reports whether it is.
func (b *Buffer) heeds(start time.Time) bool {
	if d := start.Sub(b.askedAt); d < 0 || d >= time.Second {
		b.asked, b.askedAt = 0, start
	}
	b.asked++
	return b.asked <= maxAsked
}

// fresh returns an empty record.
func (b *Buffer) fresh() *Record {
	select {
	case r := <-b.freeC:
		q := r.Request
		*r = Record{from: b, Spans: r.Spans[:0], Request: Request{Method: q.Method[:0], Host: q.Host[:0], Path: q.Path[:0]}}
		return r
	default:
		return &Record{from: b}
	}
}

// spanID draws an ID, which is never zero.
func (b *Buffer) spanID() (id SpanID) {
	for id == (SpanID{}) {
		binary.BigEndian.PutUint64(id[:], b.random.Uint64())
	}
	return id
}

// End hands r over to be collected, or drops it when too many wait. It never blocks.
func (b *Buffer) End(r *Record) {
	select {
	case b.doneC <- r:
	default:
		b.tracer.dropped.Add(uint64(1 + len(r.Spans) + r.Lost))
		b.free(r)
		return
	}
	if len(b.doneC) >= wakeAt {
		select {
		case b.tracer.wakeC <- struct{}{}:
		default: // it has been woken already
		}
	}
}

// take returns the record that has waited longest, or nil.
func (b *Buffer) take() *Record {
	select {
	case r := <-b.doneC:
		return r
	default:
		return nil
	}
}

// free keeps r for the owner, unless enough are kept.
func (b *Buffer) free(r *Record) {
	select {
	case b.freeC <- r:
	default:
	}
}
