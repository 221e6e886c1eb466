package vrrp

import (
	"slices"
	"time"
)

// A Group is virtual routers of one node that are Active together or not at all,
// like those of the two address families of a service. It is not safe for
// concurrent use, together with its routers.
//
// Each router listens, waits and counts for itself. What it leaves to the Group
// is to become Active: a Backup whose Active_Down_Timer expires, or whose Active
// router is proven dead, is merely due. The driver hands every event to the
// routers as it comes, and calls Settle once it has handed over all there are.
type Group struct {
	routers []*Router
	outputs []Output
}

// NewGroup returns a Group of the routers, in their order, which is to be the
// same on all nodes, as are their parameters but for Self. A router belongs to
// one Group, the newest that it was given to; in a Group of its own it is as free
// as without one.
func NewGroup(routers ...*Router) *Group {
	for _, r := range routers {
		r.grouped = len(routers) > 1
	}
	return &Group{routers: slices.Clone(routers), outputs: make([]Output, len(routers))}
}

// Settle brings the routers together, and returns what each of them asks for, in
// their order. The slice is good until the next call.
//
// When each of them is Active or due, those that are due become Active. Otherwise
// one waits, and every other that is Active yields: it resigns, and becomes
// Backup. A router in Init waits like a Backup. Since nothing is remembered from
// one call to the next, it does not matter in which order things happened.
func (g *Group) Settle(now time.Time) []Output {
	for i, r := range g.routers {
		g.outputs[i] = r.wake(now)
	}
	waiting := slices.IndexFunc(g.routers, func(r *Router) bool { return r.status.Role != Active && !r.due() })
	for i, r := range g.routers {
		switch {
		case waiting < 0 && r.due():
			r.becomeActive(now, r.claim(now), &g.outputs[i])
		case waiting >= 0 && r.status.Role == Active:
			r.yield(now, reasonGroup(g.routers[waiting]), &g.outputs[i])
			if waiting == 0 {
				// Two groups of equal priority can lose to each other at once, when
				// the higher address is on one side in one family and on the other
				// in the other. The side that won the first router comes first.
				r.deadline = r.deadline.Add(r.params.Interval)
			}
		}
	}
	return g.outputs
}

// yield lets go of the addresses for the sake of the Group.
func (r *Router) yield(now time.Time, why Reason, out *Output) {
	r.send(priorityResigned, out)
	r.becomeBackup(now, r.params.Interval, why, out)
}
