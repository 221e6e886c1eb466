// Package pipe keeps the pipes through which the kernel moves bytes between sockets.
package pipe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// Size is what a pipe is asked to hold. An unprivileged user may have 64 MiB in
	// all; beyond that a pipe stays at 64 KiB, and works.
	Size = 256 << 10

	// kept is how many empty pipes a pool has at most.
	kept = 32
)

// Pipe carries bytes between two sockets inside the kernel: what W takes comes out of
// R. Neither waits.
type Pipe struct{ R, W int32 }

func (p Pipe) close() {
	unix.Close(int(p.R))
	unix.Close(int(p.W))
}

// Pool keeps empty pipes, which cost three system calls to make. The zero value is
// ready to use, by one goroutine at a time.
type Pool struct {
	idle   []Pipe
	closed bool
}

// Take returns an empty pipe; Put must follow.
func (p *Pool) Take() (Pipe, error) {
	if n := len(p.idle); n > 0 {
		last := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return last, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return Pipe{}, fmt.Errorf("open a pipe: %w", err)
	}
	// Refused above the limit of the user; the size it has will do.
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, Size)
	return Pipe{int32(fds[0]), int32(fds[1])}, nil
}

// Put keeps a pipe for later, unless held bytes are left in it, which would come out
// of another connection: then it is closed.
func (p *Pool) Put(one Pipe, held int) {
	if held != 0 || len(p.idle) >= kept || p.closed {
		one.close()
		return
	}
	p.idle = append(p.idle, one)
}

// Len returns how many empty pipes are kept.
func (p *Pool) Len() int { return len(p.idle) }

// Close closes the pipes that are kept, and those that are put from then on.
func (p *Pool) Close() {
	for _, one := range p.idle {
		one.close()
	}
	p.idle, p.closed = nil, true
}
