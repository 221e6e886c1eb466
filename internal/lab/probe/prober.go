package probe

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

const (
	flushEvery  = 50 * time.Millisecond // between two batches
	maxInFlight = 3000                  // the pace times the longest request, and room for a stall
)

// A Prober sends a request to Target every Every. Each is a new connection.
type Prober struct {
	Target netip.AddrPort
	Every  time.Duration
	// DialWithin is how long a connection may take; zero: 50 ms. Below a second, the
	// kernel asks once: that a connection came about means that it did at once.
	DialWithin time.Duration
}

// Run probes until ctx is canceled, and writes to out: first a line with the
// time at which it began, then batches. It returns when no request is in flight
// any more, which takes a second at most.
func (p Prober) Run(ctx context.Context, out io.Writer) error {
	dialWithin := cmp.Or(p.DialWithin, defaultDialWithin)
	r := newRun(time.Now())
	// An operator's signal that stops the probing leaves the requests in
	// flight alone: to fail them would be a lie about the service.
	requests := context.WithoutCancel(ctx)
	if _, err := out.Write(AppendHeader(nil, r.began)); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	flushed := r.began
	for next := r.began; ctx.Err() == nil; next = next.Add(p.Every) {
		pause(time.Until(next))
		now := time.Now()
		if r.admit(now.Sub(r.began)) {
			start, id := now, r.sent
			wg.Go(func() { r.done <- result{id, request(requests, p.Target, start, dialWithin)} })
		}
		if now.Sub(flushed) >= flushEvery {
			flushed = now
			if err := r.flush(out, now); err != nil {
				return err
			}
		}
	}
	wg.Wait()
	return r.flush(out, time.Now())
}

// run is the state of Prober.Run, owned by its goroutine.
type run struct {
	began time.Time
	open  map[int]time.Duration // start of each request in flight
	sent  int                   // the id of the last request
	done  chan result           // never blocks: it has room for all in flight
	batch Batch
	line  []byte
}

type result struct {
	id      int
	outcome outcome
}

func newRun(began time.Time) *run {
	return &run{
		began: began,
		open:  make(map[int]time.Duration, maxInFlight),
		done:  make(chan result, maxInFlight),
	}
}

// admit registers a request that starts now, unless too many are in flight.
func (r *run) admit(start time.Duration) bool {
	if len(r.open) >= maxInFlight {
		r.batch.Samples = append(r.batch.Samples, Sample{Start: start, Failure: Overload})
		return false
	}
	r.sent++
	r.open[r.sent] = start
	return true
}

// flush writes what has become known since the last batch.
func (r *run) flush(out io.Writer, now time.Time) error {
	r.collect()
	r.batch.Settled = now.Sub(r.began)
	for _, start := range r.open {
		r.batch.Settled = min(r.batch.Settled, start)
	}
	r.line = AppendBatch(r.line[:0], r.batch)
	r.batch.Samples = r.batch.Samples[:0]
	if _, err := out.Write(r.line); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}

func (r *run) collect() {
	for {
		select {
		case d := <-r.done:
			r.batch.Samples = append(r.batch.Samples, Sample{
				Start: r.open[d.id], Server: d.outcome.server, Failure: d.outcome.failure,
			})
			delete(r.open, d.id)
		default:
			return
		}
	}
}
