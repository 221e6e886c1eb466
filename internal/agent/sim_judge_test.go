package agent

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// simJudge watches for what must never be.
type simJudge struct {
	down      time.Duration
	quickest  time.Duration // interval of any node
	err       error
	disturbed time.Time // when the world was disturbed last
	two, none time.Time // since when two have the addresses, and none has
	said      rate      // announcements, over all nodes
	worstTwo  time.Duration
	worstNone time.Duration
}

func (j *simJudge) announced(n *simNode) {
	now := n.w.now
	n.w.logf("%s: announces", n)
	// A handful of addresses, one burst a second at most beyond the first five.
	if said := j.said.add(now); said > 25*len(n.w.nodes)*len(n.routers) {
		j.err = fmt.Errorf("%d announcements in a second", said)
	}
}

// rate counts what happens within a second.
type rate struct {
	since time.Time
	count int
}

func (r *rate) add(now time.Time) int {
	if now.Sub(r.since) >= time.Second {
		*r = rate{since: now}
	}
	r.count++
	return r.count
}

func (j *simJudge) advertised(n *simNode) {
	// Its own, and as many again in answer to each of the others.
	most := (int(time.Second/j.quickest)*2*len(n.w.nodes) + 20) * len(n.routers)
	if sent := n.sent.add(n.w.now); sent > most {
		j.err = fmt.Errorf("%s advertises %d times in a second", n, sent)
	}
}

// look judges the world as it is now, from outside: by who has the addresses.
func (j *simJudge) look(w *world) {
	if j.err != nil {
		return
	}
	owners, able := 0, 0
	for _, n := range w.nodes {
		if !n.alive || n.stalled {
			j.lease(w, n)
			continue
		}
		n.idle = time.Time{}
		j.oneRole(n)
		if n.linkDown {
			continue
		}
		if n.has() {
			owners++
		}
		if n.fit {
			able++
		}
	}
	calm := w.loss == 0 && w.cut == [3][3]bool{}
	j.spell(w, &j.two, owners > 1 && calm, j.down+handover, &j.worstTwo, "two have the addresses")
	j.spell(w, &j.none, owners == 0 && able > 0, j.down+handover, &j.worstNone, "nobody has the addresses")
}

// handover is how long the addresses of two may overlap beside the down interval,
// and what netlink may add.
const handover = 50*time.Millisecond + 2*simNetlink

// spell finds out whether something lasts too long without being disturbed.
func (j *simJudge) spell(w *world, since *time.Time, is bool, most time.Duration, worst *time.Duration, what string) {
	if !is {
		*since = time.Time{}
		return
	}
	if since.IsZero() {
		*since = w.now
	}
	begin := *since
	if j.disturbed.After(begin) {
		begin = j.disturbed
	}
	lasted := w.now.Sub(begin)
	*worst = max(*worst, lasted)
	if lasted > most {
		j.err = fmt.Errorf("%s for %v, more than %v", what, lasted, most)
	}
}

// lease checks that a node that does not run has no address for longer than the lease.
func (j *simJudge) lease(w *world, n *simNode) {
	if !n.has() {
		n.idle = time.Time{}
		return
	}
	if n.idle.IsZero() {
		n.idle = w.now
	}
	if lasted := w.now.Sub(n.idle); lasted > n.routers[0].Lease {
		j.err = fmt.Errorf("%s does not run, and has its addresses for %v, longer than the lease of %v", n, lasted, n.routers[0].Lease)
	}
}

// oneRole checks that the routers of a node are Active together or not at all,
// between its steps.
func (j *simJudge) oneRole(n *simNode) {
	if len(n.routers) < 2 {
		return
	}
	if a, b := n.core.instances[0].vr.Role(), n.core.instances[1].vr.Role(); (a == vrrp.Active) != (b == vrrp.Active) {
		j.err = fmt.Errorf("%s is %v for one family and %v for the other", n, a, b)
	}
}
