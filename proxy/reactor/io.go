package reactor

import (
	"io"
	"os"
	"syscall"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// Read waits until there is something to read and takes it.
func (c *Conn) Read(b []byte) (int, error) {
	co := c.loop.current("Read")
	co.turn()
	for {
		n, err := c.TryRead(b)
		if err != ErrWouldBlock { //nolint:errorlint // never wrapped, and met with each wait
			return n, err
		}
		if err := c.waitRead(co); err != nil {
			return 0, err
		}
	}
}

// TryRead is Read, except that it returns ErrWouldBlock instead of waiting. It
// may be called by any code on the loop. Of an empty b it is known without a
// system call: nil means that there may be something to read.
func (c *Conn) TryRead(b []byte) (int, error) {
	if err := c.usable(c.readBy); err != nil {
		return 0, err
	}
	if c.flags&drained != 0 {
		return 0, ErrWouldBlock
	}
	if len(b) == 0 {
		return 0, nil
	}
	n, errno := socket.Recv(c.fd, b, 0)
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
	if !c.reads.begin(c.loop.now) {
		return os.ErrDeadlineExceeded
	}
	c.arm(earlier(c.readBy, c.reads.until))
	c.reader = co
	co.park()
	c.reader = nil
	left := c.reads.end(c.loop.now)
	if err := c.usable(c.readBy); err != nil {
		return err
	}
	switch {
	case c.flags&drained == 0:
	case c.tookHangup():
		return ErrHangup
	case !left:
		return os.ErrDeadlineExceeded
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
	if !c.writes.begin(c.loop.now) {
		return os.ErrDeadlineExceeded
	}
	c.arm(earlier(c.writeBy, c.writes.until))
	c.writer = co
	co.park()
	c.writer = nil
	// When it has run out with this wait, the next one ends at once: there may be
	// room by now.
	c.writes.end(c.loop.now)
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
	n, errno := socket.Send(c.fd, b)
	c.loop.spend(n)
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, ErrWouldBlock
	}
	return n, c.sysError("write", "sendto", errno)
}

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
		n, errno := socket.SendBuffers(c.fd, bufs, skip)
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
