package balance

import "sync/atomic"

// leastConnections takes the candidate with the least to do for its weight; of those
// that are alike, each in turn.
type leastConnections struct {
	n    int
	next atomic.Uint32
}

// Pick implements Policy.
func (l *leastConnections) Pick(c Candidates, _ Need) int {
	start := int(l.next.Add(1)-1) % max(l.n, 1)
	best := -1
	var load, weight int64
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
		// As it would be with this request: (load+1)/weight, without a division.
		if n := c.Load(i) + 1; best < 0 || n*weight < load*w {
			best, load, weight = i, n, w
		}
	}
	return best
}
