// Package listen binds the sockets that a config asks for, to be served by another
// process.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
)

// Endpoint is what a socket is bound to. The ports of TCP and of UDP are two sets.
type Endpoint struct {
	Addr netip.AddrPort
	UDP  bool
}

// Bind opens a socket for each bound address of spec that have
// does not contain. It returns all that spec needs, and the new ones alone. On
// an error nothing stays open that was not open before.
func Bind(ctx context.Context, spec proxy.Spec, have map[Endpoint]*os.File) (all, opened map[Endpoint]*os.File, err error) {
	all, opened = map[Endpoint]*os.File{}, map[Endpoint]*os.File{}
	var errs []error
	for _, l := range spec.Listeners {
		for _, addr := range l.Bind {
			bind := Endpoint{addr, l.Protocol == proxy.UDP}
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
		Close(opened)
		return nil, nil, errors.Join(errs...)
	}
	return all, opened, nil
}

func bindOne(ctx context.Context, bind Endpoint, have map[Endpoint]*os.File) (*os.File, error) {
	address := Text(bind.Addr)
	open := listenTCP
	if bind.UDP {
		open = listenUDP
	}
	f, err := open(ctx, address)
	if err != nil {
		if call, ok := errors.AsType[*os.SyscallError](err); ok {
			err = call.Err // the address is named here
		}
		return nil, fmt.Errorf("listen on %s: %w%s", bind, err, bindHint(err, bind, have))
	}
	return f, nil
}

func listenTCP(ctx context.Context, address string) (*os.File, error) {
	lc := net.ListenConfig{Control: freebind}
	l, err := lc.Listen(ctx, family("tcp", address), address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return hold(l.(*net.TCPListener), address)
}

// listenUDP binds a socket for datagrams. Unlike one for connections it is not bound
// with SO_REUSEADDR: that would let another process take half of them. Who shares them
// is handed the socket.
func listenUDP(ctx context.Context, address string) (*os.File, error) {
	lc := net.ListenConfig{Control: freebind}
	c, err := lc.ListenPacket(ctx, family("udp", address), address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return hold(c.(*net.UDPConn), address)
}

// family is network, of IPv4 alone where the address is: for Go, every address of that
// is every address.
func family(network, address string) string {
	if addr, err := netip.ParseAddrPort(address); err == nil && addr.Addr().Is4() {
		return network + "4"
	}
	return network
}

// hold returns a descriptor of l for the worker. This process never takes anything from
// it, and must not hear of what comes either: Go watches the descriptor of a file that
// does not wait, and would wake up for each connection and datagram. So it is a file that
// waits; whoever serves it makes the socket one that does not.
func hold(l syscall.Conn, name string) (*os.File, error) {
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

// String writes the endpoint as an error names it.
func (e Endpoint) String() string {
	if e.UDP {
		return Text(e.Addr) + " (udp)"
	}
	return Text(e.Addr)
}

// Text writes an address as the config does: a port alone is every address
// of both families, or of the one there is.
func Text(bind netip.AddrPort) string {
	if bind.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", bind.Port())
	}
	return bind.String()
}

func bindHint(err error, bind Endpoint, have map[Endpoint]*os.File) string {
	addr := bind.Addr
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		for own := range have {
			if own.UDP == bind.UDP && own.Addr.Port() == addr.Port() && (covers(own.Addr.Addr(), addr.Addr()) || covers(addr.Addr(), own.Addr.Addr())) {
				return fmt.Sprintf(" (the running config listens on %s; restart the node to change it)", own)
			}
		}
		flags := "-ltnp"
		if bind.UDP {
			flags = "-lunp"
		}
		return fmt.Sprintf(" (another process listens there; find it with: ss %s 'sport = :%d')", flags, addr.Port())
	case errors.Is(err, syscall.EACCES) && addr.Port() < 1024:
		return " (ports below 1024 need CAP_NET_BIND_SERVICE: run it as root, in a container with --cap-add NET_BIND_SERVICE, or under systemd with AmbientCapabilities=CAP_NET_BIND_SERVICE)"
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
		if strings.HasSuffix(network, "6") {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(ctrl, err)
}

// Close closes all files.
func Close(files map[Endpoint]*os.File) {
	for _, f := range files {
		f.Close()
	}
}
