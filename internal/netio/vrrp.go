// Package netio sends and receives what VRRP needs on the wire of one
// interface: advertisements, announcements of addresses, what others claim, and
// news of the link and the gateway. Everything opens its sockets in the network
// namespace of the calling thread, and keeps to that namespace whatever thread
// uses it later.
package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	protocol = 112  // VRRP, RFC 9568, section 5.1.1.4
	ttl      = 255  // RFC 9568, section 5.1.1.3: anything less has crossed a router
	tos      = 0xc0 // CS6, network control, as other VRRP routers mark it

	// priority puts advertisements into the first band of the default queueing
	// discipline; 6 is the highest that needs no privilege.
	priority = 6

	// receiveBuffer holds more than ten seconds of a peer's advertisements at
	// the shortest interval, so that a stalled reader finds all of them.
	receiveBuffer = 1 << 20
)

// group4 is the IPv4 multicast group of VRRP (RFC 9568, section 5.1.1.2).
func group4() netip.Addr { return netip.AddrFrom4([4]byte{224, 0, 0, 18}) }

// group6 is the IPv6 multicast group of VRRP (RFC 9568, section 5.1.2.2).
func group6() netip.Addr { return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12}) }

// VRRPOptions configures a VRRP socket.
type VRRPOptions struct {
	Interface string
	// Self is the source of what is sent, whatever other addresses there are. It
	// must be an address of the interface, and its family is the socket's. For
	// IPv6 it is the link-local address (RFC 9568, section 5.1.2.1), with or
	// without its zone; with Unicast it may be a global one too.
	Self netip.Addr
	// VirtualMAC, when set, is the source of the frames (RFC 9568, section 7.2),
	// although the interface has another. It excludes Unicast.
	VirtualMAC net.HardwareAddr
	// Unicast: no group is joined, and only what is sent to Self is received.
	Unicast bool
}

func (o VRRPOptions) check() error {
	if err := checkHost(o.Self); err != nil {
		return fmt.Errorf("source address: %w", err)
	}
	switch zone := o.Self.Zone(); {
	case zone != "" && zone != o.Interface:
		return fmt.Errorf("source address %q belongs to another interface", o.Self)
	case o.Self.Is6() && !o.Unicast && !o.Self.IsLinkLocalUnicast():
		return fmt.Errorf("source address %q is not link-local, as VRRP for IPv6 wants it", o.Self)
	case o.Unicast && o.VirtualMAC != nil:
		return errors.New("unicast from a virtual MAC address is not possible: choose one of them")
	}
	return checkVirtualMAC(o.VirtualMAC)
}

// Datagram is a received VRRP message. Its slices are parts of the buffer that
// it was read into.
type Datagram struct {
	// Packet is the whole packet with its IPv4 header. With IPv6, where the
	// kernel keeps the header back, it is nil; with IPv4 the fields below are zero.
	Packet []byte

	Source      netip.Addr // without zone
	Destination netip.Addr // without zone
	TTL         uint8      // hop limit as it arrived
	Payload     []byte     // the VRRP message
}

// VRRPConn is a socket for VRRP packets (protocol 112) of one address family on
// one interface. Multiple goroutines may use it simultaneously; none of its
// methods ever blocks.
type VRRPConn struct {
	ifname  string
	index   int
	self    netip.Addr
	unicast bool
	file    *os.File // in blocking mode, or the runtime would watch it too
	raw     syscall.RawConn
	frames  *vrrpFrames // set when a virtual MAC address is the source
}

// OpenVRRP opens a socket that receives the VRRP packets that arrive on an
// interface. An IPv6 address that is not there yet, or that duplicate address
// detection has not passed yet, is a retryable error; so is an address of either
// family with Unicast.
func OpenVRRP(o VRRPOptions) (*VRRPConn, error) {
	c, err := openVRRP(o)
	if err != nil {
		return nil, fmt.Errorf("open VRRP socket on %q: %w", o.Interface, explain(err))
	}
	return c, nil
}

func openVRRP(o VRRPOptions) (*VRRPConn, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Self = o.Self.WithZone("")
	family, configure := unix.AF_INET, configure4
	if o.Self.Is6() {
		family, configure = unix.AF_INET6, configure6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &VRRPConn{ifname: o.Interface, self: o.Self, unicast: o.Unicast, file: os.NewFile(uintptr(fd), "VRRP")}
	c.index, err = bindToInterface(fd, o.Interface)
	if err == nil {
		err = errors.Join(configure(fd, c.index, o), setPriority(fd), setReceiveBuffer(fd))
	}
	if err == nil {
		c.raw, err = c.file.SyscallConn()
	}
	if err == nil && o.VirtualMAC != nil {
		c.frames, err = openVRRPFrames(c.index, o)
	}
	if err != nil {
		return nil, errors.Join(err, c.file.Close())
	}
	return c, nil
}

// bindToInterface keeps the packets of other interfaces out of a socket, and
// returns the index of the interface.
func bindToInterface(fd int, ifname string) (index int, err error) {
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return 0, fmt.Errorf("bind to device: %w", err)
	}
	return interfaceIndex(fd, ifname)
}

// option is a socket option with an integer value.
type option struct {
	name              string
	level, opt, value int
}

func setOptions(fd int, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	return nil
}

// setPriority comes after the TOS, which changes the priority.
func setPriority(fd int) error {
	return setOptions(fd, []option{{"priority", unix.SOL_SOCKET, unix.SO_PRIORITY, priority}})
}

func setReceiveBuffer(fd int) error {
	// Only CAP_NET_ADMIN may exceed the host's limit; without it the limit does.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err == nil {
		return nil
	}
	return setOptions(fd, []option{{"receive buffer", unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer}})
}

// SyscallConn is for whoever waits until there is something to be read.
func (c *VRRPConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// TryRead reads one packet into b; ok is false when none has arrived. A packet
// longer than b is cut to it.
func (c *VRRPConn) TryRead(b []byte) (d Datagram, ok bool, err error) {
	read := read4
	if c.self.Is6() {
		read = read6
	}
	err = c.control(func(fd int) error {
		d, err = read(fd, b)
		return err
	})
	switch {
	case errors.Is(err, unix.EAGAIN):
		return Datagram{}, false, nil
	case err != nil:
		return Datagram{}, false, fmt.Errorf("receive VRRP on %q: %w", c.ifname, err)
	}
	return d, true, nil
}

// Send sends a VRRP message, complete with its checksum, to the group of the
// family, or to a router if the socket is for unicast: TTL 255, from the socket's
// address. The error is ENODEV when the interface was deleted, whether or not
// another has taken its name: then the socket is of no more use, and receives
// nothing. It is a retryable error when the interface has lost the address, except
// that frames from a virtual MAC address are sent all the same.
func (c *VRRPConn) Send(payload []byte, to netip.Addr) error {
	if err := c.send(payload, to.WithZone("")); err != nil {
		return fmt.Errorf("send VRRP on %q: %w", c.ifname, err)
	}
	return nil
}

func (c *VRRPConn) send(payload []byte, to netip.Addr) error {
	switch {
	case to.BitLen() != c.self.BitLen() || to.Is4In6():
		return fmt.Errorf("destination %q is not of the family of the source %s", to, c.self)
	case c.unicast && to.IsMulticast():
		return fmt.Errorf("destination %s is a group, but the socket is for unicast", to)
	case !c.unicast && !to.IsMulticast():
		return fmt.Errorf("destination %s is no group, but the socket is not for unicast", to)
	}
	send := c.send4
	switch {
	case c.frames != nil:
		send = c.frames.send
	case c.self.Is6():
		send = c.send6
	}
	return c.control(func(fd int) error {
		if err := send(fd, payload, to); err != nil {
			return c.diagnose(fd, err)
		}
		return nil
	})
}

// control does something with the socket, unless it is closed.
func (c *VRRPConn) control(do func(fd int) error) error {
	var err error
	if c.raw.Control(func(fd uintptr) { err = do(int(fd)) }) != nil {
		return net.ErrClosed
	}
	return err
}

// diagnose says what is behind an errno of sending. The kernel looks at the
// source address before the interface, and so says ENETUNREACH for much.
func (c *VRRPConn) diagnose(fd int, err error) error {
	index, ierr := interfaceIndex(fd, c.ifname)
	switch {
	case errors.Is(ierr, unix.ENODEV) || ierr == nil && index != c.index:
		return fmt.Errorf("the interface was deleted: %w", unix.ENODEV)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", err, errFiltered)
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: is the interface up, and %s one of its addresses?", err, c.self)
	}
	return err
}

// Close closes the socket.
func (c *VRRPConn) Close() error {
	err := c.file.Close()
	if c.frames != nil {
		err = errors.Join(err, c.frames.conn.Close())
	}
	return err
}
