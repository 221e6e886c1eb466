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

	twoSince  time.Time   // zero: fewer than two are Active
	noneSince time.Time   // zero: somebody holds the addresses
	wasFit    []time.Time // the nodes' fit at the last look
	worstTwo  time.Duration
	worstNone time.Duration
	violation error
}

// look is called after every event. What it saw at the last look has lasted
// until now.
func (j *judge) look() {
	now := j.network.now
	j.condemn(now)

	var active, holders int
	for _, nd := range j.network.nodes {
		if !nd.holds() {
			continue
		}
		holders++
		if nd.role() == vrrp.Active {
			active++
		}
	}
	j.twoSince = since(j.twoSince, now, active >= 2)
	j.noneSince = since(j.noneSince, now, holders == 0)
	j.wasFit = j.wasFit[:0]
	for _, nd := range j.network.nodes {
		j.wasFit = append(j.wasFit, nd.fit)
	}
}

// condemn measures what was the case until now.
func (j *judge) condemn(now time.Time) {
	if !j.twoSince.IsZero() && j.overlap > 0 {
		d := now.Sub(later(j.twoSince, j.workingSince))
		j.worstTwo = max(j.worstTwo, d)
		if d > j.overlap {
			j.find(fmt.Errorf("two have been Active together for %v, more than %v", d, j.overlap))
		}
	}
	if !j.noneSince.IsZero() && j.gap > 0 {
		for i, fit := range j.wasFit {
			if fit.IsZero() {
				continue
			}
			d := now.Sub(later(j.noneSince, fit))
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
