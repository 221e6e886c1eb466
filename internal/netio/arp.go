package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// ARP announces IPv4 addresses on one interface. It is not safe for concurrent
// use.
type ARP struct {
	ifname string
	conn   *frameConn
	client *arp.Client
}

// DialARP opens a socket for announcements on an Ethernet interface, which must
// have an IPv4 address. The socket receives nothing.
func DialARP(ifname string) (*ARP, error) {
	fail := func(err error) (*ARP, error) {
		return nil, fmt.Errorf("open ARP socket on %q: %w", ifname, explain(err))
	}
	ifi, err := lookup(ifname)
	if err != nil {
		return fail(err)
	}
	conn, err := openFrameConn(ifi)
	if err != nil {
		return fail(err)
	}
	if _, err := conn.hardwareAddr(); err != nil {
		return fail(errors.Join(err, conn.Close()))
	}
	client, err := arp.New(ifi, conn)
	if err != nil {
		return fail(errors.Join(err, conn.Close()))
	}
	return &ARP{ifname: ifname, conn: conn, client: client}, nil
}

// Announce tells all neighbours that addr is at the interface's current MAC
// address: by a gratuitous request, which every implementation understands, and
// by a gratuitous reply for those that heed only replies. It never blocks.
func (a *ARP) Announce(addr netip.Addr) error {
	if err := a.announce(addr); err != nil {
		return fmt.Errorf("announce %s on %q: %w", addr, a.ifname, explain(err))
	}
	return nil
}

func (a *ARP) announce(addr netip.Addr) error {
	mac, err := a.conn.hardwareAddr()
	if err != nil {
		return err
	}
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for _, p := range []struct {
		op     arp.Operation
		target net.HardwareAddr
	}{
		{arp.OperationRequest, broadcast},
		// RFC 5944, section 4.6: a gratuitous reply repeats the sender as its
		// target. Linux ignores one that does not for a second after the entry
		// was last confirmed.
		{arp.OperationReply, mac},
	} {
		frame, err := arp.NewPacket(p.op, mac, addr, p.target, addr)
		if err != nil {
			return err
		}
		if err := a.client.WriteTo(frame, broadcast); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the socket.
func (a *ARP) Close() error { return a.client.Close() }

// frameConn is a packet socket that only sends: bound to no protocol, it is
// given nothing to receive, so nothing piles up unread.
type frameConn struct {
	*packet.Conn
	raw   syscall.RawConn
	index int
}

func openFrameConn(ifi *net.Interface) (*frameConn, error) {
	conn, err := packet.Listen(ifi, packet.Raw, 0, nil)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &frameConn{Conn: conn, raw: raw, index: ifi.Index}, nil
}

// WriteTo sends a frame. Unlike that of packet.Conn, it never waits: a stuck
// transmit queue must not hold up its caller.
func (c *frameConn) WriteTo(frame []byte, _ net.Addr) (int, error) {
	var err error
	to := &unix.SockaddrLinklayer{Ifindex: c.index}
	cerr := c.raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, to) })
	if err = errors.Join(cerr, err); err != nil {
		return 0, err
	}
	return len(frame), nil
}

// hardwareAddr returns the MAC address as it is now: it may be changed, and
// bonds change it by themselves. The kernel fills it into the socket's name.
func (c *frameConn) hardwareAddr() (net.HardwareAddr, error) {
	var sa unix.Sockaddr
	var err error
	cerr := c.raw.Control(func(fd uintptr) { sa, err = unix.Getsockname(int(fd)) })
	if err = errors.Join(cerr, err); err != nil {
		return nil, err
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	switch {
	case !ok:
		return nil, fmt.Errorf("socket name is a %T", sa)
	case ll.Ifindex != c.index:
		return nil, fmt.Errorf("the interface was deleted: %w", unix.ENODEV)
	case ll.Hatype != unix.ARPHRD_ETHER:
		return nil, errors.New("not an Ethernet interface: nothing answers ARP there")
	}
	return net.HardwareAddr(ll.Addr[:ll.Halen]), nil
}

// lookup finds an interface. Unlike net.InterfaceByName, it keeps the errno.
func lookup(ifname string) (*net.Interface, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	index, err := interfaceIndex(fd, ifname)
	if err != nil {
		return nil, err
	}
	return &net.Interface{Index: index, Name: ifname}, nil
}
