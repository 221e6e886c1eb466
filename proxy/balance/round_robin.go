package balance

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// maxTurns bounds the length of a round: beyond it weights are rounded.
const maxTurns = 1 << 15

// roundRobin takes the usable candidates in turn, each as often in a round as its
// weight says, and not at a stretch: with weights of 3 and 1 the round is a a b a.
type roundRobin struct {
	weights []int64 // nominal, as Candidates tell them
	turns   []int32 // the round
	next    atomic.Uint32
}

func newRoundRobin(members []Member) *roundRobin {
	r := &roundRobin{weights: make([]int64, len(members))}
	shares := sharesOf(members)
	type turn struct {
		at   float64 // in the round, from 0 to 1
		whom int32
	}
	var turns []turn
	for i, m := range members {
		r.weights[i] = int64(m.Weight) * 1000
		for k := range shares[i] {
			turns = append(turns, turn{(float64(k) + 0.5) / float64(shares[i]), int32(i)})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	for _, t := range turns {
		r.turns = append(r.turns, t.whom)
	}
	return r
}

// sharesOf returns how often each member has its turn in a round.
func sharesOf(members []Member) []int {
	sum, divisor := 0, 0
	for _, m := range members {
		sum += m.Weight
		divisor = gcd(m.Weight, divisor)
	}
	shares := make([]int, len(members))
	for i, m := range members {
		switch {
		case m.Weight == 0:
		case sum/divisor <= maxTurns:
			shares[i] = m.Weight / divisor
		default:
			shares[i] = max(1, m.Weight*maxTurns/sum)
		}
	}
	return shares
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Pick implements Policy.
func (r *roundRobin) Pick(c Candidates, n Need) int {
	if len(r.turns) == 0 {
		return -1
	}
	for {
		start := r.next.Load()
		turn, whom := r.find(c, int(start), n.Random)
		if whom < 0 {
			return -1
		}
		// The turn continues behind the one that was found, not behind the one where
		// the search began: else the neighbour of an unusable candidate would get its
		// share as well as its own.
		if r.next.CompareAndSwap(start, uint32((turn+1)%len(r.turns))) {
			return whom
		}
	}
}

// find returns the first turn from start on that is a usable candidate's. One that
// starts slowly passes some of its turns on.
func (r *roundRobin) find(c Candidates, start int, random uint64) (turn, whom int) {
	turn, whom = -1, -1
	passed := 0
	for k := range r.turns {
		at := start + k
		if at >= len(r.turns) {
			at -= len(r.turns)
		}
		i := int(r.turns[at])
		if !c.Usable(i) {
			continue
		}
		if w := c.Weight(i); w < r.weights[i] && passed < 2*len(r.weights) {
			passed++
			if turn < 0 {
				turn, whom = at, i // unless nobody else takes it
			}
			random = mix(random)
			if int64(random%uint64(r.weights[i])) >= w {
				continue
			}
		}
		return at, i
	}
	return turn, whom
}
