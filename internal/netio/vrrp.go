// Package netio sends and receives what VRRP needs on the wire of one
// interface: advertisements, gratuitous ARP, and news of the link. Everything
// opens its sockets in the network namespace of the calling thread, and keeps
// to that namespace whatever thread uses it later.
package netio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	ttl = 255  // RFC 9568, section 5.1.1.3: anything less has crossed a router
	tos = 0xc0 // CS6, network control, as other VRRP routers mark it

	// priority puts advertisements into the first band of the default queueing
	// discipline; 6 is the highest that needs no privilege.
	priority = 6

	// receiveBuffer holds more than ten seconds of a peer's advertisements at
	// the shortest interval, so that a stalled reader finds all of them.
	receiveBuffer = 1 << 20
)

// group is the IPv4 multicast group of VRRP (RFC 9568, section 5.1.1.2).
func group() [4]byte { return [4]byte{224, 0, 0, 18} }

// VRRP is a socket for IPv4 VRRP packets (protocol 112) on one interface.
// Multiple goroutines may use it simultaneously; none of its methods but Wait
// ever blocks.
type VRRP struct {
	ifname string
	index  int
	self   netip.Addr
	conn   *net.IPConn
	raw    syscall.RawConn
}

// ListenVRRP opens a socket that receives the VRRP packets that arrive on the
// interface, and sends from the address self, which must be one of the
// interface, whatever other addresses there are.
func ListenVRRP(ifname string, self netip.Addr) (*VRRP, error) {
	fail := func(err error) (*VRRP, error) {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // "listen ip4:112 0.0.0.0" would only repeat the prefix
		}
		return nil, fmt.Errorf("open VRRP socket on %q: %w", ifname, explain(err))
	}
	if !self.Is4() {
		return fail(fmt.Errorf("source address %q is not an IPv4 address", self))
	}
	var index int
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { index, err = configure(int(fd), ifname, self) }); cerr != nil {
			return cerr
		}
		return err
	}}
	// Bound to no address: a raw socket that is bound to self receives nothing
	// that was sent to the group.
	pc, err := lc.ListenPacket(context.Background(), "ip4:112", "0.0.0.0")
	if err != nil {
		return fail(err)
	}
	conn := pc.(*net.IPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		return fail(errors.Join(err, conn.Close()))
	}
	return &VRRP{ifname: ifname, index: index, self: self, conn: conn, raw: raw}, nil
}

// configure returns the index of the interface that it ties the socket to.
func configure(fd int, ifname string, self netip.Addr) (index int, err error) {
	// First of all, so that the packets of other interfaces stay out.
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return 0, fmt.Errorf("bind to device: %w", err)
	}
	if index, err = interfaceIndex(fd, ifname); err != nil {
		return 0, err
	}
	// The address in IP_MULTICAST_IF becomes the source of what is sent. Left
	// to the kernel, that could be a virtual address: RFC 9568, section
	// 5.1.1.1 wants the primary one.
	out := &unix.IPMreqn{Multiaddr: group(), Address: self.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, out); err != nil {
		return 0, fmt.Errorf("set multicast interface: %w", err)
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, out); err != nil {
		return 0, fmt.Errorf("join %s: %w", netip.AddrFrom4(group()), err)
	}
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"multicast TTL", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl},
		{"multicast loop", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{"multicast all", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
		{"TOS", unix.IPPROTO_IP, unix.IP_TOS, tos},
		{"priority", unix.SOL_SOCKET, unix.SO_PRIORITY, priority}, // after TOS, which changes it
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return 0, fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	// Only CAP_NET_ADMIN may exceed the host's limit; without it the limit does.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err == nil {
		return index, nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
		return 0, fmt.Errorf("set receive buffer: %w", err)
	}
	return index, nil
}

// Wait blocks until a packet or an error can be read, and reads neither. After
// Close it returns net.ErrClosed.
func (c *VRRP) Wait() error {
	err := c.raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n > 0 || err != nil
	})
	if err != nil {
		return fmt.Errorf("wait for VRRP on %q: %w", c.ifname, err)
	}
	return nil
}

// TryRead reads one IPv4 packet with its header into b; ok is false when none
// has arrived. A packet longer than b is cut to it.
func (c *VRRP) TryRead(b []byte) (n int, ok bool, err error) {
	// Not raw.Read: it would wait for a concurrent Wait to return.
	cerr := c.raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), b) })
	if cerr != nil {
		err = cerr
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("receive VRRP on %q: %w", c.ifname, err)
	}
	return n, true, nil
}

// Send sends a VRRP message to the group: TTL 255, from the socket's address.
// The error is ENODEV when the interface was deleted, whether or not another
// has taken its name: then the socket is of no more use, and receives nothing.
func (c *VRRP) Send(payload []byte) error {
	var err error
	cerr := c.raw.Control(func(fd uintptr) {
		to := &unix.SockaddrInet4{Addr: group()}
		if err = unix.Sendto(int(fd), payload, unix.MSG_DONTWAIT, to); err != nil {
			err = c.diagnose(int(fd), err)
		}
	})
	if cerr != nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("send VRRP on %q: %w", c.ifname, err)
	}
	return nil
}

// diagnose says what is behind an errno of sendto. The kernel looks at the
// source address before the interface, and so says ENETUNREACH for much.
func (c *VRRP) diagnose(fd int, err error) error {
	index, ierr := interfaceIndex(fd, c.ifname)
	switch {
	case errors.Is(ierr, unix.ENODEV) || ierr == nil && index != c.index:
		return fmt.Errorf("the interface was deleted: %w", unix.ENODEV)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", err, errFiltered)
	case errors.Is(err, unix.ENETUNREACH):
		return fmt.Errorf("%w: is the interface up, and %s one of its addresses?", err, c.self)
	}
	return err
}

// Close closes the socket, and lets Wait return.
func (c *VRRP) Close() error { return c.conn.Close() }
