package reactor

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options configure a Reactor. The zero value works.
type Options struct {
	// Loops is how many loops run; 0 means one for each processor that Go uses.
	Loops int

	// Panicked is called with each panic of a handler, task or callback: only
	// what panicked ends. It runs on the loop. nil: panics are only counted.
	Panicked func(v any, stack []byte)
}

// Reactor is a number of loops that serve the same listeners.
type Reactor struct {
	options Options
	loops   []*Loop
	panics  atomic.Uint64
	placed  atomic.Uint32 // listeners, over the loops in turn
}

// New returns a reactor. Only Run releases what it holds.
func New(o Options) (*Reactor, error) {
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	r := &Reactor{options: o}
	for i := range o.Loops {
		l, err := newLoop(r, i)
		if err != nil {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = r.Run(ctx) // releases those that were started; it has no errors
			return nil, fmt.Errorf("start event loop %d of %d: %w", i+1, o.Loops, err)
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Run runs the loops until ctx ends. Then all connections are closed, those that
// wait in one get net.ErrClosed, and Run returns nil when all code that ran on
// the loops has returned. It is called once.
func (r *Reactor) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, r.Close)
	defer stop()
	for _, l := range r.loops {
		wg.Go(l.run)
	}
	wg.Wait()
	return nil
}

// Close begins the end of Run, as the end of its context does, and returns at once.
// Before Run, it makes Run end as soon as it has released everything.
func (r *Reactor) Close() {
	for _, l := range r.loops {
		_ = l.Post(l.shutdown) // else it has ended already
	}
}

// Loops returns the loops.
func (r *Reactor) Loops() []*Loop { return r.loops }

// Panics returns how many panics were recovered.
func (r *Reactor) Panics() uint64 { return r.panics.Load() }

// least returns the loop with the fewest connections. near is taken as long as it
// has few more: what stays there needs no hand-over between two cores.
func (r *Reactor) least(near *Loop) *Loop {
	least, fewest := near, near.open.Load()
	for _, l := range r.loops {
		if n := l.open.Load(); n < fewest {
			least, fewest = l, n
		}
	}
	if near.open.Load() <= fewest+fewest/16+1 {
		return near
	}
	return least
}

var _ net.Conn = (*Conn)(nil)
