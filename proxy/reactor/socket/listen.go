package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Share returns a descriptor of its own for the listening socket of l, whose
// connections are to be accepted without waiting. The mode belongs to the socket:
// from then on no descriptor of it waits, whoever has it.
func Share(l syscall.Conn) (int, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if ctlErr := raw.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	}); ctlErr != nil {
		return -1, ctlErr
	}
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	// Accepted sockets inherit it, which saves a system call for each. A unix
	// socket has no such option.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return fd, nil
}

// TurnAway sends refusal to the peer of fd, as far as it goes, and closes fd. Without
// a refusal it resets the connection.
func TurnAway(fd int, refusal []byte) {
	defer unix.Close(fd)
	if len(refusal) == 0 {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		return
	}
	// As far as it goes: nothing waits for this one. What the client has sent is
	// taken, because closing with unread bytes resets the connection, and the
	// client might lose the refusal with it.
	_, _ = Send(int32(fd), refusal)
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	var b [4096]byte
	for range 16 {
		if n, errno := Recv(int32(fd), b[:], 0); n == 0 || errno != 0 {
			return
		}
	}
}

// OpenSpare returns a descriptor for nothing, which can be given up when there are no
// more; or -1.
func OpenSpare() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}
