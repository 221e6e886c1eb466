package supervisor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/ipc"
)

// ifaceAddr is an interface of this host with its addresses.
type ifaceAddr struct {
	name     string
	prefixes []netip.Prefix
}

// interfaces returns the interfaces of this host.
func interfaces() ([]ifaceAddr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var found []ifaceAddr
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		a := ifaceAddr{name: i.Name}
		for _, addr := range addrs {
			if p, err := netip.ParsePrefix(addr.String()); err == nil {
				a.prefixes = append(a.prefixes, p)
			}
		}
		found = append(found, a)
	}
	return found, nil
}

// addresses returns every address of the interfaces.
func addresses(all []ifaceAddr) []netip.Addr {
	var found []netip.Addr
	for _, i := range all {
		for _, p := range i.prefixes {
			found = append(found, p.Addr())
		}
	}
	return found
}

// routers returns the virtual routers that self runs, on the interfaces of this
// host.
func routers(cfg *config.Config, self config.Node, host []ifaceAddr) ([]ipc.Router, error) {
	var all []ipc.Router
	var errs []error
	for i, params := range cfg.Routers(self) {
		v := cfg.VIPs[i]
		ifname, source, err := place(v, self, host)
		if err != nil {
			errs = append(errs, fmt.Errorf("vip %q: %w", v.Name, err))
			continue
		}
		params.Self = source
		all = append(all, ipc.Router{Name: v.Name, VIP: v.Name, Group: v.Name, Interface: ifname, Params: params, Prefixes: v.Prefixes, Lease: v.Lease})
	}
	return all, errors.Join(errs...)
}

// place returns the interface of a VIP and the address to advertise from: the
// node's own where it is on that interface, else the interface's first.
func place(v config.VIP, self config.Node, host []ifaceAddr) (string, netip.Addr, error) {
	has := func(i ifaceAddr, a netip.Addr) bool {
		return slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	}
	for _, i := range host {
		switch {
		case v.Interface == "" && has(i, self.Address), v.Interface == i.name && has(i, self.Address):
			return i.name, self.Address, nil
		case v.Interface == i.name:
			for _, p := range i.prefixes {
				if p.Addr().Is4() && !slices.Contains(v.Prefixes, p) {
					return i.name, p.Addr(), nil
				}
			}
			return "", netip.Addr{}, fmt.Errorf("interface %q has no IPv4 address to advertise from", i.name)
		}
	}
	if v.Interface == "" {
		return "", netip.Addr{}, fmt.Errorf("no interface of this host has the node's address %s (hint: name the interface in the config)", self.Address)
	}
	return "", netip.Addr{}, fmt.Errorf("this host has no interface %q", v.Interface)
}
