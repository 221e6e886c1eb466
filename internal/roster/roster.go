// Package roster works out which servers the pools of a node have: those of the
// config, with the addresses that DNS has for their names, and with what operators
// have said at runtime. It is pure: the answers and the overlay are values.
package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Answer is what is known of one name.
type Answer struct {
	Targets []Target  // of the newest good answer, also when a later question failed
	At      time.Time // when that came; zero: never
	Err     string    // why the newest question was not answered; empty: it was
}

// Target is one place that a name stands for.
type Target struct {
	Address  netip.AddrPort
	Priority uint16 // of SRV: targets beyond the lowest priority are backups
	Weight   uint16 // of SRV
	Service  bool   // it comes from SRV: Priority and Weight mean something
}

// Note says what of the config is not in the composed spec, or otherwise than it
// was written.
type Note struct {
	Pool string
	Text string
}

func (n Note) String() string { return "pool " + n.Pool + ": " + n.Text }

// Names returns the names that Compose needs answers for, each once: HOST:PORT of
// servers and of discovery, and names of SRV records.
func Names(spec proxy.Spec, o Overlay) []string {
	var names []string
	seen := make(map[string]bool)
	add := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, p := range spec.Pools {
		for _, s := range o.add(p) {
			if !s.Address.IsValid() {
				add(s.Host)
			}
		}
		add(p.Discover.DNS)
	}
	return names
}

// Compose returns spec with pools whose servers all have addresses. It keeps the
// order of the config; of one name the addresses are in ascending order, so that an
// answer in another order changes nothing.
func Compose(spec proxy.Spec, answers map[string]Answer, o Overlay) (proxy.Spec, []Note) {
	c := composer{answers: answers, overlay: o}
	out := spec
	out.Pools = make([]proxy.Pool, len(spec.Pools))
	for i, p := range spec.Pools {
		out.Pools[i] = c.pool(p)
	}
	return out, c.notes
}

type composer struct {
	answers map[string]Answer
	overlay Overlay
	notes   []Note
}

func (c *composer) note(pool, format string, args ...any) {
	c.notes = append(c.notes, Note{pool, fmt.Sprintf(format, args...)})
}

// candidate is a server with the name that the config has for it.
type candidate struct {
	proxy.Server
	origin string
}

func (c *composer) pool(p proxy.Pool) proxy.Pool {
	var all []candidate
	for _, s := range c.overlay.add(p) {
		if s.Address.IsValid() {
			all = append(all, candidate{s, s.Name})
			continue
		}
		all = append(all, c.expand(p.Name, s)...)
	}
	if name := p.Discover.DNS; name != "" {
		all = append(all, c.discover(p.Name, name)...)
	}
	all = c.distinct(p.Name, all)
	p.Servers = c.overlay.change(p.Name, all)
	if len(p.Servers) == 0 {
		c.note(p.Name, "it has no server")
	}
	return p
}

// expand returns one server for each address of s.Host.
func (c *composer) expand(pool string, s proxy.Server) []candidate {
	targets := c.targets(pool, s.Host)
	var all []candidate
	for _, t := range targets {
		one := s
		one.Address = t.Address
		if len(targets) > 1 {
			one.Name = s.Name + "/" + t.Address.Addr().String()
		}
		all = append(all, candidate{one, s.Name})
	}
	return all
}

// discover returns a server for each target of a name.
func (c *composer) discover(pool, name string) []candidate {
	targets := c.targets(pool, name)
	weigh := weights(targets)
	first := lowest(targets)
	var all []candidate
	for i, t := range targets {
		address := t.Address.String()
		all = append(all, candidate{proxy.Server{
			Name: address, Address: t.Address, Host: name, Weight: weigh[i],
			Backup: t.Service && t.Priority > first,
		}, address})
	}
	return all
}

// targets returns what name stands for, in a stable order, and notes when that is
// nothing.
func (c *composer) targets(pool, name string) []Target {
	a := c.answers[name]
	if len(a.Targets) == 0 {
		why := a.Err
		switch {
		case why == "" && a.At.IsZero():
			why = "no answer yet"
		case why == "":
			why = "it has no addresses"
		}
		c.note(pool, "%s did not resolve: %s; the pool runs without it", name, why)
		return nil
	}
	t := slices.Clone(a.Targets)
	slices.SortStableFunc(t, func(a, b Target) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return a.Address.Compare(b.Address)
	})
	return slices.CompactFunc(t, func(a, b Target) bool { return a.Address == b.Address })
}

// distinct leaves out servers whose address an earlier one has: two would share its
// connections, its checks and its place in a hash.
func (c *composer) distinct(pool string, all []candidate) []candidate {
	by := make(map[netip.AddrPort]string, len(all))
	return slices.DeleteFunc(all, func(s candidate) bool {
		first, twice := by[s.Address]
		if twice {
			c.note(pool, "%s and %s are the same address %s; it counts once, as %s", first, s.label(), s.Address, first)
			return true
		}
		by[s.Address] = s.label()
		return false
	})
}

// label names a server with where it comes from.
func (c candidate) label() string {
	if c.Host == "" || strings.HasPrefix(c.Name, c.Host) {
		return c.Name
	}
	return c.Name + " (of " + c.Host + ")"
}

func lowest(targets []Target) uint16 {
	least := uint16(0)
	for i, t := range targets {
		if i == 0 || t.Priority < least {
			least = t.Priority
		}
	}
	return least
}

// maxWeight is the greatest weight of a server, see proxy.Server.
const maxWeight = 1000

// weights brings the weights of SRV, up to 65535, into the range of servers, in
// proportion among those of one priority. Weight 0 is a very small share, not none
// (RFC 2782).
func weights(targets []Target) []int {
	most := make(map[uint16]int)
	for _, t := range targets {
		most[t.Priority] = max(most[t.Priority], int(t.Weight))
	}
	out := make([]int, len(targets))
	for i, t := range targets {
		w := int(t.Weight)
		if m := most[t.Priority]; m > maxWeight {
			w = w * maxWeight / m
		}
		out[i] = max(w, 1)
	}
	return out
}
