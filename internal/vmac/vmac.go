// Package vmac makes the interfaces on which the addresses of virtual routers
// live that have MAC addresses of their own (RFC 9568, section 7.3), and the
// settings that keep the host from confusing its neighbours about them.
// Everything works on the network namespace of the thread that calls.
package vmac

import (
	"fmt"
	"hash/crc32"
	"net"
)

// maxName is the longest name that an interface can have.
const maxName = 15

// Macvlan names the interface of one virtual router: a macvlan on the interface
// Parent. VRID is 1 to 255.
type Macvlan struct {
	Parent string
	VRID   uint8
	IPv6   bool
}

// Name returns the name of the interface: "vrrp4-51-eth0", or "vrrp6-51-eth0" for
// IPv6. Where the name of the parent is too long for that, its checksum takes its
// place: "vrrp4-51-1b2c3".
func (m Macvlan) Name() string {
	family := 4
	if m.IPv6 {
		family = 6
	}
	name := fmt.Sprintf("vrrp%d-%d-", family, m.VRID)
	if len(name)+len(m.Parent) <= maxName {
		return name + m.Parent
	}
	return name + fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(m.Parent)))[:5]
}

// MAC returns the MAC address of the virtual router (RFC 9568, section 7.3).
func (m Macvlan) MAC() net.HardwareAddr {
	family := byte(1)
	if m.IPv6 {
		family = 2
	}
	return net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, family, m.VRID}
}
