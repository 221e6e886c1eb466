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
// same on all nodes. Within a node they have one priority and one mode of
// preemption. A router belongs to one Group, the newest that it was given to; in a
// Group of its own it is as free as without one.
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
// Backup. A router in Init waits like a Backup. Only what the routers are counts,
// not in which order they came to be so.
func (g *Group) Settle(now time.Time) []Output {
	for i, r := range g.routers {
		g.outputs[i] = r.wake(now)
	}
	waiting := slices.IndexFunc(g.routers, func(r *Router) bool { return r.status.Role != Active && !r.due() })
	// Of groups of equal priority each can have the highest address in one family,
	// so that they lose to each other at once, and would again if they came back
	// at once. The one that had won the first router comes first.
	first := waiting > 0 && g.routers[0].status.Role == Active && g.routers[waiting].knowsEqual()
	for i, r := range g.routers {
		switch {
		case waiting < 0 && r.due():
			r.becomeActive(now, r.claim(now), &g.outputs[i])
		case waiting >= 0 && r.status.Role == Active:
			r.send(priorityResigned, &g.outputs[i])
			r.becomeBackup(now, r.params.Interval, reasonGroup(g.routers[waiting]), &g.outputs[i])
		}
		if first && r.status.Role == Backup && !r.due() {
			r.hurry(now)
		}
	}
	return g.outputs
}

// knowsEqual reports whether the router heard last has the Router's priority.
func (r *Router) knowsEqual() bool { return r.status.PeerPriority == r.status.Priority }

// hurry lets a Backup take over from silence an interval sooner than others do,
// whatever it still hears of those that have just lost.
func (r *Router) hurry(now time.Time) {
	r.hurried = now.Add(r.downInterval())
	if sooner := r.hurried.Add(-r.status.Interval); sooner.Before(r.deadline) {
		r.deadline = sooner
	}
}
