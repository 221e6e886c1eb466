package main

import (
	"maps"
	"slices"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// What can become of a request, beside a status.
const (
	served    = "ok"
	timedOut  = "timeout"   // no answer for as long as a client waits
	reset     = "reset"     // the connection was reset
	ended     = "closed"    // the connection ended before an answer
	refused   = "refused"   // there was no connection
	unsent    = "not sent"  // all connections that the clients may have were busy
	malformed = "malformed" // something else came
)

// A sample is one request.
type sample struct {
	at   time.Duration // when it was to be sent, from the beginning of the load
	took time.Duration // from then until it ended
	kind string        // what became of it
}

// A tally sums up the requests of a time.
type tally struct {
	period    time.Duration
	kinds     map[string]int  // how many there were of each
	latencies []time.Duration // sorted: of those that were served
	denials   []time.Duration // sorted: of those that ended otherwise
}

// tallied sums up the samples that were to be sent in [from, to).
func tallied(samples []sample, from, to time.Duration) tally {
	t := tally{period: to - from, kinds: make(map[string]int)}
	for _, s := range samples {
		if s.at < from || s.at >= to {
			continue
		}
		t.kinds[s.kind]++
		if s.kind == served {
			t.latencies = append(t.latencies, s.took)
		} else {
			t.denials = append(t.denials, s.took)
		}
	}
	slices.Sort(t.latencies)
	slices.Sort(t.denials)
	return t
}

func (t tally) total() (n int) {
	for _, count := range t.kinds {
		n += count
	}
	return n
}

// goodput returns how many requests a second were served.
func (t tally) goodput() float64 { return float64(t.kinds[served]) / t.period.Seconds() }

// failed returns the share of the requests that were not served.
func (t tally) failed() float64 {
	if n := t.total(); n > 0 {
		return 1 - float64(t.kinds[served])/float64(n)
	}
	return 0
}

// p99 returns the latency that one of a hundred served requests exceeded.
func (t tally) p99() time.Duration { return side.Quantile(t.latencies, 0.99) }

// failures returns what became of requests, other than to be served, the most
// frequent first.
func (t tally) failures() []string {
	all := slices.DeleteFunc(slices.Sorted(maps.Keys(t.kinds)), func(k string) bool { return k == served })
	slices.SortStableFunc(all, func(a, b string) int { return t.kinds[b] - t.kinds[a] })
	return all
}

// A bound is what a proxy must hold for a rate not to have broken it.
type bound struct {
	p99    time.Duration
	failed float64 // share of the requests
}

// holds reports whether the requests were answered as they should be.
func (b bound) holds(t tally) bool {
	return t.total() > 0 && t.failed() <= b.failed && t.p99() <= b.p99
}

// bucket is how finely a recovery is looked at.
const bucket = 250 * time.Millisecond

// recovery returns how long after the moment from it took until the bound held for
// the rest of the time up to end, and whether it did.
func (b bound) recovery(samples []sample, from, end time.Duration) (time.Duration, bool) {
	broken := from
	for at := from; at+bucket <= end; at += bucket {
		if !b.holds(tallied(samples, at, at+bucket)) {
			broken = at + bucket
		}
	}
	return broken - from, broken+bucket <= end
}
