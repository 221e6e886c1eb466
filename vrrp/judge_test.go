package vrrp_test

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// A judge watches a network and finds that too many hold the addresses, or
// nobody, for too long. Frozen nodes do not count: what becomes of their
// addresses is not the election's doing.
type judge struct {
	network *network

	overlap      time.Duration // the longest time two may be Active together; 0: do not look
	gap          time.Duration // the longest time nobody may hold the addresses; 0: do not look
	workingSince time.Time     // the channel loses nothing since
	misledSince  time.Time     // a node that slept acts on old news, and spreads it

	channels  []lasting
	wasFit    []time.Time // the nodes' fit at the last look
	worstTwo  time.Duration
	worstNone time.Duration
	violation error
}

// lasting is what is the case on one channel.
type lasting struct {
	two  time.Time // since when two are Active; zero: fewer are
	none time.Time // since when nobody holds the addresses; zero: somebody does
}

// look is called after every event. What it saw at the last look has lasted
// until now.
func (j *judge) look() {
	now := j.network.now
	if j.channels == nil && len(j.network.nodes) > 0 {
		j.channels = make([]lasting, len(j.network.nodes[0].params))
	}
	for i := range j.channels {
		c := &j.channels[i]
		j.condemn(now, c)
		var active, holders int
		for _, nd := range j.network.nodes {
			if !nd.holds(i) {
				continue
			}
			holders++
			if nd.roleOn(i) == vrrp.Active {
				active++
			}
		}
		c.two = since(c.two, now, active >= 2)
		c.none = since(c.none, now, holders == 0)
	}
	j.wasFit = j.wasFit[:0]
	for _, nd := range j.network.nodes {
		j.wasFit = append(j.wasFit, nd.fit)
	}
}

// lookInto is called after every turn of a node: its routers are Active together
// or not at all.
func (j *judge) lookInto(nd *node) {
	for i := range nd.params {
		if a, b := nd.roleOn(0), nd.roleOn(i); (a == vrrp.Active) != (b == vrrp.Active) {
			j.find(fmt.Errorf("%s is %v and %s is %v", nd.on(0), a, nd.on(i), b))
		}
	}
}

// condemn measures what was the case until now.
func (j *judge) condemn(now time.Time, c *lasting) {
	if !c.two.IsZero() && j.overlap > 0 {
		d := now.Sub(later(c.two, j.workingSince))
		j.worstTwo = max(j.worstTwo, d)
		if d > j.overlap {
			j.find(fmt.Errorf("two have been Active together for %v, more than %v", d, j.overlap))
		}
	}
	if !c.none.IsZero() && j.gap > 0 {
		for i, fit := range j.wasFit {
			if fit.IsZero() {
				continue
			}
			d := now.Sub(later(later(c.none, fit), j.misledSince))
			j.worstNone = max(j.worstNone, d)
			if d > j.gap {
				j.find(fmt.Errorf("nobody holds the addresses since %v, more than %v, though %s could",
					d, j.gap, j.network.nodes[i].name))
			}
		}
	}
}

func (j *judge) find(err error) {
	if j.violation == nil {
		j.network.logf("VIOLATION: %v", err)
		j.violation = err
	}
}

// since keeps the time at which a condition began to hold.
func since(t, now time.Time, holds bool) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case t.IsZero():
		return now
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
