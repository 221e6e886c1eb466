package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
)

// bindAll opens a listening socket for each bound address of spec that have
// does not contain. It returns all that spec needs, and the new ones alone. On
// an error nothing stays open that was not open before.
func bindAll(ctx context.Context, spec proxy.Spec, have map[netip.AddrPort]*os.File) (all, opened map[netip.AddrPort]*os.File, err error) {
	all, opened = map[netip.AddrPort]*os.File{}, map[netip.AddrPort]*os.File{}
	var errs []error
	for _, l := range spec.Listeners {
		for _, bind := range l.Bind {
			if f := have[bind]; f != nil {
				all[bind] = f
				continue
			}
			f, err := bindOne(ctx, bind, have)
			if err != nil {
				errs = append(errs, fmt.Errorf("listener %q: %w", l.Name, err))
				continue
			}
			all[bind], opened[bind] = f, f
		}
	}
	if len(errs) > 0 {
		closeFiles(opened)
		return nil, nil, errors.Join(errs...)
	}
	return all, opened, nil
}

func bindOne(ctx context.Context, bind netip.AddrPort, have map[netip.AddrPort]*os.File) (*os.File, error) {
	address := bindText(bind)
	lc := net.ListenConfig{Control: freebind}
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		if call, ok := errors.AsType[*os.SyscallError](err); ok {
			err = call.Err // the address is named below
		}
		return nil, fmt.Errorf("listen on %s: %w%s", address, err, bindHint(err, bind, have))
	}
	defer l.Close()
	f, err := hold(l.(*net.TCPListener), address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return f, nil
}

// hold returns a descriptor of l for the worker. This process never accepts from it,
// and must not hear of the connections that come either: Go watches the descriptor of
// a file that does not wait, and would wake up for each of them. So it is a file that
// waits; whoever accepts makes the socket one that does not.
func hold(l *net.TCPListener, name string) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if ctl := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); ctl != nil {
		err = ctl
	}
	if err == nil {
		if err = unix.SetNonblock(fd, false); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// bindText writes an address as the config does: a port alone is every address
// of both families, or of the one there is.
func bindText(bind netip.AddrPort) string {
	if bind.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", bind.Port())
	}
	return bind.String()
}

func bindHint(err error, bind netip.AddrPort, have map[netip.AddrPort]*os.File) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		for own := range have {
			if own.Port() == bind.Port() && (covers(own.Addr(), bind.Addr()) || covers(bind.Addr(), own.Addr())) {
				return fmt.Sprintf(" (the running config listens on %s; restart the node to change it)", bindText(own))
			}
		}
		return fmt.Sprintf(" (another process listens there; find it with: ss -ltnp 'sport = :%d')", bind.Port())
	case errors.Is(err, syscall.EACCES) && bind.Port() < 1024:
		return " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
	}
	return ""
}

// covers reports whether a socket bound to all stands for every address of one's
// family: that of IPv6 does for both families.
func covers(all, one netip.Addr) bool {
	return all == netip.IPv6Unspecified() || all == netip.IPv4Unspecified() && one.Is4()
}

// freebind lets a socket be bound to an address that the host does not have:
// the Backup has its sockets open before it owns the VIP.
func freebind(network, _ string, c syscall.RawConn) error {
	var err error
	ctrl := c.Control(func(fd uintptr) {
		if network == "tcp6" {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(ctrl, err)
}

func closeFiles(files map[netip.AddrPort]*os.File) {
	for _, f := range files {
		f.Close()
	}
}
