package balance

import "sync/atomic"

// RoundRobin takes the usable candidates in turn. The zero value starts with the
// first.
type RoundRobin struct {
	next atomic.Uint32
}

var _ Policy = (*RoundRobin)(nil)

// Pick implements Policy.
func (r *RoundRobin) Pick(n int, usable func(i int) bool) int {
	for {
		start := r.next.Load()
		i := firstUsable(int(start), n, usable)
		if i < 0 {
			return -1
		}
		// The turn continues behind the candidate that was found, not behind the
		// one where the search began: else the neighbour of an unusable
		// candidate would get its share as well as its own.
		if r.next.CompareAndSwap(start, uint32((i+1)%n)) {
			return i
		}
	}
}

func firstUsable(start, n int, usable func(i int) bool) int {
	for k := range n {
		if i := (start + k) % n; usable(i) {
			return i
		}
	}
	return -1
}
