// Package await has one goroutine wait for a deadline, for descriptors and for other
// goroutines at the same time. It costs one wake-up of one thread, and the deadline
// is kept to the microsecond.
//
// The runtime's own timers and channels do the same with more effort: a timer is
// rounded up to a millisecond, every hand-over to a goroutine wakes a second thread
// that may find nothing to do, and every system call that might block wakes the
// runtime's monitor, which then looks around fifty times. A heartbeat of a hundred
// beats a second feels that.
package await

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waiter waits. Wait is for one goroutine at a time; Add, Remove and Wake are for
// any. None of them may be called after Close.
type Waiter struct {
	epoll        *os.File // holds all others; itself waited for by the runtime
	raw          syscall.RawConn
	timer, event int // timerfd and eventfd

	set   time.Time   // what the timer is set to; zero: nothing
	woken atomic.Bool // the event is to be read, or has been written to be
	ready [8]unix.EpollEvent
}

// New returns a Waiter that waits for nothing yet.
func New() (*Waiter, error) {
	w, err := open()
	if err != nil {
		return nil, fmt.Errorf("open what the heartbeat waits with: %w", err)
	}
	return w, nil
}

func open() (w *Waiter, err error) {
	w = &Waiter{timer: -1, event: -1}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // or os.NewFile would not wait for it
		return nil, errors.Join(err, unix.Close(epoll))
	}
	w.epoll = os.NewFile(uintptr(epoll), "epoll")
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.raw, err = w.epoll.SyscallConn(); err != nil {
		return nil, err
	}
	if w.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	if w.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return w, errors.Join(w.add(w.timer, unix.EPOLLIN|unix.EPOLLET), w.add(w.event, unix.EPOLLIN))
}

// Add has Wait return whenever there is something to be read from c, or an error.
func (w *Waiter) Add(c syscall.Conn) error {
	return control(c, func(fd int) error { return w.add(fd, unix.EPOLLIN) })
}

// Remove ends what Add began. Closing c does too.
func (w *Waiter) Remove(c syscall.Conn) error {
	return control(c, func(fd int) error {
		return w.control(unix.EPOLL_CTL_DEL, fd, 0)
	})
}

func (w *Waiter) add(fd int, events uint32) error { return w.control(unix.EPOLL_CTL_ADD, fd, events) }

func (w *Waiter) control(op, fd int, events uint32) error {
	var err error
	cerr := w.raw.Control(func(epoll uintptr) {
		err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(int(epoll), op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
	})
	return errors.Join(cerr, err)
}

func control(c syscall.Conn, do func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	return errors.Join(cerr, err)
}

// Wake has Wait return, the present one or the next. It never blocks.
func (w *Waiter) Wake() {
	if w.woken.Swap(true) {
		return
	}
	one := [8]byte{1}
	// It cannot fail: the counter is far from full.
	unix.RawSyscall(unix.SYS_WRITE, uintptr(w.event), uintptr(unsafe.Pointer(&one)), uintptr(len(one)))
}

// Wait returns when the deadline has come, when something added can be read, or
// after a Wake. It may also return for no reason. After Close it returns an error.
func (w *Waiter) Wait(deadline time.Time) error {
	if d := time.Until(deadline); d <= 0 {
		return nil
	} else if !deadline.Equal(w.set) {
		w.setTimer(d)
		w.set = deadline
	}
	err := w.raw.Read(func(epoll uintptr) bool { return w.poll(epoll) })
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	return nil
}

// poll reports whether anything is ready, and takes note of what the Waiter itself
// has made ready.
func (w *Waiter) poll(epoll uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&w.ready)), uintptr(len(w.ready)), 0, 0, 0)
	if errno != 0 {
		return errno != unix.EINTR
	}
	for _, e := range w.ready[:n] {
		switch int(e.Fd) {
		case w.timer:
			w.set = time.Time{} // not read: it is told once, until it is set again
		case w.event:
			w.drain()
			w.woken.Store(false) // last: who found it true until now is served by this return
		}
	}
	return n > 0
}

// drain takes the counter out of the event.
func (w *Waiter) drain() {
	var counter [8]byte
	unix.RawSyscall(unix.SYS_READ, uintptr(w.event), uintptr(unsafe.Pointer(&counter)), uintptr(len(counter)))
}

func (w *Waiter) setTimer(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	// It cannot fail: the descriptor and the time are valid.
	unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(w.timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

// Close releases what the Waiter has, and ends a Wait.
func (w *Waiter) Close() error {
	err := w.epoll.Close()
	for _, fd := range []int{w.timer, w.event} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}
