package reactor

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is what a pipe is asked to hold. An unprivileged user may have 64
	// MiB in all; beyond that a pipe stays at 64 KiB, and works.
	pipeSize = 256 << 10

	// idlePipes are kept by a loop.
	idlePipes = 32
)

// pipe carries bytes between two sockets inside the kernel.
type pipe struct{ r, w int32 }

func (l *Loop) takePipe() (pipe, error) {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return pipe{}, fmt.Errorf("open a pipe: %w", err)
	}
	// Refused above the limit of the user; the size it has will do.
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return pipe{int32(fds[0]), int32(fds[1])}, nil
}

// putPipe keeps an empty pipe for later, and closes one that is not.
func (l *Loop) putPipe(p pipe, held int) {
	if held != 0 || len(l.pipes) >= idlePipes || l.closing {
		p.close()
		return
	}
	l.pipes = append(l.pipes, p)
}

func (p pipe) close() {
	unix.Close(int(p.r))
	unix.Close(int(p.w))
}

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
	p, err := l.takePipe()
	if err != nil {
		return 0, err
	}
	held := 0
	defer func() { l.putPipe(p, held) }()
	for n < 0 || moved < n {
		room := int64(pipeSize)
		if n >= 0 {
			room = min(room, n-moved)
		}
		if held, err = src.spliceTo(co, p, int(room)); err != nil {
			return moved, src.opError("read", err)
		}
		if held == 0 {
			if n >= 0 {
				return moved, io.ErrUnexpectedEOF
			}
			return moved, nil
		}
		for held > 0 {
			written, err := dst.spliceFrom(co, p, held)
			held -= written
			moved += int64(written)
			if err != nil {
				return moved, dst.opError("write", err)
			}
		}
	}
	return moved, nil
}

// spliceTo fills the empty pipe with up to n bytes that c received; 0 is the end.
func (c *Conn) spliceTo(co *coroutine, p pipe, n int) (int, error) {
	for {
		co.turn()
		if err := c.usable(c.readBy); err != nil {
			return 0, err
		}
		if c.flags&drained == 0 {
			moved, errno := splice(c.fd, p.w, n)
			switch errno {
			case 0:
				c.loop.spend(moved)
				return moved, nil
			case syscall.EAGAIN: // the pipe is empty: it is the socket that is, too
				c.flags |= drained
			default:
				return 0, os.NewSyscallError("splice", errno)
			}
		}
		if err := c.waitRead(co); err != nil {
			return 0, err
		}
	}
}

// spliceFrom sends some of the n bytes in the pipe.
func (c *Conn) spliceFrom(co *coroutine, p pipe, n int) (int, error) {
	for {
		if err := c.usable(c.writeBy); err != nil {
			return 0, err
		}
		moved, errno := splice(p.r, c.fd, n)
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
