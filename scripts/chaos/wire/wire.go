// Package wire tells frames apart that say who owns an address. It is pure.
package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Kind is what a frame is.
type Kind string

// The kinds of frames.
const (
	Other         Kind = ""
	Answer        Kind = "answer"        // to an ARP request: the sender has the address
	Announcement  Kind = "announcement"  // a gratuitous ARP packet, a request or a reply
	Advertisement Kind = "advertisement" // of VRRP
)

const (
	ethernet = 14 // bytes of its header
	arpBytes = 28
	request  = 1
	reply    = 2
)

// Read returns what the Ethernet frame says of the address.
func Read(frame []byte, address netip.Addr) Kind {
	if len(frame) < ethernet {
		return Other
	}
	payload := frame[ethernet:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0806:
		return readARP(payload, address.AsSlice())
	case 0x0800:
		const vrrp, protocol = 112, 9
		if len(payload) >= 20 && payload[0]>>4 == 4 && payload[protocol] == vrrp {
			return Advertisement
		}
	}
	return Other
}

// readARP reads an ARP packet (RFC 826) for IPv4 on Ethernet.
func readARP(p, address []byte) Kind {
	if len(p) < arpBytes || !bytes.Equal(p[:6], []byte{0, 1, 8, 0, 6, 4}) || !bytes.Equal(p[14:18], address) {
		return Other
	}
	op, gratuitous := binary.BigEndian.Uint16(p[6:]), bytes.Equal(p[24:28], address)
	switch {
	case gratuitous && (op == request || op == reply):
		return Announcement
	case op == reply:
		return Answer
	}
	return Other
}
