package balance

import "sync/atomic"

// least finds the candidate that costs least; of those that are alike, each in turn.
type least struct {
	n    int
	next atomic.Uint32
}

// pick returns the usable candidate of the lowest cost, where w is its weight.
func (l *least) pick(c Candidates, cost func(i int, w int64) float64) int {
	start := int(l.next.Add(1)-1) % max(l.n, 1)
	best, lowest := -1, 0.0
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
		if x := cost(i, w); best < 0 || x < lowest {
			best, lowest = i, x
		}
	}
	return best
}
