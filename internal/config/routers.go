package config

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/vrrp"
)

// Router is the virtual router of one address family of a VIP, on one node.
type Router struct {
	VIP  VIP
	Name string // unique: that of the VIP, with "/4" or "/6" appended when it has both families
	// Params lacks Self, which the host knows. Its Peers are the other nodes when
	// the VIP is unicast.
	Params vrrp.Params
	// Prefixes are the addresses that the node adds and removes: all of the family
	// but its own.
	Prefixes []netip.Prefix
}

// Routers returns the virtual routers of the node self, which is one of c.Nodes:
// for each VIP one of IPv4, then one of IPv6, as far as it has such addresses.
func (c *Config) Routers(self Node) []Router {
	var routers []Router
	for _, v := range c.VIPs {
		for _, family := range v.families() {
			routers = append(routers, c.router(v, family, self))
		}
	}
	return routers
}

// families returns the address families of the VIP, each as all its prefixes.
func (v VIP) families() [][]netip.Prefix {
	i := slices.IndexFunc(v.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() })
	switch i {
	case -1, 0:
		return [][]netip.Prefix{v.Prefixes}
	}
	return [][]netip.Prefix{v.Prefixes[:i], v.Prefixes[i:]}
}

func (c *Config) router(v VIP, family []netip.Prefix, self Node) Router {
	is4 := family[0].Addr().Is4()
	r := Router{VIP: v, Name: v.Name}
	if len(family) < len(v.Prefixes) {
		r.Name += "/6"
		if is4 {
			r.Name = v.Name + "/4"
		}
	}
	r.Params = vrrp.Params{
		Version: v.Version, VRID: v.RouterID, Priority: v.Priority[self.Name],
		Preempt: v.Preempt, PreemptDelay: v.PreemptDelay, Interval: v.Advertise, Checksum: v.Checksum,
	}
	for _, p := range family {
		r.Params.Addresses = append(r.Params.Addresses, p.Addr())
		if p.Addr() != self.Address {
			r.Prefixes = append(r.Prefixes, p)
		}
	}
	if v.Unicast {
		for _, n := range c.Nodes {
			if n.Name != self.Name {
				r.Params.Peers = append(r.Params.Peers, n.Address)
			}
		}
	}
	return r
}

// Penalty returns by how much the priority of a node is lowered that misses what
// it tracks: enough for any other node to rank above it, unless that is lowered
// too. Then their order stays.
func (v VIP) Penalty() uint8 {
	all := slices.Collect(maps.Values(v.Priority))
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all) - slices.Min(all) + 1
}
