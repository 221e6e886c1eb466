package reactor

import (
	"io"
	"os"
	"syscall"

	"github.com/tandemlb/tandem/proxy/reactor/pipe"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// Splice moves n bytes from src to dst, or with a negative n all until the end of
// src, without copying them through the process. Both are connections of the
// loop. moved is what dst took. The error is a *net.OpError, whose Op is "read"
// when src failed and "write" when dst did; it is io.ErrUnexpectedEOF when src
// ended before n bytes.
//
// Deadlines and watches of both connections apply as in Read and Write, so the
// caller that wants an idle timeout moves a part at a time.
func (l *Loop) Splice(dst, src *Conn, n int64) (moved int64, err error) {
	co := l.current("Splice")
	if dst.loop != l || src.loop != l {
		panic("reactor: Splice of a connection of another loop")
	}
	for n < 0 || moved < n {
		room := int64(pipe.Size)
		if n >= 0 {
			room = min(room, n-moved)
		}
		k, end, err := l.splicePart(co, dst, src, int(room))
		moved += int64(k)
		switch {
		case err != nil:
			return moved, err
		case end && n >= 0:
			return moved, io.ErrUnexpectedEOF
		case end:
			return moved, nil
		}
	}
	return moved, nil
}

// splicePart moves what src has, up to n bytes. It takes a pipe only once there is
// something to move: a tunnel that is silent holds no descriptors but its own.
func (l *Loop) splicePart(co *coroutine, dst, src *Conn, n int) (moved int, end bool, _ error) {
	if err := src.awaitData(co); err != nil {
		return 0, false, src.opError("read", err)
	}
	p, err := l.pipes.Take()
	if err != nil {
		return 0, false, err
	}
	held := 0
	defer func() { l.pipes.Put(p, held) }()
	if held, err = src.spliceTo(p, n); err != nil {
		if err == ErrWouldBlock {
			return 0, false, nil
		}
		return 0, false, src.opError("read", err)
	}
	end = held == 0
	for held > 0 {
		written, err := dst.spliceFrom(co, p, held)
		held -= written
		moved += written
		if err != nil {
			return moved, false, dst.opError("write", err)
		}
	}
	return moved, end, nil
}

// WaitReadable waits until there may be something to read, without a buffer to read
// it into. Read may wait all the same.
func (c *Conn) WaitReadable() error {
	return c.awaitData(c.loop.current("WaitReadable"))
}

// awaitData waits until there may be something to read.
func (c *Conn) awaitData(co *coroutine) error {
	co.turn()
	for {
		if err := c.usable(c.readBy); err != nil {
			return err
		}
		if c.flags&drained == 0 {
			return nil
		}
		if err := c.waitRead(co); err != nil {
			return err
		}
	}
}

// spliceTo fills the empty pipe with up to n bytes that c received; 0 is the end.
func (c *Conn) spliceTo(p pipe.Pipe, n int) (int, error) {
	moved, errno := socket.Splice(c.fd, p.W, n)
	switch errno {
	case 0:
		c.loop.spend(moved)
		return moved, nil
	case syscall.EAGAIN: // the pipe is empty: it is the socket that is, too
		c.flags |= drained
		return 0, ErrWouldBlock
	}
	return 0, os.NewSyscallError("splice", errno)
}

// spliceFrom sends some of the n bytes in the pipe.
func (c *Conn) spliceFrom(co *coroutine, p pipe.Pipe, n int) (int, error) {
	for {
		if err := c.usable(c.writeBy); err != nil {
			return 0, err
		}
		moved, errno := socket.Splice(p.R, c.fd, n)
		switch errno {
		case 0:
			return moved, nil
		case syscall.EAGAIN:
			if err := c.waitWrite(co); err != nil {
				return 0, err
			}
		default:
			return 0, os.NewSyscallError("splice", errno)
		}
	}
}
