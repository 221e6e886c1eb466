package netio

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// configure4 ties an IPv4 socket to its addresses.
func configure4(fd, index int, o VRRPOptions) error {
	if err := setOptions(fd, []option{
		{"TTL", unix.IPPROTO_IP, unix.IP_TTL, ttl},
		{"TOS", unix.IPPROTO_IP, unix.IP_TOS, tos},
		{"multicast TTL", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl},
		{"multicast loop", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{"multicast all", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
	}); err != nil {
		return err
	}
	if o.Unicast {
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: o.Self.As4()}); err != nil {
			return fmt.Errorf("bind to %s: %w", o.Self, err)
		}
		return nil
	}
	// Bound to no address: an IPv4 raw socket that is bound to self receives
	// nothing that was sent to the group. The address in IP_MULTICAST_IF becomes
	// the source of what is sent. Left to the kernel, that could be a virtual
	// address: RFC 9568, section 5.1.1.1 wants the primary one.
	out := &unix.IPMreqn{Multiaddr: group4().As4(), Address: o.Self.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, out); err != nil {
		return fmt.Errorf("set multicast interface: %w", err)
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, out); err != nil {
		return fmt.Errorf("join %s: %w", group4(), err)
	}
	return nil
}

func read4(fd int, b []byte) (Datagram, error) {
	n, _, _, err := receiveNow(fd, b, nil)
	if err != nil {
		return Datagram{}, err
	}
	return Datagram{Packet: b[:n]}, nil
}

func (c *VRRPConn) send4(fd int, payload []byte, to netip.Addr) error {
	return sendNow4(fd, payload, to)
}
