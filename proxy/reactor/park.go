package reactor

import (
	"io"
	"net"
)

// A connection that was accepted is, from its first byte to its end,
//
//	parked --bytes--> served --keep--> parked --bytes--> served --> ended
//
// and while it is parked it has no coroutine: an event puts it into the run
// queue, and a coroutine is taken when its turn comes.

// enqueue makes the loop look at the connection soon.
func (c *Conn) enqueue() {
	if c.flags&queued == 0 {
		c.flags |= queued
		c.loop.ready.push(runnable{conn: c})
	}
}

// dispatch does what a connection in the run queue is there for.
func (c *Conn) dispatch() {
	c.flags &^= queued
	switch {
	case c.flags&closed != 0:
		if c.flags&parked != 0 {
			c.end(net.ErrClosed)
		}
	case c.gone != nil:
		c.dispatchIdle()
	case c.flags&parked != 0:
		c.unpark()
	}
}

// unpark runs the handler if there is something to read, or ends the connection
// if its peer or its deadline has.
func (c *Conn) unpark() {
	if err := c.usable(c.readBy); err != nil {
		c.end(err)
		return
	}
	if c.flags&atOnce == 0 {
		if c.flags&drained != 0 {
			return
		}
		if c.ended() { // with bytes before the end, it is for the handler to find
			if some, err := c.pending(); !some {
				c.end(err)
				return
			}
		}
	}
	c.flags &^= parked | fresh | atOnce
	co := c.loop.worker()
	co.conn = c
	c.loop.resume(co)
}

// serve runs the handler once, on a coroutine.
func (c *Conn) serve() {
	if !c.listener.options.Serve(c) || c.flags&closed != 0 {
		c.end(nil)
		return
	}
	if c.reader != nil || c.writer != nil {
		panic("reactor: a handler returned while another coroutine uses its connection")
	}
	c.flags |= parked
	switch {
	case c.listener.draining.Load():
		c.drain()
	case c.flags&drained == 0:
		c.enqueue() // behind those that wait already
	default:
		c.arm(c.readBy)
	}
}

// StayFresh says that what was read was not a request yet: a drain leaves the
// connection the time for its first one, as if it had just connected.
func (c *Conn) StayFresh() { c.flags |= fresh }

// drain ends a parked connection, unless a request is on its way: that has
// arrived, or is the first one, for which the peer has just connected.
func (c *Conn) drain() {
	if c.flags&parked == 0 || c.flags&fresh != 0 {
		return
	}
	if some, _ := c.pending(); some {
		c.enqueue()
		return
	}
	c.end(net.ErrClosed)
}

// end closes an accepted connection, if that has not happened, and tells its
// listener why.
func (c *Conn) end(reason error) {
	c.flags &^= parked
	if f := c.listener.options.Closing; f != nil && c.flags&(closed|hungUp) == 0 && reason != io.EOF { //nolint:errorlint // never wrapped
		c.loop.protect(func() { f(c) })
	}
	_ = c.Close() // or it is closed already
	if c.flags&told != 0 {
		return
	}
	c.flags |= told
	if f := c.listener.options.Closed; f != nil {
		c.loop.protect(func() { f(c, reason) })
	}
}
