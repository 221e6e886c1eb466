// Package gate is where those come in over TCP who ask about a node: at which address, and
// how many at once.
package gate

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen binds an address: of IPv4, 0.0.0.0 too, it is IPv4 alone that is listened on; of
// [::] it is both.
func Listen(ctx context.Context, at netip.AddrPort) (*net.TCPListener, error) {
	return listen(ctx, at, nil)
}

// Beside is Listen where old, which may be nil, listens at an address that overlaps, as
// 0.0.0.0 does with every one of the same port. Both listen until old is closed.
func Beside(ctx context.Context, at netip.AddrPort, old *net.TCPListener) (*net.TCPListener, error) {
	l, err := Listen(ctx, at)
	if old == nil || !errors.Is(err, unix.EADDRINUSE) || old.Addr().(*net.TCPAddr).Port != int(at.Port()) {
		return l, err
	}
	// The kernel lets sockets of one user overlap that share their port, and asks those that
	// are bound for it as well. It is for this moment alone: another process that is started
	// with the same config by mistake is to hear that the address is taken.
	if share(old, 1) != nil {
		return nil, err
	}
	defer func() { _ = share(old, 0) }()
	l, shared := listen(ctx, at, func(_, _ string, c syscall.RawConn) error { return setShared(c, 1) })
	if shared != nil {
		return nil, err
	}
	if err := share(l, 0); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func listen(ctx context.Context, at netip.AddrPort, control func(string, string, syscall.RawConn) error) (*net.TCPListener, error) {
	network := "tcp"
	if at.Addr().Unmap().Is4() {
		network = "tcp4" // else 0.0.0.0 is every address of IPv6, too
	}
	l, err := (&net.ListenConfig{Control: control}).Listen(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// share says whether other sockets of this user may be bound to the address of l.
func share(l *net.TCPListener, value int) error {
	c, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return setShared(c, value)
}

func setShared(c syscall.RawConn, value int) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value) })
	return errors.Join(err, failed)
}
