package reactor

import (
	"errors"
	"io"
	"syscall"
)

// Read waits until there is something to read and takes it.
func (c *Conn) Read(b []byte) (int, error) {
	co := c.loop.current("Read")
	co.turn()
	for {
		n, err := c.TryRead(b)
		if err == nil || !errors.Is(err, ErrWouldBlock) {
			return n, err
		}
		if err := c.waitRead(co); err != nil {
			return 0, err
		}
	}
}

// TryRead is Read, except that it returns ErrWouldBlock instead of waiting. It
// may be called by any code on the loop.
func (c *Conn) TryRead(b []byte) (int, error) {
	if err := c.usable(c.readBy); err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	if c.flags&drained != 0 {
		return 0, ErrWouldBlock
	}
	n, errno := recv(c.fd, b, 0)
	c.loop.spend(n)
	switch {
	case errno == 0 && n > 0:
		if n < len(b) && c.flags&(peerClosed|hungUp|urgent) == 0 {
			// A short read has emptied the socket: whatever comes later raises
			// an event. That the peer has closed it already did so, and is
			// still to be read.
			c.flags |= drained
		}
		return n, nil
	case errno == 0:
		return 0, io.EOF
	case errno == syscall.EAGAIN:
		c.flags |= drained
		return 0, ErrWouldBlock
	}
	return 0, c.sysError("read", "recvfrom", errno)
}

// waitRead waits for an event that makes the connection readable. It may return
// without one.
func (c *Conn) waitRead(co *coroutine) error {
	if c.reader != nil {
		panic("reactor: two coroutines read from one connection")
	}
	if c.tookHangup() {
		return ErrHangup
	}
	c.arm(c.readBy)
	c.reader = co
	co.park()
	c.reader = nil
	if err := c.usable(c.readBy); err != nil {
		return err
	}
	if c.flags&drained != 0 && c.tookHangup() {
		return ErrHangup
	}
	return nil
}

// waitWrite is waitRead for room to write.
func (c *Conn) waitWrite(co *coroutine) error {
	if c.writer != nil {
		panic("reactor: two coroutines write to one connection")
	}
	if c.tookHangup() {
		return ErrHangup
	}
	c.arm(c.writeBy)
	c.writer = co
	co.park()
	c.writer = nil
	if c.tookHangup() {
		return ErrHangup
	}
	return c.usable(c.writeBy)
}

// Write writes all of b, or fails. It waits while the peer does not take it.
func (c *Conn) Write(b []byte) (int, error) {
	co := c.loop.current("Write")
	bufs := [1][]byte{b}
	n, err := c.write(co, bufs[:])
	return int(n), err
}

// WriteBuffers writes all of bufs in order, as Write does: a head and a body in
// one system call and one packet. It keeps and changes none of them.
func (c *Conn) WriteBuffers(bufs ...[]byte) (int64, error) {
	co := c.loop.current("WriteBuffers")
	return c.write(co, bufs)
}

// TryWrite writes what the socket takes without waiting, and returns ErrWouldBlock
// when that is nothing. It may be called by any code on the loop.
func (c *Conn) TryWrite(b []byte) (int, error) {
	if err := c.usable(c.writeBy); err != nil {
		return 0, err
	}
	n, errno := send(c.fd, b)
	c.loop.spend(n)
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, ErrWouldBlock
	}
	return n, c.sysError("write", "sendto", errno)
}

// maxBuffers is how many buffers go into one system call.
const maxBuffers = 8

func (c *Conn) write(co *coroutine, bufs [][]byte) (written int64, err error) {
	skip := 0 // of the first buffer
	for {
		co.turn()
		for len(bufs) > 0 && skip >= len(bufs[0]) {
			skip -= len(bufs[0])
			bufs = bufs[1:]
		}
		if err := c.usable(c.writeBy); err != nil {
			return written, err
		}
		if len(bufs) == 0 {
			return written, nil
		}
		n, errno := sendBuffers(c.fd, bufs, skip)
		written += int64(n)
		skip += n
		c.loop.spend(n)
		switch errno {
		case 0:
		case syscall.EAGAIN:
			if err := c.waitWrite(co); err != nil {
				return written, err
			}
		default:
			return written, c.sysError("write", "sendto", errno)
		}
	}
}
