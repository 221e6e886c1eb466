package reactor

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor/epoll"
	"github.com/tandemlb/tandem/proxy/reactor/inbox"
	"github.com/tandemlb/tandem/proxy/reactor/pipe"
	"github.com/tandemlb/tandem/proxy/reactor/slots"
	"github.com/tandemlb/tandem/proxy/reactor/wheel"
)

// Loop runs coroutines on one goroutine. Its methods are called by code that runs
// on it, except where it says otherwise.
type Loop struct {
	reactor  *Reactor
	id       int
	sources  // where events come from
	schedule // what runs

	clock time.Time // read once a turn
	base  time.Time
	now   int64 // clock, in ns since base; deadlines are counted so
	pipes pipe.Pool

	buffers [][]byte // for Borrow

	closing bool // the reactor ends: nothing new begins
	ended   bool // all has ended, and is released
}

// sources are what a loop waits for.
type sources struct {
	kernel    epoll.Poller
	inbox     inbox.Inbox
	timers    *wheel.Wheel[expirer]
	conns     slots.Slots[Conn]
	watches   slots.Slots[watch]
	listeners listeners
	awaits    sync.WaitGroup
	open      atomic.Int64 // connections, with those on their way from an accept
}

// schedule is what a loop runs.
type schedule struct {
	ready   queue
	posted  []func() // taken from the inbox
	next    int      // of posted
	running *coroutine
	budget  int          // bytes that running may still move in this turn
	idle    []*coroutine // without work, the warmest last
	busy    int          // coroutines with work
}

func newLoop(r *Reactor, id int) (*Loop, error) {
	l := &Loop{reactor: r, id: id, base: time.Now()}
	l.tick()
	l.timers = wheel.New[expirer](tickAt(l.now))
	if err := l.kernel.Open(); err != nil {
		return nil, err
	}
	return l, nil
}

// ID returns the position of the loop in [Reactor.Loops]. Any goroutine may call
// it.
func (l *Loop) ID() int { return l.id }

// Now returns the time at which the present turn of the loop began.
func (l *Loop) Now() time.Time { return l.clock }

const (
	// BufferSize is the size of the buffers of [Loop.Borrow].
	BufferSize = 64 << 10

	// maxBuffers is how many of them a loop keeps for later.
	maxBuffers = 64
)

// Borrow returns a buffer of BufferSize, for GiveBack.
func (l *Loop) Borrow() []byte {
	if n := len(l.buffers); n > 0 {
		b := l.buffers[n-1]
		l.buffers = l.buffers[:n-1]
		return b
	}
	return make([]byte, BufferSize)
}

// GiveBack takes a buffer back, whatever is left of its length.
func (l *Loop) GiveBack(b []byte) {
	if len(l.buffers) < maxBuffers && cap(b) == BufferSize {
		l.buffers = append(l.buffers, b[:BufferSize])
	}
}

// Open returns how many connections the loop holds. Any goroutine may call it.
func (l *Loop) Open() int64 { return l.open.Load() }

// Post runs f on the loop, not on a coroutine: f must not wait, but may call Go.
// Any goroutine may call it. The error is net.ErrClosed when the loop has ended;
// without an error f will run.
func (l *Loop) Post(f func()) error {
	if !l.inbox.Put(f, l.kernel.Wake) {
		return net.ErrClosed
	}
	return nil
}

// run runs the loop until its end. A handler that calls runtime.Goexit ends the
// goroutine that runs it, see iter.Pull; another one goes on where it stopped.
func (l *Loop) run() {
	for !l.ended {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			l.turns()
		}()
		<-gone
	}
}

func (l *Loop) turns() {
	l.running = nil
	for !l.finished() {
		l.turn()
	}
	l.release()
	l.ended = true
}

// turn waits for something to do and does it. The code of connections runs only
// when all events are noted and the descriptors of a batch can no more change
// hands, and each piece is taken from its queue before it runs: should it end the
// goroutine, nothing is lost.
func (l *Loop) turn() {
	l.collect()
	l.tick()
	for _, ev := range l.kernel.Events[:l.kernel.N] {
		l.deliver(ev.Fd, uint32(ev.Pad), ev.Events)
	}
	l.kernel.N = 0
	for t := l.timers.Pop(tickAt(l.now)); t != nil; t = l.timers.Pop(tickAt(l.now)) {
		if again := t.Owner.expire(l.now); again != 0 {
			l.timers.Set(t, tickAfter(again))
		}
	}
	l.takePosted()
	for n := l.ready.n; n > 0; n-- {
		l.runNext()
	}
}

// collect takes events from the kernel, and sleeps until there are some when
// nothing else is to be done.
func (l *Loop) collect() {
	if l.ready.n != 0 || l.next < len(l.posted) {
		l.kernel.Poll()
		return
	}
	l.inbox.Asleep.Store(true)
	if l.inbox.Empty() {
		until := int64(0)
		if tick, ok := l.timers.Next(); ok {
			until = tick << tickShift
		}
		l.kernel.Wait(l.now, until, l.base)
	} else {
		l.kernel.Poll()
	}
	l.inbox.Asleep.Store(false)
}

func (l *Loop) tick() {
	l.clock = time.Now()
	l.now = int64(l.clock.Sub(l.base))
}

// deliver notes an event of the descriptor with key.
func (l *Loop) deliver(key int32, generation, events uint32) {
	switch {
	case key >= 0:
		// nil: a connection of this batch that is closed by now.
		if c := l.conns.Get(key, generation); c != nil {
			c.event(events)
		}
	case key == epoll.WakeKey:
	case key <= watchKey:
		if w := l.watches.Get(watchKey-key, generation); w != nil {
			w.event()
		}
	default:
		if ln := l.listeners.get(key); ln != nil {
			ln.accept()
		}
	}
}

func (l *Loop) takePosted() {
	if l.next == len(l.posted) {
		clear(l.posted)
		l.posted, l.next = l.inbox.Take(l.posted[:0]), 0
	}
	for l.next < len(l.posted) {
		f := l.posted[l.next]
		l.next++
		l.protect(f)
	}
}

func (l *Loop) runNext() {
	r := l.ready.pop()
	switch {
	case r.coroutine != nil:
		l.resume(r.coroutine)
	case r.task != nil:
		co := l.worker()
		co.task = r.task
		l.resume(co)
	case r.watch != nil:
		r.watch.dispatch()
	default:
		r.conn.dispatch()
	}
}

func (l *Loop) resume(co *coroutine) {
	co.queued = false
	l.running, l.budget = co, runBudget
	co.next()
	l.running = nil
}

// protect calls f, which is not to wait.
func (l *Loop) protect(f func()) {
	caller, finished := l.running, false
	l.running = nil
	defer func() {
		l.running = caller
		if !finished {
			l.panicked(recover())
		}
	}()
	f()
	finished = true
}

// shutdown closes all that the loop holds, so that all code on it returns.
func (l *Loop) shutdown() {
	if l.closing {
		return
	}
	l.closing = true
	l.listeners.close()
	for i := range l.conns.Len() {
		if c, _ := l.conns.At(i); c != nil {
			c.terminate()
		}
	}
	l.timers.All(func(t *timer) {
		switch owner := t.Owner.(type) {
		case *coroutine:
			owner.wake()
		case *Waiter:
			owner.waiting.wake()
		}
	})
}

// finished reports whether all has ended. From then on the inbox is closed.
func (l *Loop) finished() bool {
	return l.closing && l.busy == 0 && l.ready.n == 0 && l.next == len(l.posted) && l.inbox.Close()
}

func (l *Loop) release() {
	l.awaits.Wait() // for what they do after their last post
	for _, co := range l.idle {
		co.stop()
	}
	l.idle = nil
	l.pipes.Close()
	l.kernel.Close()
}

func (l *Loop) closedError() error {
	if l.closing {
		return net.ErrClosed
	}
	return nil
}
