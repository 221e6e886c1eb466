package balance

import (
	"sync/atomic"
	"time"
)

// leastResponseTime takes the candidate that would answer first: its time to answer,
// for each request that it would have then, by its weight. Of one that nobody knows
// the time is taken to be that of the quickest that is known, so that it is neither
// passed over nor flooded.
type leastResponseTime struct {
	n    int
	next atomic.Uint32
}

// Pick implements Policy.
func (l *leastResponseTime) Pick(c Candidates, _ Need) int {
	quickest := time.Duration(0)
	for i := range l.n {
		if t := c.Time(i); t > 0 && (quickest == 0 || t < quickest) && c.Usable(i) {
			quickest = t
		}
	}
	quickest = max(quickest, 1)
	start := int(l.next.Add(1)-1) % max(l.n, 1)
	best, cost := -1, 0.0
	for k := range l.n {
		i := start + k
		if i >= l.n {
			i -= l.n
		}
		if !c.Usable(i) {
			continue
		}
		w := c.Weight(i)
		if w == 0 {
			continue
		}
		t := c.Time(i)
		if t == 0 {
			t = quickest
		}
		if x := float64(t) * float64(c.Load(i)+1) / float64(w); best < 0 || x < cost {
			best, cost = i, x
		}
	}
	return best
}
