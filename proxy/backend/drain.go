package backend

import (
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// busyConns are the connections of one loop that carry a request or a tunnel, in a
// ring: one that ends takes itself out.
type busyConns struct{ next, prev *Conn }

// join puts c among those that are in use.
func (c *Conn) join() {
	set := &c.Link.busy[c.Loop().ID()]
	c.busy = busyConns{next: set.next}
	if set.next != nil {
		set.next.busy.prev = c
	}
	set.next = c
	c.inUse = true
}

// leave takes c out.
func (c *Conn) leave() {
	if !c.inUse {
		return
	}
	c.inUse = false
	set := &c.Link.busy[c.Loop().ID()]
	if c.busy.prev != nil {
		c.busy.prev.busy.next = c.busy.next
	} else {
		set.next = c.busy.next
	}
	if c.busy.next != nil {
		c.busy.next.busy.prev = c.busy.prev
	}
	c.busy = busyConns{}
}

// Close closes the connection, which is in use no more.
func (c *Conn) Close() error {
	c.leave()
	return c.Stream.Close()
}

// Abort resets the connection, which is in use no more.
func (c *Conn) Abort() error {
	c.leave()
	return c.Stream.Abort()
}

// Drained reports whether the connection was reset because the time of those to its
// server was up.
func (c *Conn) Drained() bool { return c.drained }

// Retire is called when next, which may be nil, has taken the place of b. It closes the
// idle connections to servers that next does not have, or speaks to in another way.
// What is in use goes on, for at most the pool's Drain if its server is gone, or to be
// drained. One goroutine calls it.
func (b *Backend) Retire(next *Backend) {
	for s, l := range b.links {
		if next == nil || next.links[s] != l {
			l.retire(b.loops)
		}
		if next.Link(s) == nil {
			l.drain(b.loops, b.drain)
		}
	}
	if next == nil {
		return
	}
	if next != b {
		b.next.Store(next)
		loop := b.loops[0]
		_ = loop.Post(func() { next.Pool.Look(loop.Now()) }) // who waits finds the way now; else the loop has ended
	}
	for s, l := range next.links {
		if s.State() == proxy.Ready {
			l.resume()
		} else {
			l.drain(next.loops, next.drain)
		}
	}
}

// drain gives what is in use within to end, unless it has been given that before; 0 is
// for ever.
func (t *traffic) drain(loops []*reactor.Loop, within time.Duration) {
	if t.draining {
		return
	}
	t.draining = true
	if within == 0 {
		return
	}
	order := t.order.Add(1)
	for _, loop := range loops {
		_ = loop.Post(func() { // else the loop has ended, and its connections
			loop.Go(func() { t.end(loop, within, order) })
		})
	}
}

// resume takes the order back.
func (t *traffic) resume() {
	if t.draining {
		t.draining = false
		t.order.Add(1)
	}
}

// end resets what is in use, when half of the time has passed, one after the other over
// the other half: clients that connect anew should not all come at once.
func (t *traffic) end(loop *reactor.Loop, within time.Duration, order uint64) {
	until := loop.Now().Add(within)
	wait := within / 2
	for {
		if loop.Sleep(wait) != nil || t.order.Load() != order {
			return
		}
		set := &t.busy[loop.ID()]
		c := set.next
		if c == nil && !loop.Now().Before(until) {
			return
		}
		if c != nil {
			c.drained = true
			_ = c.Abort() // open, or whoever uses it is about to take it out
		}
		left := time.Duration(1)
		for c := set.next; c != nil; c = c.busy.next {
			left++
		}
		wait = max(until.Sub(loop.Now()), 0) / left
	}
}
