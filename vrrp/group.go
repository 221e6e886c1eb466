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
		case waiting == 0 && r.status.Role == Active && g.routers[0].knowsEqual():
			// Of two groups of equal priority each can have the higher address in
			// one family, so that they lose to each other at once. They would do so
			// again if they came back at once: the one that won the first router is
			// to come first.
			r.yielding = now.Add(r.downInterval() + r.params.Interval)
			r.yield(now, g.routers[0], &g.outputs[i])
		case waiting >= 0 && r.status.Role == Active:
			r.yield(now, g.routers[waiting], &g.outputs[i])
		}
	}
	return g.outputs
}

// knowsEqual reports whether the router heard last has the Router's priority.
func (r *Router) knowsEqual() bool { return r.status.PeerPriority == r.status.Priority }

// yield lets go of the addresses for the sake of the Group, in which cause waits.
func (r *Router) yield(now time.Time, cause *Router, out *Output) {
	r.send(priorityResigned, out)
	r.becomeBackup(now, r.params.Interval, reasonGroup(cause), out)
}
