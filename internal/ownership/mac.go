package ownership

import (
	"net"

	"github.com/tandemlb/tandem/vrrp"
)

// MAC is an Ethernet address; the zero value stands for that of the interface.
type MAC [6]byte

// String returns the address in the usual form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// VirtualMAC returns the MAC address of a virtual router (RFC 9568, section 7.3).
func VirtualMAC(p vrrp.Params) MAC {
	family := byte(1)
	if p.Self.Is6() {
		family = 2
	}
	return MAC{0, 0, 0x5e, 0, family, p.VRID}
}
