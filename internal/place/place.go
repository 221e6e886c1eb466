// Package place finds where on a host the virtual routers of a config run.
package place

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/ipc"
)

// Interface is an interface of a host.
type Interface struct {
	Name     string
	Prefixes []netip.Prefix // its addresses, with host bits
}

// Interfaces returns the interfaces of this host.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var found []Interface
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		a := Interface{Name: i.Name}
		for _, addr := range addrs {
			if p, err := netip.ParsePrefix(addr.String()); err == nil {
				a.Prefixes = append(a.Prefixes, p)
			}
		}
		found = append(found, a)
	}
	return found, nil
}

// Addresses returns every address of the interfaces.
func Addresses(all []Interface) []netip.Addr {
	var found []netip.Addr
	for _, i := range all {
		for _, p := range i.Prefixes {
			found = append(found, p.Addr())
		}
	}
	return found
}

// Routers returns the virtual routers that self runs, on the interfaces of its
// host.
func Routers(cfg *config.Config, self config.Node, host []Interface) ([]ipc.Router, error) {
	virtual := map[netip.Addr]bool{}
	for _, v := range cfg.VIPs {
		for _, p := range v.Prefixes {
			virtual[p.Addr()] = p.Addr() != self.Address
		}
	}
	var all []ipc.Router
	var errs []error
	for _, r := range cfg.Routers(self) {
		v := r.VIP
		ifname, source, err := place(r, self, host, virtual)
		if err != nil {
			errs = append(errs, fmt.Errorf("vip %q: %w", v.Name, err))
			continue
		}
		r.Params.Self = source
		track := ipc.Track{Interfaces: v.Track.Interfaces}
		if v.Track.Gateway.IsValid() && v.Track.Gateway.Is4() == source.Is4() {
			track.Gateway = v.Track.Gateway
		}
		all = append(all, ipc.Router{
			Name: r.Name, VIP: v.Name, Group: v.Group, Interface: ifname, Params: r.Params, Prefixes: r.Prefixes,
			Lease: v.Lease, VirtualMAC: v.VirtualMAC, Track: track, OwnedElsewhere: v.Owner != "" && v.Owner != self.Name,
		})
	}
	return all, errors.Join(errs...)
}

// place returns the interface of a virtual router and the address to advertise
// from, which is never a virtual one.
func place(r config.Router, self config.Node, host []Interface, virtual map[netip.Addr]bool) (string, netip.Addr, error) {
	i, err := home(r.VIP.Interface, self, host)
	if err != nil {
		return "", netip.Addr{}, err
	}
	has := func(a netip.Addr) bool {
		return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	}
	is4 := r.Params.Addresses[0].Is4()
	switch {
	case is4 == self.Address.Is4() && has(self.Address) && (is4 || r.VIP.Unicast):
		return i.Name, self.Address, nil
	case r.VIP.Unicast:
		return "", netip.Addr{}, fmt.Errorf("interface %q does not have the node's address %s to advertise from (hint: leave out unicast, or the interface)", i.Name, self.Address)
	}
	for _, p := range i.Prefixes {
		// IPv6 advertisements come from the link-local address (RFC 9568, section
		// 5.1.2.1).
		if a := p.Addr(); a.Is4() == is4 && (is4 || a.IsLinkLocalUnicast()) && !virtual[a] {
			return i.Name, a, nil
		}
	}
	if is4 {
		return "", netip.Addr{}, fmt.Errorf("interface %q has no IPv4 address to advertise from", i.Name)
	}
	return "", netip.Addr{}, fmt.Errorf("interface %q has no link-local IPv6 address to advertise from (hint: is IPv6 disabled there? see sysctl net.ipv6.conf.%s.disable_ipv6)", i.Name, i.Name)
}

// home returns the interface that the config names, or else the one where the
// node's own address lives.
func home(ifname string, self config.Node, host []Interface) (Interface, error) {
	for _, i := range host {
		own := slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == self.Address })
		if i.Name == ifname || ifname == "" && own {
			return i, nil
		}
	}
	if ifname == "" {
		return Interface{}, fmt.Errorf("no interface of this host has the node's address %s (hint: name the interface in the config)", self.Address)
	}
	return Interface{}, fmt.Errorf("this host has no interface %q", ifname)
}
