package reactor

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

// wakeKey is the key of the descriptor that wakes the loop. Those of listeners
// are below it, those of connections are slots.
const wakeKey = -1

// poller waits for events. The epoll instance is itself a descriptor in the
// poller of Go's runtime, and only ever asked without waiting: the loop sleeps as
// any goroutine does, and blocks neither a thread nor a garbage collection.
type poller struct {
	fd     int
	wakeFD int
	file   *os.File
	raw    syscall.RawConn
	armed  int64 // deadline of file, in ns of the loop's clock; 0: none

	events [turnEvents]unix.EpollEvent
	n      int
	ask    func(uintptr) bool // made once: a closure a turn would allocate
}

func (p *poller) open() error {
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
		p.poll()
		return p.n != 0
	}
	// Edge-triggered, so it need never be read.
	if err := p.add(p.wakeFD, unix.EPOLLIN|unix.EPOLLET, wakeKey, 0); err != nil {
		p.close()
		return err
	}
	return nil
}

func (p *poller) close() {
	p.file.Close()
	unix.Close(p.wakeFD)
}

func (p *poller) add(fd int, events uint32, key int32, generation uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, events, key, generation)
}

func (p *poller) control(op, fd int, events uint32, key int32, generation uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: key, Pad: int32(generation)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("watch descriptor %d with epoll: %w", fd, errno)
	}
	return nil
}

// wake ends the present or the next wait.
func (p *poller) wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakeFD), uintptr(unsafe.Pointer(&one)), 8)
}

// poll takes the events there are.
func (p *poller) poll() {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), turnEvents, 0, 0, 0)
	switch errno {
	case 0:
		p.n = int(n)
	case unix.EINTR:
		p.n = 0
	default: // no state of ours explains it
		panic("reactor: epoll_wait: " + errno.Error())
	}
}

// wait sleeps until there are events or until is reached; 0 means no limit.
// now and until are nanoseconds since base.
func (p *poller) wait(now, until int64, base time.Time) {
	// A deadline that comes too early costs a turn, moving it costs more: it is
	// moved when it must come earlier or has passed.
	if p.armed != 0 && p.armed <= now || until != 0 && (p.armed == 0 || until < p.armed) {
		p.armed = until
		var t time.Time
		if until != 0 {
			t = base.Add(time.Duration(until))
		}
		if err := p.file.SetReadDeadline(t); err != nil {
			panic("reactor: set the deadline of the epoll instance: " + err.Error())
		}
	}
	p.n = 0
	if err := p.raw.Read(p.ask); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		panic("reactor: wait for the epoll instance: " + err.Error())
	}
}
