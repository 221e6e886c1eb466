package balance

import "time"

// leastResponseTime takes the candidate that would answer first: its time to answer,
// for each request that it would have then, by its weight. Of one that nobody knows
// the time is taken to be that of the quickest that is known, so that it is neither
// passed over nor flooded.
type leastResponseTime struct{ least }

// Pick implements Policy.
func (l *leastResponseTime) Pick(c Candidates, _ Need) int {
	quickest := time.Duration(0)
	for i := range l.n {
		if t := c.Time(i); t > 0 && (quickest == 0 || t < quickest) && c.Usable(i) {
			quickest = t
		}
	}
	quickest = max(quickest, 1)
	return l.pick(c, func(i int, w int64) float64 {
		t := c.Time(i)
		if t == 0 {
			t = quickest
		}
		return float64(t) * float64(c.Load(i)+1) / float64(w)
	})
}
