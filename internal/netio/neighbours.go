package netio

import (
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// arpAnnouncement returns the frames that tell all neighbours that addr is at
// mac.
func arpAnnouncement(addr netip.Addr, mac net.HardwareAddr) ([][]byte, error) {
	// RFC 5944, section 4.6: a gratuitous reply repeats the sender as its target.
	// Linux ignores one that does not for a second after the entry was last
	// confirmed.
	request, err := arpFrame(arp.OperationRequest, mac, addr, broadcast(), addr)
	if err != nil {
		return nil, err
	}
	reply, err := arpFrame(arp.OperationReply, mac, addr, mac, addr)
	return [][]byte{request, reply}, err
}

// arpRequest returns the frame that asks, from mac and self, for the MAC address
// of addr.
func arpRequest(addr netip.Addr, mac net.HardwareAddr, self netip.Addr) ([][]byte, error) {
	request, err := arpFrame(arp.OperationRequest, mac, self, make(net.HardwareAddr, 6), addr)
	return [][]byte{request}, err
}

func arpFrame(op arp.Operation, mac net.HardwareAddr, sender netip.Addr, targetMAC net.HardwareAddr, target netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(op, mac, sender, targetMAC, target)
	if err != nil {
		return nil, err
	}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return ethernetFrame(broadcast(), mac, unix.ETH_P_ARP, b), nil
}

// advertisement returns the unsolicited neighbour advertisement that tells all
// nodes that addr is at mac (RFC 4861, section 7.2.6). It comes from addr itself,
// and says whether this host is a router: hosts that use it as one would drop it
// from their routes otherwise (section 7.2.5).
func advertisement(addr netip.Addr, mac net.HardwareAddr, router bool) ([][]byte, error) {
	return ndpFrame(mac, addr, netip.IPv6LinkLocalAllNodes(), &ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}},
	})
}

// solicitation returns the neighbour solicitation that asks, from mac and self,
// for the MAC address of addr. Whoever asks from the unspecified address must not
// say at which MAC address it is (RFC 4861, section 4.3).
func solicitation(addr netip.Addr, mac net.HardwareAddr, self netip.Addr) ([][]byte, error) {
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		return nil, err
	}
	m := &ndp.NeighborSolicitation{TargetAddress: addr}
	if !self.IsUnspecified() {
		m.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}
	}
	return ndpFrame(mac, self, group, m)
}

func ndpFrame(mac net.HardwareAddr, src, group netip.Addr, m ndp.Message) ([][]byte, error) {
	b, err := ndp.MarshalMessageChecksum(m, src, group)
	if err != nil {
		return nil, err
	}
	packet := append(ipv6Header(0, unix.IPPROTO_ICMPV6, src, group, len(b)), b...)
	return [][]byte{ethernetFrame(groupMAC(group), mac, unix.ETH_P_IPV6, packet)}, nil
}
