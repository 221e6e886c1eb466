// Package upstream holds what the data plane knows of the servers behind it:
// which exist, how they are, and whose turn it is. It opens no socket and reads
// no clock; others report what they saw and say when.
package upstream

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
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
	tiers   []tier    // those of lower rank serve when none above can
	added   []*Server // those that a pool of the name did not have before
	timed   bool      // the policy asks how long servers take
	shared  *shared
}

// tier is the servers of one rank.
type tier struct {
	servers []*Server
	policy  balance.Policy
}

// shared is what a pool passes on to the one that takes its place.
type shared struct {
	epoch    time.Time
	current  atomic.Pointer[Pool] // the last that was activated; nil: none was
	active   atomic.Int64
	picked   atomic.Uint64 // how often a server was picked
	breaker  atomic.Pointer[breaker]
	queue    queue
	budget   *budget
	retrying atomic.Int64
	retries  atomic.Uint64
	ejecting sync.Mutex
}

// NewPool returns the pool that spec describes. It takes over the servers of old,
// the pool that had this name before, which may be nil; when nothing changed, it
// returns old itself. Nothing is different for who uses old until [Pool.Activate].
func NewPool(spec proxy.Pool, old *Pool, now time.Time) (*Pool, error) {
	if old != nil && old.spec.Equal(spec) {
		return old, nil
	}
	p := &Pool{spec: spec, timed: spec.Balance == proxy.LeastResponseTime}
	if old != nil && old.spec.Name == spec.Name {
		p.shared = old.shared
	} else {
		p.shared = &shared{epoch: now.Add(-1), budget: newBudget()} // no event is at 0, which means never
		p.shared.breaker.Store(&breaker{spec: spec.Breaker})
	}
	seen := make(map[netip.AddrPort]bool, len(spec.Servers))
	known := old.byAddress(spec)
	for _, s := range spec.Servers {
		if seen[s.Address] {
			return nil, fmt.Errorf("pool %q: server %s is listed twice", spec.Name, s.Address)
		}
		seen[s.Address] = true
		server := known[s.Address]
		if server == nil {
			server = newServer(s, p, now)
			if old != nil {
				p.added = append(p.added, server)
			}
		}
		p.servers = append(p.servers, server)
	}
	return p, p.rank()
}

// byAddress returns those of p's servers that a pool of spec takes over.
func (p *Pool) byAddress(spec proxy.Pool) map[netip.AddrPort]*Server {
	if p == nil || p.spec.Name != spec.Name || p.spec.Check != spec.Check {
		return nil
	}
	m := make(map[netip.AddrPort]*Server, len(p.servers))
	for _, s := range p.servers {
		m[s.address] = s
	}
	return m
}

// rank divides the servers into tiers: the backup servers are the last.
func (p *Pool) rank() error {
	for _, backup := range []bool{false, true} {
		var t tier
		var members []balance.Member
		for i, s := range p.spec.Servers {
			if s.Backup == backup {
				t.servers = append(t.servers, p.servers[i])
				members = append(members, balance.Member{ID: s.Address.String(), Weight: s.Weight})
			}
		}
		if len(t.servers) == 0 {
			continue
		}
		var err error
		if t.policy, err = balance.New(p.spec.Balance, members); err != nil {
			return fmt.Errorf("pool %q: %w", p.spec.Name, err)
		}
		p.tiers = append(p.tiers, t)
	}
	return nil
}

// since returns now in ns since the epoch of a pool. The clock of a loop may be behind
// that of who has made the pool; no event is at 0, which means never.
func since(epoch, now time.Time) int64 { return max(int64(now.Sub(epoch)), 1) }

// Activate puts the pool into the place of the one that it was made from: from now on
// its servers go by its spec.
func (p *Pool) Activate(now time.Time) {
	for _, s := range p.added {
		s.risen.Store(s.at(now))
	}
	p.added = nil
	for i, s := range p.servers {
		s.pool.Store(p)
		s.configure(p.spec.Servers[i], p.spec.Breaker)
	}
	if b := p.shared.breaker.Load(); b.spec != p.spec.Breaker {
		p.shared.breaker.Store(&breaker{spec: p.spec.Breaker})
	}
	p.shared.current.Store(p)
	p.Look(now)
}

// Current returns the pool that has taken the place of p, or p itself: who has waited
// asks that one, whose servers p may not know.
func (p *Pool) Current() *Pool {
	if c := p.shared.current.Load(); c != nil {
		return c
	}
	return p
}

// Spec returns what the pool was made from; callers must not modify it.
func (p *Pool) Spec() proxy.Pool { return p.spec }

// Servers returns the servers in the order of Spec().Servers; callers must not
// modify the slice.
func (p *Pool) Servers() []*Server { return p.servers }

// Retry asks whether a request may be sent again, when that is decided, and counts it;
// RetryDone follows.
func (p *Pool) Retry(now time.Time) bool {
	s := p.shared
	requests := int64(s.picked.Load() - s.retries.Load()) // of which each is picked for, too
	if !s.budget.spend(since(s.epoch, now), requests, p.spec.Retry.Budget) {
		return false
	}
	s.retrying.Add(1)
	s.retries.Add(1)
	return true
}

// RetryDone ends what Retry has begun.
func (p *Pool) RetryDone() { p.shared.retrying.Add(-1) }
