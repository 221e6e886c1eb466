package reactor

import (
	"net"
	"os"
	"sync/atomic"
	"time"
)

// farOff is how far away the timer of a wait without a deadline is. It has one all the
// same: that is how the end of the loop finds who waits.
const farOff = int64(8 * time.Minute)

// Waiter lets one coroutine wait for something that is no connection, such as its
// place in a queue. It may be used again and again.
type Waiter struct {
	loop   *Loop
	notify func() // made once, for Post

	// woken says that there was a Wake for which no Wait has returned.
	woken atomic.Bool

	// The others belong to the loop.

	waiting *coroutine
	until   int64
	timer   timer
	watched *Conn
	hungUp  bool
}

// NewWaiter returns a waiter for coroutines of the loop. Any goroutine may call it.
func (l *Loop) NewWaiter() *Waiter {
	w := &Waiter{loop: l}
	w.timer.Owner = w
	w.notify = func() { w.waiting.wake() }
	return w
}

// Wake ends the present wait, or the next one. Any goroutine may call it, at any
// time; as long as no wait has ended for it, further ones add nothing.
func (w *Waiter) Wake() {
	if !w.woken.Swap(true) {
		_ = w.loop.Post(w.notify) // else the loop has ended, and nobody waits
	}
}

// Reset forgets a Wake that came too late, before the waiter is used for something
// else. It must be certain that no other one is on its way.
func (w *Waiter) Reset() { w.woken.Store(false) }

// Wait waits for Wake, on a coroutine of the loop. It returns nil when there was one,
// also before; os.ErrDeadlineExceeded when deadline has passed, up to a tick (8.4 ms)
// late, where the zero time means never; ErrHangup when watch, unless it is nil, is
// closed or its peer has closed it or its sending side, also before; net.ErrClosed
// when the loop ends. A watch takes the place of [Conn.WatchHangup] for watch, and
// ends with Wait.
func (w *Waiter) Wait(deadline time.Time, watch *Conn) error {
	co := w.loop.current("Wait")
	if w.waiting != nil {
		panic("reactor: two coroutines wait with one Waiter")
	}
	w.waiting, w.until = co, w.loop.deadline(deadline)
	w.look(watch)
	defer w.end()
	for {
		switch {
		case w.woken.Swap(false):
			return nil
		case w.loop.closing:
			return net.ErrClosed
		case w.hungUp:
			return ErrHangup
		case w.until != 0 && w.until <= w.loop.now:
			return os.ErrDeadlineExceeded
		}
		if w.timer.At() == 0 {
			w.loop.timers.Set(&w.timer, tickAfter(w.due(w.loop.now)))
		}
		co.park()
	}
}

func (w *Waiter) end() {
	w.waiting = nil
	w.loop.timers.Remove(&w.timer)
	w.unwatch()
}

// due returns when the timer is to expire.
func (w *Waiter) due(now int64) int64 {
	if w.until == 0 {
		return now + farOff
	}
	return w.until
}

func (w *Waiter) expire(now int64) int64 {
	if w.until == 0 {
		return w.due(now)
	}
	w.waiting.wake()
	return 0
}

// look watches c for a hangup.
func (w *Waiter) look(c *Conn) {
	w.hungUp = false
	switch {
	case c == nil:
	case c.loop != w.loop:
		panic("reactor: a Waiter watches a connection of another loop")
	case c.flags&closed != 0 || c.ended():
		w.hungUp = true
	default:
		if c.watcher != nil {
			c.watcher.unwatch()
		}
		c.watcher, w.watched = w, c
	}
}

// hangUp implements watcher.
func (w *Waiter) hangUp() {
	w.hungUp = true
	w.unwatch()
	w.waiting.wake()
}

// unwatch implements watcher.
func (w *Waiter) unwatch() {
	if w.watched != nil {
		w.watched.watcher = nil
		w.watched = nil
	}
}
