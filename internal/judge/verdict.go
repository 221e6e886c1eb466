// Package judge holds a node's judgement of itself and of its peer: what a silence
// means, whose announcement is the last, and whether this node is the one to lead.
// It is pure: the caller brings the time and what both nodes say.
package judge

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// DoubtFor is how long something must be so before it is given a name: roles
	// cross on their way between the nodes whenever the VIP moves.
	DoubtFor = time.Second
	// SteadyFor is how long a node that yielded must be good before it may lead
	// again, so that a network that comes and goes does not move the VIP each time.
	SteadyFor = 5 * time.Second
)

// Verdict names what a node makes of its peer, from two channels: VRRP on the
// network of the VIP, and gossip between the nodes' own addresses.
type Verdict string

// The verdicts. None delays a takeover: they say afterwards what happened.
const (
	NoDoubt   Verdict = ""
	Death     Verdict = "death"      // both channels are silent
	Cut       Verdict = "cut"        // gossip works, VRRP does not: both nodes are Active
	GossipCut Verdict = "gossip_cut" // VRRP works, gossip does not
)

// Explain says what a verdict means, for an operator; "" for NoDoubt.
func (v Verdict) Explain() string {
	switch v {
	case Death:
		return "silent on both channels: it was stopped, it is dead, or all its networks are"
	case Cut:
		return "both nodes are active: the network of the VIP is cut between them, while gossip works"
	case GossipCut:
		return "its advertisements are heard, its gossip is not: the gossip's port is blocked, or the network of the nodes' addresses is cut"
	default:
		return ""
	}
}

// Assess returns the verdict on a peer as of now, before any Doubt is given time.
// own is what this node's agent says, and died whether the peer's kernel has told of
// the death of its process: gossip takes longer to notice.
func Assess(now time.Time, own []ipc.RouterState, died bool, v peer.View) Verdict {
	switch {
	case v.State == nil:
		return NoDoubt // it may never have been there
	case died:
		return Death
	case !v.Alive && slices.ContainsFunc(own, func(r ipc.RouterState) bool { return Hears(now, r, v) }):
		return GossipCut
	case !v.Alive:
		return Death
	}
	for _, r := range own {
		if r.Status.Role == vrrp.Active && v.State.VIPs[r.Name].Role == vrrp.Active && !resigned(r, v) {
			return Cut
		}
	}
	return NoDoubt
}

// resigned reports whether the newest word of a peer's router is that it resigned: a
// node whose supervisor dies says so by VRRP, and has nobody left to gossip.
func resigned(r ipc.RouterState, v peer.View) bool {
	from := Source(r.Name, v)
	return slices.ContainsFunc(r.Status.Peers, func(p vrrp.PeerStatus) bool {
		return p.Address == from && p.Priority == 0 && !p.Heard.Before(v.Heard)
	})
}

// Hears reports whether the advertisements of the peer, as the Active router,
// arrive at r.
func Hears(now time.Time, r ipc.RouterState, v peer.View) bool {
	s := r.Status
	return s.Role == vrrp.Backup && s.Peer.IsValid() && s.Peer == Source(r.Name, v) && now.Sub(s.PeerHeard) < 4*s.Interval+DoubtFor
}

// Source returns the address from which a peer advertises for a router: as it
// says, or else its own.
func Source(router string, v peer.View) netip.Addr {
	if v.State != nil && v.State.VIPs[router].Source.IsValid() {
		return v.State.VIPs[router].Source
	}
	return v.Address
}

// Doubt gives a verdict the time to be one. Its zero value has none.
type Doubt struct {
	Verdict   Verdict
	Since     time.Time // of Verdict; zero until the first one
	candidate Verdict
	appeared  time.Time // when candidate did
}

// Look takes in an assessment and reports whether the verdict has changed.
func (d *Doubt) Look(now time.Time, assessed Verdict) bool {
	if assessed != d.candidate || d.appeared.IsZero() {
		d.candidate, d.appeared = assessed, now
	}
	if d.candidate == d.Verdict || now.Sub(d.appeared) < DoubtFor {
		return false
	}
	d.Verdict, d.Since = d.candidate, d.appeared
	return true
}

// Facts returns what gossip says of the peers, for the election.
func Facts(views []peer.View) vrrp.Facts {
	f := vrrp.Facts{}
	for _, v := range views {
		switch {
		case v.Alive:
			return vrrp.Facts{PeerAlive: vrrp.Yes}
		case v.State != nil:
			f.PeerAlive = vrrp.No
		}
	}
	return f
}

// DownInterval returns for how long the Active router must be silent for a Backup
// to take over (RFC 9568, section 6.1; RFC 3768, section 6.1).
func DownInterval(p vrrp.Params, s vrrp.Status) time.Duration {
	unit := s.Interval
	if p.Version == 2 {
		unit = time.Second
	}
	return 3*s.Interval + unit*(256-time.Duration(s.Priority))/256
}
