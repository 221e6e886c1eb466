package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/internal/config/source"
)

// Local returns the node that this host is: the one called name, or when name
// is empty the one whose address is among addrs, the addresses of this host. A
// config without nodes has no local one either, and gives the zero Node.
func (c *Config) Local(name string, addrs []netip.Addr) (Node, error) {
	switch {
	case len(c.Nodes) == 0:
		return Node{}, nil
	case name != "":
		return c.named(name)
	}
	var mine []Node
	for _, n := range c.Nodes {
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == n.Address }) {
			mine = append(mine, n)
		}
	}
	switch len(mine) {
	case 1:
		return mine[0], nil
	case 0:
		return Node{}, fmt.Errorf("find the node that this host is: it has %s, but the config names %s; correct an address there, or say which one it is with --node",
			hostAddresses(addrs), listNodes(c.Nodes))
	default:
		return Node{}, fmt.Errorf("find the node that this host is: it has the addresses of %s; say which one it is with --node", listNodes(mine))
	}
}

func (c *Config) named(name string) (Node, error) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return Node{}, fmt.Errorf("find the node that this host is: --node names %q%s; the config names %s",
		name, source.Suggestion(name, nodeNames(c.Nodes)), listNodes(c.Nodes))
}

func listNodes(nodes []Node) string {
	words := make([]string, 0, len(nodes))
	for _, n := range nodes {
		words = append(words, fmt.Sprintf("%s (%s)", n.Name, n.Address))
	}
	return source.Enumerate(words, "and")
}

// hostAddresses lists addrs, without those that no other host could reach.
func hostAddresses(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		if !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			words = append(words, a.Unmap().String())
		}
	}
	if len(words) == 0 {
		return "no address of its own"
	}
	return source.Enumerate(words, "and")
}
