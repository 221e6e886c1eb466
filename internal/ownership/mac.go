package ownership

import (
	"net"

	"github.com/tandemlb/tandem/internal/ipc"
)

// MAC is an Ethernet address; the zero value stands for that of the interface.
type MAC [6]byte

// String returns the address in the usual form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// VirtualMAC returns the MAC address that a virtual router has of its own; the
// zero value when it uses that of the interface.
func VirtualMAC(r ipc.Router) MAC {
	if !r.VirtualMAC {
		return MAC{}
	}
	return MAC(deviceOf(r).MAC())
}
