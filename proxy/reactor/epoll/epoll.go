// Package epoll waits for the events of descriptors, as a goroutine of Go does: it
// blocks no thread.
package epoll

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// turnEvents bounds what a turn takes from the kernel: timers and functions from
// elsewhere must have their turn too. Few events a turn also keep the number of
// exchanges small that are under way at once, and what they use in the cache: 64 cost
// a busy proxy less than 256.
const turnEvents = 64

// WakeKey is the key of the descriptor that ends a wait; see [Poller.Wake]. All
// others are the caller's to give.
const WakeKey = -1

// Poller waits for events. The epoll instance is itself a descriptor in the
// poller of Go's runtime, and only ever asked without waiting: the loop sleeps as
// any goroutine does, and blocks neither a thread nor a garbage collection.
//
// It belongs to one goroutine at a time. Add, Control and Wake may be called by others.
type Poller struct {
	// Events are those that the last Poll or Wait has taken: the key is in Fd, the
	// generation in Pad. The first N are valid.
	Events [turnEvents]unix.EpollEvent
	N      int

	fd     int
	wakeFD int
	file   *os.File
	raw    syscall.RawConn
	armed  int64              // deadline of file, in ns of the caller's clock; 0: none
	ask    func(uintptr) bool // made once: a closure a turn would allocate
}

// Open opens the epoll instance; Close must follow, unless it fails.
func (p *Poller) Open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create an epoll instance: %w", err)
	}
	// The flag means nothing to epoll: it tells NewFile to use the poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fmt.Errorf("make the epoll instance non-blocking: %w", err)
	}
	p.fd, p.file = fd, os.NewFile(uintptr(fd), "epoll")
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return fmt.Errorf("use the epoll instance: %w", err)
	}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		p.file.Close()
		return fmt.Errorf("create an eventfd: %w", err)
	}
	p.ask = func(uintptr) bool {
		p.Poll()
		return p.N != 0
	}
	// Edge-triggered, so it need never be read.
	if err := p.Add(p.wakeFD, unix.EPOLLIN|unix.EPOLLET, WakeKey, 0); err != nil {
		p.Close()
		return err
	}
	return nil
}

// Close releases it.
func (p *Poller) Close() {
	p.file.Close()
	unix.Close(p.wakeFD)
}

// Add watches fd. Its events carry key and generation.
func (p *Poller) Add(fd int, events uint32, key int32, generation uint32) error {
	return p.Control(unix.EPOLL_CTL_ADD, fd, events, key, generation)
}

// Control changes what fd is watched for: op is that of epoll_ctl(2).
func (p *Poller) Control(op, fd int, events uint32, key int32, generation uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: key, Pad: int32(generation)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("watch descriptor %d with epoll: %w", fd, errno)
	}
	return nil
}

// Wake ends the present or the next wait.
func (p *Poller) Wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakeFD), uintptr(unsafe.Pointer(&one)), 8)
}

// Poll takes the events there are.
func (p *Poller) Poll() {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.Events)), turnEvents, 0, 0, 0)
	switch errno {
	case 0:
		p.N = int(n)
	case unix.EINTR:
		p.N = 0
	default: // no state of ours explains it
		panic("epoll: epoll_wait: " + errno.Error())
	}
}

// Wait sleeps until there are events or until is reached; 0 means no limit.
// now and until are nanoseconds since base.
func (p *Poller) Wait(now, until int64, base time.Time) {
	// A deadline that comes too early costs a turn, moving it costs more: it is
	// moved when it must come earlier or has passed.
	if p.armed != 0 && p.armed <= now || until != 0 && (p.armed == 0 || until < p.armed) {
		p.armed = until
		var t time.Time
		if until != 0 {
			t = base.Add(time.Duration(until))
		}
		if err := p.file.SetReadDeadline(t); err != nil {
			panic("epoll: set the deadline of the epoll instance: " + err.Error())
		}
	}
	p.N = 0
	if err := p.raw.Read(p.ask); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		panic("epoll: wait for the epoll instance: " + err.Error())
	}
}
