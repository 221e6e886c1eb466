package probe

import (
	"slices"
	"time"
)

// Outages finds the stretches without an answer in what a prober reports, as it comes.
// The zero value is ready. It keeps no more than what is not settled.
type Outages struct {
	Total Totals
	// Longest is the longest outage that is over.
	Longest time.Duration

	waiting []Sample // not settled
	present Outage   // what has failed since the last answer, which may be nothing
}

// An Outage is a stretch in which no request was answered, from the start of the last
// one that was to the start of the next one. It had at least one that failed.
type Outage struct {
	From, For time.Duration // From is since the prober's beginning
	Failed    int
	Failures  map[Failure]int // Failed by kind
}

// Add takes in a batch, and returns the outages that are known to be over.
func (o *Outages) Add(b Batch) []Outage {
	o.waiting = append(o.waiting, b.Samples...)
	Sort(o.waiting)
	settled := slices.IndexFunc(o.waiting, func(s Sample) bool { return s.Start >= b.Settled })
	if settled < 0 {
		settled = len(o.waiting)
	}
	var over []Outage
	for _, s := range o.waiting[:settled] {
		o.Total.Requests++
		if s.Failure != "" {
			o.Total.Failed++
			o.present.fail(s.Failure)
			continue
		}
		if k, ongoing := o.Ongoing(s.Start); ongoing {
			over = append(over, k)
			o.Longest = max(o.Longest, k.For)
		}
		o.present = Outage{From: s.Start}
	}
	o.waiting = slices.Delete(o.waiting, 0, settled)
	return over
}

func (k *Outage) fail(f Failure) {
	k.Failed++
	if k.Failures == nil {
		k.Failures = map[Failure]int{}
	}
	k.Failures[f]++
}

// Ongoing returns the outage that lasts, as of the newest batch, which was about the
// time until then; ok is false when there is none.
func (o *Outages) Ongoing(until time.Duration) (outage Outage, ok bool) {
	k := o.present
	k.For = until - k.From
	return k, k.Failed > 0
}
