// Package otlp sends what is recorded of requests to a receiver of OpenTelemetry, as
// OTLP over HTTP. Nobody waits for it: what cannot be sent is dropped, and counted.
package otlp

import (
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/tandemlb/tandem/proxy/trace"
)

const (
	// every is how long a record waits at most for others to be sent with.
	every = time.Second
	// maxRecords is how many are sent at once, with some three spans each.
	maxRecords = 512
	// tries is how often the same spans are sent, firstWait the time after the first,
	// which doubles.
	tries     = 5
	firstWait = time.Second
	// flushWithin is how long Run goes on at its end.
	flushWithin = 2 * time.Second
)

// path is what a receiver has behind its URL.
const path = "/v1/traces"

// Exporter sends the records of a tracer. Multiple goroutines may use it at the same
// time; one runs it.
type Exporter struct {
	source *trace.Tracer
	log    *zap.Logger
	client *http.Client

	target   atomic.Pointer[target] // nil: nowhere
	changedC chan struct{}          // target has changed

	sent    atomic.Uint64
	dropped atomic.Uint64

	// These are those of Run.

	records []*trace.Record
	text    []byte
	zip     *gzip.Writer
	kept    batch // that was not sent when Run was to end
}

// target is where spans go, and whose they are.
type target struct {
	receiver string // its base URL
	of       Resource
	fault    atomic.Pointer[string] // why the last try failed; nil: it did not
}

// batch is a number of spans, ready to be sent.
type batch struct {
	body  []byte // nil: there are none
	spans int
}

// Lookup returns the addresses of a host.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// New returns an exporter of the records of source, which sends nothing until Configure
// says where to.
func New(source *trace.Tracer, log *zap.Logger, lookup Lookup) *Exporter {
	return &Exporter{source: source, log: log, client: newClient(lookup), changedC: make(chan struct{}, 1)}
}

// Configure sets the base URL of the receiver, and whose spans they are. Without one
// nothing is sent.
func (e *Exporter) Configure(receiver string, of Resource) {
	var to *target
	if receiver != "" {
		to = &target{receiver: receiver, of: of}
	}
	old := e.target.Load()
	if old != nil && to != nil && old.receiver == to.receiver && old.of == to.of {
		return
	}
	e.target.Store(to)
	select {
	case e.changedC <- struct{}{}:
	default:
	}
}

// Stats counts spans since the exporter was made.
type Stats struct {
	Receiver string // its URL, as it was configured; empty: there is none
	Sent     uint64
	Dropped  uint64 // not sent, not taken, or not in time
	Error    string // why the newest try to send failed; empty: it did not
}

// Stats returns the counters.
func (e *Exporter) Stats() Stats {
	s := Stats{Sent: e.sent.Load(), Dropped: e.dropped.Load() + e.source.Dropped()}
	if to := e.target.Load(); to != nil {
		s.Receiver = to.receiver
		if fault := to.fault.Load(); fault != nil {
			s.Error = *fault
		}
	}
	return s
}

// Run sends until ctx ends, and then for a moment what is left: those who record have
// stopped by then. It returns nil.
func (e *Exporter) Run(ctx context.Context) error {
	defer e.client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			e.export(ctx, tries)
		case <-e.source.Wake():
			e.export(ctx, tries)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	e.export(last, 1)
	e.drop(e.kept.spans)
	return nil
}

// export sends all that is recorded by now.
func (e *Exporter) export(ctx context.Context, tries int) {
	for {
		if e.kept.body == nil {
			e.kept = e.next()
		}
		b := e.kept
		if b.body == nil || !e.send(ctx, b, tries) {
			return
		}
		e.kept = batch{}
	}
}

// next takes records, and makes a batch of them. It is empty when there are none.
func (e *Exporter) next() batch {
	for {
		e.records = e.source.Collect(e.records[:0], maxRecords)
		if len(e.records) == 0 {
			return batch{}
		}
		to := e.target.Load()
		b, err := e.pack(to)
		if err == nil && b.body != nil {
			return b
		}
		if err != nil {
			e.fail(to, err)
		}
		e.drop(b.spans)
	}
}

// pack makes a batch of the records for to, and gives them back. It has no body when that
// is nil.
func (e *Exporter) pack(to *target) (b batch, err error) {
	defer func() {
		for _, r := range e.records {
			e.drop(r.Lost)
		}
		e.source.Release(e.records)
		clear(e.records)
	}()
	if b.spans = spansOf(e.records); to == nil {
		return b, nil
	}
	message := encode(e.records, to.of)
	if e.text, err = (proto.MarshalOptions{}).MarshalAppend(e.text[:0], message); err != nil {
		return b, fmt.Errorf("encode spans: %w", err)
	}
	if b.body, err = e.compress(e.text); err != nil {
		return b, fmt.Errorf("compress spans: %w", err)
	}
	return b, nil
}

// send sends b, in so many tries, or drops it. It reports false when ctx ended, and b is
// yet to be sent.
func (e *Exporter) send(ctx context.Context, b batch, tries int) (done bool) {
	wait := firstWait
	for n := 1; ; n++ {
		select {
		case <-e.changedC: // of what is looked at now
		default:
		}
		to := e.target.Load()
		if to == nil {
			e.drop(b.spans)
			return true
		}
		p, err := e.post(ctx, to, b.body)
		if err == nil {
			e.took(to, b.spans, p)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		e.fail(to, err)
		after, again := mayRepeat(err)
		if !again || n == tries {
			e.drop(b.spans)
			return true
		}
		if !e.pause(ctx, max(after, wait/2+rand.N(wait))) {
			return false
		}
		wait *= 2
	}
}

// pause waits for d, or for another receiver. It reports false when ctx has ended.
func (e *Exporter) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.changedC:
	case <-ctx.Done():
		return false
	}
	return true
}

// took counts spans that to was sent, but for those that it has not taken.
func (e *Exporter) took(to *target, spans int, p partly) {
	rejected := int(min(p.rejected, int64(spans)))
	e.sent.Add(uint64(spans - rejected))
	e.drop(rejected)
	if rejected > 0 {
		e.fail(to, fmt.Errorf("the receiver rejects %d of %d spans: %q", rejected, spans, p.why))
	} else if to.fault.Swap(nil) != nil {
		e.log.Info("the receiver of traces takes spans again")
	}
}

func (e *Exporter) drop(spans int) { e.dropped.Add(uint64(spans)) }

// fail remembers why spans could not be sent to a receiver, and says so once.
func (e *Exporter) fail(to *target, err error) {
	text := err.Error()
	if to.fault.Swap(&text) == nil {
		e.log.Warn("traces are not sent", zap.Error(err))
	}
}
