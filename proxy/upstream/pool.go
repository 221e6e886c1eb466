// Package upstream holds what the data plane knows of the servers behind it:
// which exist, how they are, and whose turn it is. It opens no socket and reads
// no clock; others report what they saw and say when.
package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/balance"
)

// Pool is a set of servers and the policy that chooses among them. The set never
// changes: a reload makes a new Pool that shares the servers which stay. Multiple
// goroutines may use a Pool at the same time.
type Pool struct {
	spec    proxy.Pool
	servers []*Server // in the order of spec.Servers
	policy  balance.Policy
}

// NewPool returns the pool that spec describes. It takes over the servers of old,
// the pool that had this name before, which may be nil; when nothing changed, it
// returns old itself.
func NewPool(spec proxy.Pool, old *Pool, now time.Time) (*Pool, error) {
	if old != nil && old.spec.Equal(spec) {
		return old, nil
	}
	policy, err := balance.New(spec.Balance)
	if err != nil {
		return nil, fmt.Errorf("pool %q: %w", spec.Name, err)
	}
	p := &Pool{spec: spec, policy: policy}
	seen := make(map[netip.AddrPort]bool, len(spec.Servers))
	for _, s := range spec.Servers {
		if seen[s.Address] {
			return nil, fmt.Errorf("pool %q: server %s is listed twice", spec.Name, s.Address)
		}
		seen[s.Address] = true
		server := old.find(spec, s.Address)
		if server == nil {
			server = newServer(s.Address, spec.Check, now)
		}
		p.servers = append(p.servers, server)
	}
	return p, nil
}

// find returns p's server of the same identity, or nil.
func (p *Pool) find(spec proxy.Pool, address netip.AddrPort) *Server {
	if p == nil || p.spec.Name != spec.Name || p.spec.Check != spec.Check {
		return nil
	}
	i := slices.IndexFunc(p.servers, func(s *Server) bool { return s.address == address })
	if i < 0 {
		return nil
	}
	return p.servers[i]
}

// Spec returns what the pool was made from; callers must not modify it.
func (p *Pool) Spec() proxy.Pool { return p.spec }

// Servers returns the servers in the order of Spec().Servers; callers must not
// modify the slice.
func (p *Pool) Servers() []*Server { return p.servers }

// Pick returns the server whose turn it is, passing over those that are not
// eligible and those in tried. It reports false when no server is left.
func (p *Pool) Pick(now time.Time, tried []*Server) (*Server, bool) {
	i := -1
	switch policy := p.policy.(type) {
	case *balance.RoundRobin: // a call that the compiler knows allocates nothing
		i = policy.Pick(len(p.servers), func(i int) bool { return p.usable(i, now, tried) })
	default:
		i = policy.Pick(len(p.servers), func(i int) bool { return p.usable(i, now, tried) })
	}
	if i < 0 {
		return nil, false
	}
	return p.servers[i], true
}

func (p *Pool) usable(i int, now time.Time, tried []*Server) bool {
	return p.servers[i].Eligible(now) && !slices.Contains(tried, p.servers[i])
}
