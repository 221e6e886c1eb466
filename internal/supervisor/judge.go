package supervisor

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// doubtFor is how long something must be so before it is given a name: roles
	// cross on their way between the nodes whenever the VIP moves.
	doubtFor = time.Second
	// unreachableFor is how long at least a node reaches no server, while its peer
	// does, before it yields.
	unreachableFor = 2 * time.Second
	// steadyFor is how long a node that yielded must be good before it may lead
	// again, so that a network that comes and goes does not move the VIP each time.
	steadyFor = 5 * time.Second
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

// explain says what a verdict means, for an operator.
func (v Verdict) explain() string {
	switch v {
	case Death:
		return "silent on both channels: it was stopped, it is dead, or all its networks are"
	case Cut:
		return "both nodes are active: the network of the VIP is cut between them, while gossip works"
	case GossipCut:
		return "its advertisements are heard, its gossip is not: port 7946 is blocked, or the network of the nodes' addresses is cut"
	default:
		return ""
	}
}

// assess returns the verdict on a peer as of now, before any doubt is given time.
func assess(own []ipc.RouterState, v peer.View, now time.Time) Verdict {
	switch {
	case v.State == nil:
		return NoDoubt // it may never have been there
	case !v.Alive && slices.ContainsFunc(own, func(r ipc.RouterState) bool { return hears(r.Status, v, now) }):
		return GossipCut
	case !v.Alive:
		return Death
	}
	for _, r := range own {
		if r.Status.Role == vrrp.Active && v.State.VIPs[r.Name].Role == vrrp.Active {
			return Cut
		}
	}
	return NoDoubt
}

// hears reports whether the peer's advertisements arrive.
func hears(s vrrp.Status, v peer.View, now time.Time) bool {
	return s.Role == vrrp.Backup && s.Peer == v.Address && now.Sub(s.PeerHeard) < 4*s.Interval+doubtFor
}

// doubt gives a verdict the time to be one.
type doubt struct {
	verdict   Verdict
	candidate Verdict
	since     time.Time // of candidate
}

// look takes in an assessment and reports whether the verdict has changed.
func (d *doubt) look(now time.Time, assessed Verdict) bool {
	if assessed != d.candidate || d.since.IsZero() {
		d.candidate, d.since = assessed, now
	}
	if d.candidate == d.verdict || now.Sub(d.since) < doubtFor {
		return false
	}
	d.verdict = d.candidate
	return true
}

// foreign returns the VIPs that a peer has announced in an epoch that this node
// has to go beyond, with that epoch: now, if it owns the VIP and the peer does not
// any more; with its next announcement, if it does not own it. So the owner's
// announcement is the last, even if neither node heard the other while both were
// Active. While both are, there is no last word to be had.
func foreign(own []ipc.RouterState, p peer.State) map[string]uint64 {
	found := map[string]uint64{}
	for _, r := range own {
		theirs := p.VIPs[r.Name]
		switch {
		case r.Holds && theirs.Role != vrrp.Active && theirs.Epoch >= r.Epoch && theirs.Epoch > 0,
			!r.Holds && theirs.Epoch > max(r.Epoch, r.Heard):
			found[r.Name] = theirs.Epoch
		}
	}
	return found
}

// reach judges whether this node is the wrong one for the VIP because it reaches
// no server while its peer does. When neither reaches one, nobody moves.
type reach struct {
	lost time.Time // since when it reaches none and the peer does; zero: it is not so
	back bool      // it stands back
	good time.Time // since when it is better again, while it stands back
}

// look takes in what the worker and the peers say, and returns why this node is
// to stand back, or "".
func (r *reach) look(now time.Time, w workerView, peers []peer.State) string {
	servers, reachable := w.servers()
	better := slices.IndexFunc(peers, func(p peer.State) bool { return p.Fit && p.Reachable > 0 })
	switch {
	case len(peers) == 0:
		*r = reach{} // nobody to stand back for
		return ""
	case servers == 0 || reachable > 0 || better < 0:
		return r.recover(now)
	}
	r.good = time.Time{}
	if r.lost.IsZero() {
		r.lost = now
	}
	r.back = r.back || now.Sub(r.lost) >= max(unreachableFor, peerNotices(w.serving.Spec))
	if !r.back {
		return ""
	}
	return fmt.Sprintf("it reaches none of its servers, and %s does", peers[better].Node)
}

// recover is look while this node is no worse than its peers.
func (r *reach) recover(now time.Time) string {
	r.lost = time.Time{}
	if r.back && r.good.IsZero() {
		r.good = now
	}
	r.back = r.back && now.Sub(r.good) < steadyFor
	if !r.back {
		return ""
	}
	return "it reached none of its servers a moment ago"
}

// peerNotices returns how long the peer may take to notice that the servers are
// down: it has its checks only, this node has traffic too. Before that the two do
// not speak of the same moment.
func peerNotices(spec proxy.Spec) time.Duration {
	var longest time.Duration
	for _, p := range spec.Pools {
		if c := p.Check; c.Kind != proxy.CheckNone {
			longest = max(longest, time.Duration(c.Fall)*c.Every*11/10+c.Timeout)
		}
	}
	return longest
}
