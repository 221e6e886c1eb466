package roster

import (
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/proxy"
)

// Entry is what operators have said of one server at runtime.
type Entry struct {
	Pool   string `json:"pool"`
	Server string `json:"server"` // name or address
	// Added: the config does not have the server. Removed: it has, and the server is
	// left out.
	Added   bool               `json:"added,omitempty"`
	Removed bool               `json:"removed,omitempty"`
	State   *proxy.ServerState `json:"state,omitempty"`  // nil: as in the config
	Weight  *int               `json:"weight,omitempty"` // nil: as in the config
}

func (e Entry) empty() bool {
	return !e.Added && !e.Removed && e.State == nil && e.Weight == nil
}

// Overlay is the difference between the config and what a node serves, in the
// order in which it came about. It is immutable: changes make another one.
type Overlay []Entry

// add returns the servers of p with those that were added.
func (o Overlay) add(p proxy.Pool) []proxy.Server {
	servers := p.Servers
	for _, e := range o {
		if e.Pool != p.Name || !e.Added {
			continue
		}
		s := proxy.Server{Name: e.Server, Weight: 1}
		if address, err := netip.ParseAddrPort(e.Server); err == nil {
			s.Address = address
		} else {
			s.Host = e.Server
		}
		servers = append(slices.Clip(servers), s)
	}
	return servers
}

// change returns the servers as the entries of pool make them.
func (o Overlay) change(pool string, all []candidate) []proxy.Server {
	entries := o.of(pool)
	var servers []proxy.Server
	for _, c := range all {
		s, removed := c.Server, false
		for _, e := range entries {
			if !c.is(e.Server) {
				continue
			}
			removed = removed || e.Removed
			if e.State != nil {
				s.State = *e.State
			}
			if e.Weight != nil {
				s.Weight = *e.Weight
			}
		}
		if !removed {
			servers = append(servers, s)
		}
	}
	return servers
}

func (o Overlay) of(pool string) []Entry {
	var entries []Entry
	for _, e := range o {
		if e.Pool == pool {
			entries = append(entries, e)
		}
	}
	return entries
}

// is reports whether an operator means the server by what they wrote.
func (c candidate) is(server string) bool {
	return c.Name == server || c.origin == server || c.Address.String() == server
}

// Reconcile returns what is left of the overlay with another config, and what it
// drops: entries of pools that are gone, and those that the config agrees with, or
// cannot mean any more.
func (o Overlay) Reconcile(spec proxy.Spec) (kept, dropped Overlay) {
	for _, e := range o {
		i := slices.IndexFunc(spec.Pools, func(p proxy.Pool) bool { return p.Name == e.Pool })
		if i < 0 {
			dropped = append(dropped, e)
			continue
		}
		if left := e.beside(spec.Pools[i]); left.empty() {
			dropped = append(dropped, e)
		} else {
			kept = append(kept, left)
		}
	}
	return kept, dropped
}

// beside returns what e says that p does not.
func (e Entry) beside(p proxy.Pool) Entry {
	s, there := inFile(p, e.Server)
	switch {
	case there:
		e.Added = false
	case e.Added:
		s = proxy.Server{Weight: 1}
	case !expands(p):
		// No answer of DNS can bring the server back.
		return Entry{}
	default:
		// What a discovered server has, only its answer knows.
		return e
	}
	if e.State != nil && *e.State == s.State {
		e.State = nil
	}
	if e.Weight != nil && *e.Weight == s.Weight {
		e.Weight = nil
	}
	return e
}

// expands reports whether p has servers that are not in the config one by one.
func expands(p proxy.Pool) bool {
	return p.Discover.DNS != "" || slices.ContainsFunc(p.Servers, func(s proxy.Server) bool { return !s.Address.IsValid() })
}

// inFile finds a server of the config by its name or address.
func inFile(p proxy.Pool, server string) (proxy.Server, bool) {
	for _, s := range p.Servers {
		if (candidate{s, s.Name}).is(server) || s.Host != "" && s.Host == server {
			return s, true
		}
	}
	return proxy.Server{}, false
}
