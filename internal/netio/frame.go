package netio

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// minFrame is the shortest Ethernet frame, without its check sequence.
const minFrame = 60

// ethernetFrame returns a frame, padded to the minimum.
func ethernetFrame(dst, src net.HardwareAddr, etherType uint16, payload []byte) []byte {
	b := make([]byte, 0, max(minFrame, 14+len(payload)))
	b = append(append(b, dst...), src...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = append(b, payload...)
	return b[:max(minFrame, len(b))]
}

func broadcast() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// groupMAC returns the MAC address of a multicast group (RFC 1112, section 6.4;
// RFC 2464, section 7).
func groupMAC(group netip.Addr) net.HardwareAddr {
	if group.Is4() {
		b := group.As4()
		return net.HardwareAddr{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := group.As16()
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// ipv4Header returns the header of a VRRP packet with a payload of that length.
// Like keepalived's it allows fragments, which takes an identification that
// differs from that of the packets before.
func ipv4Header(src, dst netip.Addr, id uint16, length int) []byte {
	b := make([]byte, 20, 20+length)
	b[0] = 4<<4 | 20/4
	b[1] = tos
	binary.BigEndian.PutUint16(b[2:], uint16(20+length))
	binary.BigEndian.PutUint16(b[4:], id)
	b[8], b[9] = ttl, protocol
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return b
}

// ipv6Header returns a header with hop limit 255 for a payload of that length.
func ipv6Header(class, next byte, src, dst netip.Addr, length int) []byte {
	b := make([]byte, 40, 40+length)
	b[0] = 6<<4 | class>>4
	b[1] = class << 4
	binary.BigEndian.PutUint16(b[4:], uint16(length))
	b[6], b[7] = next, ttl
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return b
}

// checksum returns the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// checkHost refuses what cannot be the address of a host.
func checkHost(addr netip.Addr) error {
	if !addr.IsValid() || addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() {
		return fmt.Errorf("%q is not the address of a host", addr)
	}
	return nil
}

// checkVirtualMAC refuses what Ethernet cannot have; nil means that there is none.
func checkVirtualMAC(mac net.HardwareAddr) error {
	if mac != nil && len(mac) != 6 {
		return fmt.Errorf("virtual MAC address %q does not have 6 bytes", mac)
	}
	return nil
}
