package reactor

import (
	"io"
	"net"
)

// SetIdle says that nobody waits in the connection and nothing is expected from
// its peer, as in a pool of upstream connections. gone is called once, on the
// loop, when that changes, with what Idle returns: bytes came, the peer closed it,
// or its read deadline passed. It must not wait; it takes the connection out of
// the pool and closes it. Closing it does not call gone. nil ends the state.
//
// It costs no system call and, with a function that is made once, no allocation.
func (c *Conn) SetIdle(gone func(c *Conn, reason error)) {
	if c.flags&closed != 0 {
		return
	}
	c.gone = gone
	if gone == nil {
		return
	}
	if c.flags&drained == 0 {
		// The last read filled its buffer: whether more is there is not known.
		c.enqueue()
	}
	c.arm(c.readBy)
}

// Idle returns nil when nothing has arrived and the peer has not closed the
// connection, and otherwise why it cannot be used for another request. It tells
// from what events have told, without a system call, unless the last read has
// left the question open.
func (c *Conn) Idle() error {
	switch {
	case c.flags&closed != 0:
		return net.ErrClosed
	case c.flags&drained != 0 && !c.ended():
		return c.usable(c.readBy)
	}
	some, err := c.pending()
	switch {
	case err != nil:
		return err
	case some:
		return ErrUnexpected
	case c.ended():
		return io.EOF
	}
	return c.usable(c.readBy)
}

// dispatchIdle tells the owner of an idle connection that it is no more.
func (c *Conn) dispatchIdle() {
	reason := c.Idle()
	if reason == nil {
		return // the doubt of SetIdle was unfounded
	}
	gone := c.gone
	c.gone = nil
	c.loop.protect(func() { gone(c, reason) })
}
