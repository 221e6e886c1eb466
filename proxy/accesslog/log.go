// Package accesslog writes a line of JSON for each request, without ever making a
// request wait for it.
//
// Each loop encodes into a Buffer of its own, with neither lock nor allocation. One
// goroutine, Log.Run, collects the buffers and writes. What it cannot write soon
// enough, because the disk is full or the reader of a pipe hangs, is dropped and
// counted.
package accesslog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// flushEvery is how long a line waits at most for others to be written with.
	flushEvery = 100 * time.Millisecond
	// At its end Run waits for a writer that takes something in every flushTimeout,
	// and flushTimeouts of them at most.
	flushTimeout  = time.Second
	flushTimeouts = 5
)

// Log is an access log. Multiple goroutines may use it at the same time.
type Log struct {
	out   io.Writer
	wakeC chan struct{} // a batch is full
	share atomic.Uint32 // of the requests that are logged, in millionths; 0: none at all

	mu      sync.Mutex
	buffers []*Buffer

	dropped atomic.Uint64
	writes  atomic.Uint64 // that the writer has returned from
	torn    bool          // the last line written is not complete; of the writing goroutine
}

// New returns a log that writes to out, nothing until Configure says what.
func New(out io.Writer) *Log {
	return &Log{out: out, wakeC: make(chan struct{}, 1)}
}

// all is the share of every request, in millionths.
const all = 1_000_000

// Configure sets whether requests are logged, and which share of them in (0, 1].
// Requests that failed are logged whatever the share.
func (l *Log) Configure(access bool, sample float64) {
	share := uint32(0)
	if access {
		share = uint32(min(max(math.Round(sample*all), 1), all))
	}
	l.share.Store(share)
}

// Dropped returns how many lines were lost since the log was made, because they
// could not be written, or not soon enough.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// NewBuffer returns a buffer for the goroutine that will own it.
func (l *Log) NewBuffer() *Buffer {
	b := &Buffer{log: l, fullC: make(chan *batch, maxBatches), freeC: make(chan *batch, maxBatches)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffers = append(l.buffers, b)
	return b
}

// Run writes until ctx ends, and then what the buffers hold: their owners have
// stopped by then. It returns an error when the writer takes too long; a goroutine
// that hangs in it is left behind, as nothing can end it.
func (l *Log) Run(ctx context.Context) error {
	doneC := make(chan struct{})
	go func() {
		defer close(doneC)
		l.write(ctx)
	}()
	<-ctx.Done()
	tick := time.NewTicker(flushTimeout)
	defer tick.Stop()
	for range flushTimeouts {
		before := l.writes.Load()
		select {
		case <-doneC:
			return nil
		case <-tick.C:
		}
		if l.writes.Load() == before {
			return fmt.Errorf("flush the access log: its reader took nothing for %s", flushTimeout)
		}
	}
	return fmt.Errorf("flush the access log: its reader did not take all of it within %s", flushTimeouts*flushTimeout)
}

func (l *Log) write(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var batches []*batch
	for {
		select {
		case <-ctx.Done():
			l.flush(batches, true)
			return
		case <-tick.C:
			batches = l.flush(batches, true)
		case <-l.wakeC:
			batches = l.flush(batches, false)
		}
	}
}

// flush writes what the buffers hold: all of it, or the batches that are full. It
// works in the memory of batches, and returns it.
func (l *Log) flush(batches []*batch, whole bool) []*batch {
	l.mu.Lock()
	buffers := l.buffers
	l.mu.Unlock()
	for _, b := range buffers {
		batches = b.collect(batches[:0], whole)
		for _, batch := range batches {
			l.writeBatch(batch)
			b.recycle(batch)
		}
	}
	clear(batches)
	return batches[:0]
}

// writeBatch writes the lines of b, and counts those that cannot be written.
func (l *Log) writeBatch(b *batch) {
	if l.torn {
		if _, err := l.out.Write([]byte{'\n'}); err != nil {
			l.dropped.Add(uint64(b.lines))
			return
		}
		l.torn = false
	}
	n, err := l.out.Write(b.text)
	l.writes.Add(1)
	if err == nil && n == len(b.text) {
		return
	}
	written := b.text[:max(0, min(n, len(b.text)))]
	whole := bytes.Count(written, []byte{'\n'})
	l.torn = len(written) > 0 && written[len(written)-1] != '\n'
	l.dropped.Add(uint64(b.lines - whole))
}
