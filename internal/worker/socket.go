package worker

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is a bound socket that was handed over. It is no os.File: Go watches the
// descriptor of a file that does not wait, and the process would wake up for each
// connection twice, once to no end.
type socket struct{ fd int }

// takeSocket takes the socket of f over, which it closes.
func takeSocket(f *os.File) (*socket, error) {
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("take over the %s: %w", f.Name(), err)
	}
	s := &socket{fd: -1}
	if ctl := raw.Control(func(p uintptr) { s.fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); ctl != nil {
		err = ctl
	}
	if err != nil {
		return nil, fmt.Errorf("take over the %s: %w", f.Name(), err)
	}
	return s, nil
}

// check refuses a socket that cannot be what it is meant to be: one for datagrams, or
// one that connections of TCP can be accepted from.
func (s *socket) check(udp bool) error {
	get := func(option int) int {
		value, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, option)
		if err != nil {
			return -1 // no socket at all
		}
		return value
	}
	domain := get(unix.SO_DOMAIN)
	switch internet := domain == unix.AF_INET || domain == unix.AF_INET6; {
	case udp && (!internet || get(unix.SO_PROTOCOL) != unix.IPPROTO_UDP):
		return errors.New("open the socket handed over: it is no socket of udp")
	case !udp && (!internet || get(unix.SO_ACCEPTCONN) != 1):
		return errors.New("open the socket handed over: it is no listening socket of tcp")
	}
	return nil
}

func (s *socket) close() {
	unix.Close(s.fd)
	s.fd = -1
}

// SyscallConn implements syscall.Conn.
func (s *socket) SyscallConn() (syscall.RawConn, error) {
	if s.fd < 0 {
		return nil, os.ErrClosed
	}
	return s, nil
}

// Control implements syscall.RawConn.
func (s *socket) Control(f func(fd uintptr)) error {
	f(uintptr(s.fd))
	return nil
}

// Read implements syscall.RawConn. There is nothing to read, or to wait for.
func (s *socket) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

// Write implements syscall.RawConn.
func (s *socket) Write(func(uintptr) bool) error { return errors.ErrUnsupported }
