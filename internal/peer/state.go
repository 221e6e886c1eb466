// Package peer tells the nodes of a cluster about each other: who lives, and
// what each believes of itself. It informs people and later decisions; no
// failover waits for it.
package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

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
}

// VIP is what a node says of one of its virtual routers, by whose names VIPs has it.
type VIP struct {
	Role  vrrp.Role
	Epoch uint64 // of its newest announcement; 0: none
	// Source is the address that it advertises from.
	Source netip.Addr `json:",omitzero"`
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

// maxState bounds what is accepted from the network.
const maxState = 1 << 20

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
	for name, v := range s.VIPs {
		if v.Epoch > maxEpoch {
			return State{}, fmt.Errorf("decode peer state: epoch %d of VIP %q is out of range", v.Epoch, name)
		}
	}
	return s, nil
}

// View is what this node knows of another.
type View struct {
	Name    string
	Address netip.Addr
	Alive   bool
	Since   time.Time // when Alive last changed
	State   *State    // the newest heard; nil when none was
	Err     error     // why the newest call to it failed; nil while it is alive

	// returned: it has come alive, and not spoken since. If it is another process
	// now, its clock may be behind that of the one before.
	returned bool
}

// takes reports whether s is news.
func (v *View) takes(s State) bool {
	return v.State == nil || s.newer(*v.State) || v.returned && !s.Started.Equal(v.State.Started)
}
