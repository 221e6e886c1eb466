package upstream

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/balance"
)

// Ask says for whom a server is wanted. It may be used again, and is best part of
// something that lives long: what it is handed to makes it escape.
type Ask struct {
	Now    time.Time
	Hash   uint64    // of what the pool's HashOn names, see [balance.Hash]; for the policies that hash
	Random uint64    // fresh
	Tried  []*Server // passed over: they have failed this request
	Sticky *Server   // taken if it may be used, also while it is drained; nil: none

	pool   *Pool
	tier   *tier
	now    int64
	full   bool // a server that could be used has no place left
	broken bool // one could be used but for its breaker
}

// Refusal says why there is no server.
type Refusal uint8

// The refusals.
const (
	Picked      Refusal = iota // there is one
	NoServer                   // none is left that may be used
	Full                       // one could be used, if it had a place left: who may wait does
	BreakerOpen                // one could be used, if its breaker or the pool's were not open
)

// String returns the refusal as clients and logs are told.
func (r Refusal) String() string {
	switch r {
	case Picked:
		return "picked"
	case NoServer:
		return "no-server"
	case Full:
		return "full"
	case BreakerOpen:
		return "breaker-open"
	default:
		panic(fmt.Sprintf("upstream: unhandled refusal %d", uint8(r)))
	}
}

// Pick chooses a server and takes a place there, which the caller frees with End or
// Abandon.
//
// Backup servers are chosen when none of the others may be used, not when these are full.
// When no server is healthy there is none: nothing is sent to those that are believed to
// be down.
func (p *Pool) Pick(a *Ask) (*Server, Refusal) {
	s := p.shared
	if s.queue.waiting.Load() > 0 { // not past those who wait
		a.begin(p, since(s.epoch, a.Now))
		if b := s.breaker.Load(); b.on() && !b.allows(a.now) {
			return nil, BreakerOpen
		}
		return nil, Full
	}
	server, why := p.pick(a)
	if why != Picked {
		p.wakeNext(a.now) // somebody may wait for what was taken for a moment
	}
	return server, why
}

func (a *Ask) begin(p *Pool, now int64) {
	a.pool, a.now = p, now
	a.full, a.broken = false, false
}

// refusal says why nothing was found.
func (a *Ask) refusal() Refusal {
	switch {
	case a.full:
		return Full
	case a.broken:
		return BreakerOpen
	default:
		return NoServer
	}
}

// pick is Pick without regard to those who wait.
func (p *Pool) pick(a *Ask) (*Server, Refusal) {
	s := p.shared
	a.begin(p, since(s.epoch, a.Now))
	b := s.breaker.Load()
	if b.on() && !b.allows(a.now) {
		return nil, BreakerOpen
	}
	if !p.enter() {
		return nil, Full
	}
	server := p.choose(a)
	if server != nil && (!b.on() || b.take(a.now)) {
		s.picked.Add(1)
		return server, Picked
	}
	if server != nil { // others have been quicker
		server.breaker.Load().giveBack(a.now, a.now)
		server.active.Add(-1)
		a.broken = true
	}
	s.active.Add(-1)
	return nil, a.refusal()
}

// Again takes another place at s, for a request that has just been there: its connection
// turned out to be closed. It reports false when others have taken it meanwhile.
func (p *Pool) Again(s *Server, now time.Time) bool {
	if !p.enter() {
		return false
	}
	if s.reserve(s.at(now)) != Picked {
		p.shared.active.Add(-1)
		return false
	}
	p.shared.picked.Add(1)
	return true
}

// enter takes a place in the pool, unless it has none left.
func (p *Pool) enter() bool {
	active := &p.shared.active
	most := int64(p.spec.Limits.Connections)
	if most == 0 {
		active.Add(1)
		return true
	}
	for {
		n := active.Load()
		if n >= most {
			return false
		}
		if active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// choose returns a server with a place taken there, or nil.
func (p *Pool) choose(a *Ask) *Server {
	if s := a.Sticky; s != nil && a.usable(s, true) && s.reserve(a.now) == Picked {
		return s
	}
	sticky := a.full // that its server is full says nothing of the others
	a.full = false
	need := balance.Need{Hash: a.Hash, Random: a.Random}
	for i := range p.tiers {
		a.tier = &p.tiers[i]
		// Again when others have been quicker; in the end they have taken all there is.
		for range 1 + len(a.tier.servers) {
			n := a.tier.policy.Pick((*candidates)(a), need)
			if n < 0 {
				break
			}
			switch s := a.tier.servers[n]; s.reserve(a.now) {
			case Picked:
				return s
			case Full:
				a.full = true
			default:
				a.broken = true
			}
		}
		if a.full {
			return nil
		}
	}
	a.full = sticky
	return nil
}

// usable reports whether s may be given the request, and remembers why not.
func (a *Ask) usable(s *Server, known bool) bool {
	switch state := s.State(); {
	case state == proxy.Maintenance, state == proxy.Drain && !known, !s.eligible(a.now):
		return false
	}
	if len(a.Tried) > 0 && slices.Contains(a.Tried, s) {
		return false
	}
	if b := s.breaker.Load(); b.on() && !b.allows(a.now) {
		a.broken = true
		return false
	}
	if most := s.most.Load(); most > 0 && s.active.Load() >= most {
		a.full = true
		return false
	}
	return true
}

// candidates are what a policy sees of the servers of the tier.
type candidates Ask

var _ balance.Candidates = (*candidates)(nil)

func (c *candidates) Usable(i int) bool {
	s := c.tier.servers[i]
	return s.weight.Load() > 0 && (*Ask)(c).usable(s, false)
}

func (c *candidates) Weight(i int) int64 {
	return c.tier.servers[i].effective(c.now, c.pool.spec.SlowStart)
}

func (c *candidates) Load(i int) int64 { return c.tier.servers[i].active.Load() }

func (c *candidates) Time(i int) time.Duration { return c.tier.servers[i].latency.at(c.now) }
