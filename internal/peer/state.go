// Package peer tells the nodes of a cluster about each other: who lives, and
// what each believes of itself. It informs people and later decisions; no
// failover waits for it.
package peer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/tickets"
	"github.com/tandemlb/tandem/vrrp"
)

// State is what a node says of itself.
type State struct {
	Node       string
	Started    time.Time // of the process; a later one begins a new history
	Seq        uint64    // grows with each change since Started
	Version    string    // of the software
	ConfigHash string
	Fit        bool
	Demoted    bool   // fit, but its peer is the better one
	Reason     string // why it is unfit or demoted
	VIPs       map[string]VIP
	// Servers says how many servers the node checks, and Reachable how many of
	// them it does not hold for dead.
	Servers, Reachable int
	// Lost says for each group of VIPs, by its name, what the node misses of what
	// they track; mostly nothing.
	Lost  map[string][]Lost `json:",omitempty"`
	Slept Sleep             `json:",omitzero"`
	// Tickets are the keys of session tickets that the node knows. They are said where
	// the talk is encrypted, and believed there alone.
	Tickets []tickets.Key `json:",omitempty"`
	// Events says which events the node has; nil: it takes none.
	Events *Events `json:",omitempty"`
}

// Events says which events of the nodes a node has.
type Events struct {
	Boot uint64 // of its own process
	// Have is, for each node, up to where it has them; of itself, of what was before Boot.
	Have map[string]Mark
}

// Mark is a place in the sequence of the events of one node: behind the event of
// that number. The zero Mark is before all of them.
type Mark struct{ Boot, Seq uint64 }

// Compare orders marks.
func (m Mark) Compare(o Mark) int {
	return cmp.Or(cmp.Compare(m.Boot, o.Boot), cmp.Compare(m.Seq, o.Seq))
}

// Lost is something that a node tracks and misses.
type Lost struct {
	What  string    // as "interface eth1" or "gateway 192.0.2.1"
	Since time.Time // by the clock of the node that says so
}

// Sleep is the newest stall of a node's agent; zero when there was none.
type Sleep struct {
	At    time.Time     // when it ended, by the clock of the node that says so
	For   time.Duration // how long it lasted
	Count uint64        // how many there were since the agent started
}

// VIP is what a node says of one of its virtual routers, by whose names VIPs has it.
type VIP struct {
	Role     vrrp.Role
	Priority uint8  // effective
	Epoch    uint64 // of its newest announcement; 0: none
	// Source is the address that it advertises from.
	Source netip.Addr `json:",omitzero"`
	Since  time.Time  `json:",omitzero"`  // of Role, by its clock
	Reason string     `json:",omitempty"` // of Role
}

// newer reports whether s was said after o.
func (s State) newer(o State) bool {
	if !s.Started.Equal(o.Started) {
		return s.Started.After(o.Started)
	}
	return s.Seq > o.Seq
}

// maxEpoch leaves room to count on: no pair announces so often.
const maxEpoch = 1 << 62

// What is accepted from the network is bounded: in bytes altogether, in bytes of a
// text, and in the entries of each collection. A pair of hundreds of VIPs stays
// far below.
const (
	maxState   = 1 << 20
	maxText    = 4 << 10
	maxEntries = 4096
)

func decode(b []byte) (State, error) {
	var s State
	if len(b) > maxState {
		return s, fmt.Errorf("decode peer state: %d bytes exceed the limit of %d", len(b), maxState)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("decode peer state: %w", err)
	}
	if s.Node == "" {
		return State{}, errors.New("decode peer state: it names no node")
	}
	if err := s.validate(); err != nil {
		return State{}, fmt.Errorf("decode peer state: %w", err)
	}
	return s, nil
}

// validate refuses what no node says.
func (s State) validate() error {
	if len(s.VIPs) > maxEntries || len(s.Lost) > maxEntries {
		return fmt.Errorf("%d VIPs and %d groups exceed the limit of %d", len(s.VIPs), len(s.Lost), maxEntries)
	}
	texts := []string{s.Node, s.Version, s.ConfigHash, s.Reason}
	for name, v := range s.VIPs {
		if v.Epoch > maxEpoch {
			return fmt.Errorf("epoch %d of VIP %q is out of range", v.Epoch, name)
		}
		texts = append(texts, name, v.Reason)
	}
	if s.Events != nil {
		if len(s.Events.Have) > maxEntries {
			return fmt.Errorf("marks of %d nodes exceed the limit of %d", len(s.Events.Have), maxEntries)
		}
		for name := range s.Events.Have {
			texts = append(texts, name)
		}
	}
	if err := tickets.Validate(s.Tickets); err != nil {
		return err
	}
	for group, lost := range s.Lost {
		if len(lost) > maxEntries {
			return fmt.Errorf("group %q misses %d things, more than the limit of %d", group, len(lost), maxEntries)
		}
		texts = append(texts, group)
		for _, l := range lost {
			texts = append(texts, l.What)
		}
	}
	for _, text := range texts {
		if len(text) > maxText {
			return fmt.Errorf("a text of %d bytes exceeds the limit of %d", len(text), maxText)
		}
	}
	switch {
	case s.Slept.For < 0:
		return fmt.Errorf("a sleep of %v is negative", s.Slept.For)
	case s.Servers < 0 || s.Reachable < 0 || s.Reachable > s.Servers:
		return fmt.Errorf("%d reachable of %d servers are impossible", s.Reachable, s.Servers)
	}
	return nil
}

// clip shortens a text to what others accept.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-len("...")], "") + "..."
}

// clipped is clip for the reasons of VIPs. What it is given stays as it is.
func clipped(vips map[string]VIP) map[string]VIP {
	vips = maps.Clone(vips)
	for name, v := range vips {
		v.Reason = clip(v.Reason)
		vips[name] = v
	}
	return vips
}

// View is what this node knows of another.
type View struct {
	Name    string
	Address netip.Addr
	Alive   bool
	Since   time.Time // when Alive last changed
	State   *State    // the newest heard; nil when none was
	Heard   time.Time // when the process that State is of spoke last
	Err     error     // why the newest call to it failed; nil while it is alive

	// returned: it has come alive, and not spoken since. If it is another process
	// now, its clock may be behind that of the one before.
	returned bool
}

// Drifts reports whether the node runs another config than the one of that hash. One that
// has only just started has not said which.
func (v View) Drifts(hash string) bool {
	return v.State != nil && v.State.ConfigHash != "" && v.State.ConfigHash != hash
}

// supersedeAfter is how long a process must have been silent for another one of the
// node to be believed although its clock is behind: it was quicker to come back than
// anybody was to notice. Nothing is under way for so long.
const supersedeAfter = 3 * time.Second

// Hear takes in what the node said, and reports whether it is news.
func (v *View) Hear(s State, now time.Time) bool {
	same := v.State != nil && s.Started.Equal(v.State.Started)
	news := v.State == nil || s.newer(*v.State) || !same && (v.returned || now.Sub(v.Heard) >= supersedeAfter)
	if same || news {
		v.Heard = now
	}
	if news {
		v.State, v.returned = &s, false
	}
	return news
}

// Notice takes note of whether the node is alive, and reports whether that is news.
func (v *View) Notice(alive bool, now time.Time) bool {
	if v.Alive == alive {
		return false
	}
	v.Alive, v.Since, v.returned, v.Err = alive, now, alive, nil
	return true
}
