package netio

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// frameConn is a packet socket: it sends and receives whole Ethernet frames.
// Multiple goroutines may use it simultaneously.
type frameConn struct {
	*packet.Conn
	raw   syscall.RawConn
	index int
}

// openFrameConn opens a socket that receives the frames of an EtherType that the
// filter lets through. With EtherType 0 it receives none, so that nothing piles
// up unread.
func openFrameConn(ifi *net.Interface, etherType int, filter []bpf.RawInstruction) (*frameConn, error) {
	conn, err := packet.Listen(ifi, packet.Raw, etherType, &packet.Config{Filter: filter})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &frameConn{Conn: conn, raw: raw, index: ifi.Index}
	if _, err := c.hardwareAddr(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// send sends a frame. Unlike WriteTo, it never waits: a stuck transmit queue must
// not hold up its caller.
func (c *frameConn) send(frame []byte) error {
	var err error
	cerr := c.raw.Control(func(fd uintptr) { err = sendFrameNow(int(fd), frame, c.index) })
	return errors.Join(cerr, err)
}

// tryRead reads a frame if one has arrived, whatever the deadline is.
func (c *frameConn) tryRead(b []byte) (ok bool, err error) {
	cerr := c.raw.Control(func(fd uintptr) { _, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT) })
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	err = errors.Join(cerr, err)
	return err == nil, err
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
