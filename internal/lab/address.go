package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddAddress adds an address to eth0, for as long as the host lives.
func (h *Host) AddAddress(p netip.Prefix) error {
	return h.changeAddress(p, "add", h.handle.AddrAdd)
}

// DelAddress removes an address from eth0.
func (h *Host) DelAddress(p netip.Prefix) error {
	return h.changeAddress(p, "delete", h.handle.AddrDel)
}

func (h *Host) changeAddress(p netip.Prefix, verb string, change func(netlink.Link, *netlink.Addr) error) error {
	err := change(h.link(), &netlink.Addr{IPNet: &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}})
	if err != nil {
		return fmt.Errorf("host %q: %s address %s: %w", h.name, verb, p, err)
	}
	return nil
}

// Addresses returns the addresses of eth0, both families, in kernel order.
func (h *Host) Addresses() ([]netip.Prefix, error) {
	list, err := h.handle.AddrList(h.link(), unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("host %q: list addresses: %w", h.name, err)
	}
	var prefixes []netip.Prefix
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			bits, _ := a.Mask.Size()
			prefixes = append(prefixes, netip.PrefixFrom(ip.Unmap(), bits))
		}
	}
	return prefixes, nil
}

// Has reports whether an interface of the host, other than loopback, holds the
// address.
func (h *Host) Has(a netip.Addr) (bool, error) {
	list, err := h.handle.AddrList(nil, unix.AF_UNSPEC)
	if err != nil {
		return false, fmt.Errorf("host %q: list addresses: %w", h.name, err)
	}
	for _, has := range list {
		if ip, ok := netip.AddrFromSlice(has.IP); ok && ip.Unmap() == a && has.LinkIndex != h.loopback {
			return true, nil
		}
	}
	return false, nil
}

// MAC returns the hardware address of eth0.
func (h *Host) MAC() (net.HardwareAddr, error) {
	link, err := h.handle.LinkByIndex(h.eth0)
	if err != nil {
		return nil, fmt.Errorf("host %q: read %s: %w", h.name, Interface, err)
	}
	return link.Attrs().HardwareAddr, nil
}

// Carrier reports whether eth0 has a carrier.
func (h *Host) Carrier() (bool, error) {
	link, err := h.handle.LinkByIndex(h.eth0)
	if err != nil {
		return false, fmt.Errorf("host %q: read %s: %w", h.name, Interface, err)
	}
	return link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0, nil
}

// Neighbor returns the hardware address that the host has resolved for a
// neighbour's address; nil when it knows none.
func (h *Host) Neighbor(a netip.Addr) (net.HardwareAddr, error) {
	list, err := h.handle.NeighList(h.eth0, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("host %q: list neighbours: %w", h.name, err)
	}
	for _, n := range list {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == a {
			return n.HardwareAddr, nil
		}
	}
	return nil, nil
}

// Cut takes the host's link down at the far end: the host loses its carrier.
func (h *Host) Cut() error {
	return h.atBridge("cut", h.lab.bridge.LinkSetDown)
}

// CutSilently takes the host's link off the bridge: the carrier stays, and
// nothing comes through in either direction.
func (h *Host) CutSilently() error {
	return h.atBridge("silently cut", h.lab.bridge.LinkSetNoMaster)
}

// CutMulticast keeps multicast from the host, and nothing else: a switch that
// does not know who wants a group.
func (h *Host) CutMulticast() error {
	return h.atBridge("cut multicast on", func(port netlink.Link) error { return h.lab.floodMulticast(port, false) })
}

// Isolate keeps the host from all other isolated hosts, and from nobody else.
func (h *Host) Isolate() error {
	return h.atBridge("isolate", func(port netlink.Link) error { return h.lab.bridge.LinkSetIsolated(port, true) })
}

// Heal undoes Cut, CutSilently, CutMulticast and Isolate.
func (h *Host) Heal() error {
	return h.atBridge("heal", func(port netlink.Link) error {
		return errors.Join(
			h.lab.bridge.LinkSetMasterByIndex(port, h.lab.bridgeID),
			h.lab.bridge.LinkSetUp(port),
			h.lab.bridge.LinkSetIsolated(port, false),
			h.lab.floodMulticast(port, true))
	})
}

// floodMulticast says whether the bridge sends multicast out of a port.
func (l *Lab) floodMulticast(port netlink.Link, flood bool) error {
	value := []byte{0}
	if flood {
		value[0] = 1
	}
	return inNamespace(l.bridgeNS, func() error {
		req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
		msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
		msg.Index = int32(port.Attrs().Index)
		req.AddData(msg)
		options := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
		options.AddRtAttr(nl.IFLA_BRPORT_MCAST_FLOOD, value)
		req.AddData(options)
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

// atBridge changes the port at the bridge's end of the host's link.
func (h *Host) atBridge(verb string, change func(netlink.Link) error) error {
	port, err := h.lab.bridge.LinkByName(h.name)
	if err == nil {
		err = change(port)
	}
	if err != nil {
		return fmt.Errorf("host %q: %s link: %w", h.name, verb, err)
	}
	return nil
}

// link names eth0 in requests by its index alone.
func (h *Host) link() netlink.Link {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = Interface, h.eth0
	return &netlink.Device{LinkAttrs: attrs}
}
