package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// protocol is the IP protocol number of VRRP (RFC 9568, section 5.1.1.4).
const protocol = 112

// Header is the part of an IP header that the checksum of an advertisement
// covers.
type Header struct {
	Source      netip.Addr
	Destination netip.Addr
}

// Packet is an IP packet that carries VRRP.
type Packet struct {
	Header
	TTL     uint8 // hop limit, for IPv6
	Payload []byte
}

// ParseIPv4 takes apart the IPv4 packet b, as read from a raw socket of protocol
// 112: header options are skipped, and what follows the packet, like the padding
// of a short Ethernet frame, is cut off. The header checksum and reassembly are
// the kernel's business. Payload aliases b.
//
// The error is a *DropError with DropIPHeader or DropProtocol.
func ParseIPv4(b []byte) (Packet, error) {
	const minHeader = 20
	if len(b) < minHeader {
		return Packet{}, dropf(DropIPHeader, "%d bytes are no IPv4 header", len(b))
	}
	if version := b[0] >> 4; version != 4 {
		return Packet{}, dropf(DropIPHeader, "IP version %d where 4 is expected", version)
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < minHeader || header > total {
		return Packet{}, dropf(DropIPHeader, "IPv4 header of %d bytes in a packet of %d", header, total)
	}
	if total > len(b) {
		return Packet{}, dropf(DropIPHeader, "%d bytes of an IPv4 packet of %d", len(b), total)
	}
	if b[9] != protocol {
		return Packet{}, dropf(DropProtocol, "IP protocol %d where %d is expected", b[9], protocol)
	}
	return Packet{
		Header: Header{
			Source:      netip.AddrFrom4([4]byte(b[12:16])),
			Destination: netip.AddrFrom4([4]byte(b[16:20])),
		},
		TTL:     b[8],
		Payload: b[header:total],
	}, nil
}

// PeekVRID returns the VRID of the VRRP message payload, so that several virtual
// routers can share a socket. It is false when the message is too short to be an
// advertisement; nothing else is checked.
func PeekVRID(payload []byte) (uint8, bool) {
	if len(payload) < fixedSize {
		return 0, false
	}
	return payload[1], true
}
