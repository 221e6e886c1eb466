package netio

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// configure6 ties an IPv6 socket to its addresses. The kernel leaves the checksum
// of protocol 112 alone unless it is asked for with IPV6_CHECKSUM.
func configure6(fd, index int, o VRRPOptions) error {
	if err := setOptions(fd, []option{
		{"hop limit", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ttl},
		{"traffic class", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos},
		{"multicast hop limit", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl},
		{"multicast loop", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		{"multicast all", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0},
		{"multicast interface", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index},
		{"receive packet information", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{"receive hop limit", unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
	}); err != nil {
		return err
	}
	// Unlike an IPv4 socket, a bound one still receives what is sent to the group.
	if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: o.Self.As16(), ZoneId: uint32(index)}); err != nil {
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			err = fmt.Errorf("%w: the interface does not have the address, or duplicate address detection has not passed it (yet)", err)
		}
		return fmt.Errorf("bind to %s: %w", o.Self, err)
	}
	if o.Unicast {
		return nil
	}
	join := &unix.IPv6Mreq{Multiaddr: group6().As16(), Interface: uint32(index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, join); err != nil {
		return fmt.Errorf("join %s: %w", group6(), err)
	}
	return nil
}

func read6(fd int, b []byte) (Datagram, error) {
	control := make([]byte, 128) // packet information and hop limit take 64
	n, nc, from, err := receiveNow(fd, b, control)
	if err != nil {
		return Datagram{}, err
	}
	var cm ipv6.ControlMessage
	if err := cm.Parse(control[:nc]); err != nil {
		return Datagram{}, fmt.Errorf("control message: %w", err)
	}
	d := Datagram{Source: from, TTL: uint8(cm.HopLimit), Payload: b[:n]}
	d.Destination, _ = netip.AddrFromSlice(cm.Dst)
	return d, nil
}

// send6 names the source with each packet: being bound to it keeps other
// addresses away, but not an address that the interface has lost.
func (c *VRRPConn) send6(fd int, payload []byte, to netip.Addr) error {
	source := ipv6.ControlMessage{Src: c.self.AsSlice(), IfIndex: c.index}
	err := sendNow6(fd, payload, source.Marshal(), to, c.index)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", unix.EADDRNOTAVAIL, err)
	}
	return err
}
