package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tandemlb/tandem/proxy"
)

// probes is how many requests a breaker lets through when it is half open, and how many
// of them must succeed to close it.
const probes = 3

// BreakerState is what a breaker lets through.
type BreakerState uint8

// The states.
const (
	Closed   BreakerState = iota // everything
	HalfOpen                     // a few requests, to see how they go
	Open                         // nothing
)

// String returns the state as the status shows it.
func (s BreakerState) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	default:
		panic(fmt.Sprintf("upstream: unhandled breaker state %d", uint8(s)))
	}
}

// breaker is the state machine that stops sending to what fails.
//
//	        error rate of at least Minimum requests
//	Closed ------------------------------------------> Open <---------+
//	   ^                                                | Open is over | a failure
//	   +----------------- HalfOpen <-------------------+              |
//	     `probes` successes   |                                       |
//	                          +---------------------------------------+
//
// Times are nanoseconds since an epoch that its owner has.
type breaker struct {
	spec proxy.Breaker // ErrorRate 0: it is always closed
	// openUntil is 0 while it is closed. Past that time it is half open.
	openUntil atomic.Int64
	window    window

	mu      sync.Mutex
	tickets atomic.Int32 // probes that may still go
	refill  int64        // when lost ones are replaced: who holds them may never report
	good    int          // probes that succeeded
	opened  uint64       // how often it has opened
}

func (b *breaker) on() bool { return b.spec.ErrorRate > 0 }

// state returns the state at now.
func (b *breaker) state(now int64) BreakerState {
	switch until := b.openUntil.Load(); {
	case until == 0:
		return Closed
	case now < until:
		return Open
	default:
		return HalfOpen
	}
}

// allows reports whether a request may go.
func (b *breaker) allows(now int64) bool {
	switch b.state(now) {
	case Closed:
		return true
	case Open:
		return false
	}
	if b.tickets.Load() > 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now >= b.refill && b.state(now) == HalfOpen {
		b.refill = now + int64(b.spec.Open)
		b.tickets.Store(probes)
	}
	return b.tickets.Load() > 0
}

// take takes a request through, and reports false when others have been quicker.
func (b *breaker) take(now int64) bool {
	if b.state(now) == Closed {
		return true
	}
	for {
		n := b.tickets.Load()
		if n <= 0 || b.state(now) == Open {
			return false
		}
		if b.tickets.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// giveBack takes a take at began back of which nothing came.
func (b *breaker) giveBack(now, began int64) {
	if b.on() && b.state(now) == HalfOpen && b.probed(began) {
		b.refund()
	}
}

// probed reports, when it is half open, whether a request that began then is a probe.
// Others have been on their way since before it opened.
func (b *breaker) probed(began int64) bool { return began >= b.openUntil.Load() }

// refund gives a ticket back. One that has been replaced meanwhile is one too many.
func (b *breaker) refund() {
	for {
		n := b.tickets.Load()
		if n >= probes || b.tickets.CompareAndSwap(n, n+1) {
			return
		}
	}
}

// report takes in how a request went that began then, and reports whether that changed
// the state.
func (b *breaker) report(now, began int64, failed bool) (changed bool) {
	if !b.on() {
		return false
	}
	state := b.state(now)
	if state == Open {
		return false // requests that began before
	}
	if state == Closed {
		b.window.count(now, int64(b.spec.Window), failed)
		if !failed {
			return false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state(now) { // others may have been quicker
	case Closed:
		all, wrong := b.window.sum(now, int64(b.spec.Window))
		if all < b.spec.Minimum || float64(wrong) < b.spec.ErrorRate*float64(all) {
			return false
		}
		b.open(now)
		return true
	case HalfOpen:
		if !b.probed(began) {
			return false
		}
		if failed {
			b.open(now)
			return true
		}
		if b.good++; b.good < probes {
			b.refund()
			return false
		}
		b.window.reset()
		b.openUntil.Store(0)
		return true
	}
	return false
}

// open opens it; the caller holds mu.
func (b *breaker) open(now int64) {
	b.opened++
	b.good = 0
	b.tickets.Store(probes)
	b.refill = now + 2*int64(b.spec.Open)
	b.openUntil.Store(now + int64(b.spec.Open))
}

// BreakerStatus is a snapshot of a breaker.
type BreakerStatus struct {
	State  BreakerState
	All    int    // requests in the window
	Failed int    // of them
	Opened uint64 // how often it has opened
}

func (b *breaker) status(now int64) BreakerStatus {
	if !b.on() {
		return BreakerStatus{}
	}
	all, wrong := b.window.sum(now, int64(b.spec.Window))
	b.mu.Lock()
	defer b.mu.Unlock()
	return BreakerStatus{State: b.state(now), All: all, Failed: wrong, Opened: b.opened}
}
