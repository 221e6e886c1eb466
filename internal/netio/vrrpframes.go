package netio

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// vrrpFrames sends VRRP messages in frames that are built here, because the
// kernel would send them from the interface's own MAC address.
type vrrpFrames struct {
	conn *frameConn
	mac  net.HardwareAddr
	self netip.Addr
	id   atomic.Uint32 // IPv4 identification
}

// openVRRPFrames uses the interface of that index, so that both sockets are on
// the same one.
func openVRRPFrames(index int, o VRRPOptions) (*vrrpFrames, error) {
	conn, err := openFrameConn(&net.Interface{Index: index, Name: o.Interface}, 0, nil)
	if err != nil {
		return nil, err
	}
	var perr error
	if err := conn.raw.Control(func(fd uintptr) { perr = setPriority(int(fd)) }); err != nil || perr != nil {
		return nil, errors.Join(err, perr, conn.Close())
	}
	return &vrrpFrames{conn: conn, mac: slices.Clone(o.VirtualMAC), self: o.Self}, nil
}

func (f *vrrpFrames) send(_ int, payload []byte, to netip.Addr) error {
	packet, etherType := ipv6Header(tos, protocol, f.self, to, len(payload)), uint16(unix.ETH_P_IPV6)
	if to.Is4() {
		packet, etherType = ipv4Header(f.self, to, uint16(f.id.Add(1)), len(payload)), unix.ETH_P_IP
	}
	return f.conn.send(ethernetFrame(groupMAC(to), f.mac, etherType, append(packet, payload...)))
}
