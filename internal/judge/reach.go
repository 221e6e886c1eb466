package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/proxy"
)

// unreachableFor is how long at least a node reaches no server, while its peer
// does, before it yields.
const unreachableFor = 2 * time.Second

// Servers is what a node knows of the servers of its pools.
type Servers struct {
	Checked   int // those with a check: the others say nothing
	Reachable int // those of them that are not held for dead
	// Notices is how long a peer may take to notice that they are down (Notices).
	Notices time.Duration
}

// Reach judges whether this node is the wrong one for the VIPs because it reaches
// no server while its peer does. When neither reaches one, nobody moves. Its zero
// value is that of a node that leads as it should.
type Reach struct {
	lost time.Time // since when it reaches none and the peer does; zero: it is not so
	back bool      // it stands back
	good time.Time // since when it is better again, while it stands back
}

// Look takes in what this node's worker and the peers that are alive say, and
// returns why this node is to stand back, or "".
func (r *Reach) Look(now time.Time, own Servers, peers []peer.State) string {
	better := slices.IndexFunc(peers, func(p peer.State) bool { return p.Fit && p.Reachable > 0 })
	switch {
	case len(peers) == 0:
		*r = Reach{} // nobody to stand back for
		return ""
	case own.Checked == 0 || own.Reachable > 0 || better < 0:
		return r.recover(now)
	}
	r.good = time.Time{}
	if r.lost.IsZero() {
		r.lost = now
	}
	r.back = r.back || now.Sub(r.lost) >= max(unreachableFor, own.Notices)
	if !r.back {
		return ""
	}
	return fmt.Sprintf("it reaches none of its servers, and %s does", peers[better].Node)
}

// recover is Look while this node is no worse than its peers.
func (r *Reach) recover(now time.Time) string {
	r.lost = time.Time{}
	if r.back && r.good.IsZero() {
		r.good = now
	}
	r.back = r.back && now.Sub(r.good) < SteadyFor
	if !r.back {
		return ""
	}
	return "it reached none of its servers a moment ago"
}

// Notices returns how long a peer may take to notice that the servers are down: it
// has its checks only, this node has traffic too. Before that the two do not speak
// of the same moment.
func Notices(spec proxy.Spec) time.Duration {
	var longest time.Duration
	for _, p := range spec.Pools {
		if c := p.Check; c.Kind != proxy.CheckNone {
			longest = max(longest, time.Duration(c.Fall)*c.Every*11/10+c.Timeout)
		}
	}
	return longest
}
