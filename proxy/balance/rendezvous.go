package balance

import (
	"math"
	"sync/atomic"
)

// slots is into how many the keys are divided: so many that each of a hundred
// candidates gets its share of them to a few percent.
const slots = 1 << 16

// maxLoad bounds what a candidate is given, in percent of its fair share of all that is
// in progress (Mirrokni and others, Consistent Hashing with Bounded Loads, 2016).
const maxLoad = 125

// rendezvous takes the candidate that the hash of the request falls to: the one with
// the highest score there, where the scores of a candidate follow from its ID and its
// weight alone (Thaler and Ravishankar, 1998; with weights, Schindelhauer and
// Schomaker, 2005). So what falls to a candidate that goes is shared by the others,
// nothing else moves, and both nodes of a pair choose alike.
type rendezvous struct {
	seeds   []uint64
	weights []int64 // nominal, in thousandths
	some    bool    // one has a weight
	// slots holds the winner of each, plus one, once somebody has asked for it.
	slots []atomic.Int32
}

func newRendezvous(members []Member) *rendezvous {
	r := &rendezvous{slots: make([]atomic.Int32, slots)}
	for _, m := range members {
		r.seeds = append(r.seeds, Hash([]byte(m.ID)))
		r.weights = append(r.weights, int64(m.Weight)*1000)
		r.some = r.some || m.Weight > 0
	}
	return r
}

// winner returns whom the slot of h falls to.
func (r *rendezvous) winner(h uint64) int {
	slot := &r.slots[h%slots]
	if won := slot.Load(); won != 0 {
		return int(won) - 1
	}
	best, highest := 0, -1.0
	for i, seed := range r.seeds {
		// Exponentially distributed with the weight as its rate: the shortest wins.
		u := (float64(mix(seed^mix(h%slots))>>11) + 0.5) / (1 << 53)
		if score := float64(r.weights[i]) / -math.Log(u); score > highest {
			best, highest = i, score
		}
	}
	slot.Store(int32(best) + 1)
	return best
}

// Pick implements Policy.
func (r *rendezvous) Pick(c Candidates, n Need) int {
	if !r.some {
		return -1
	}
	first := -1
	b := bound{weights: r.weights, total: -1}
	h := n.Hash
	for range 2 * len(r.weights) {
		i := r.winner(h)
		h = mix(h)
		if !c.Usable(i) {
			continue
		}
		if b.allows(c, i) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	// By bad luck those that can take it were missed: there are few.
	for k := range r.weights {
		i := int((h + uint64(k)) % uint64(len(r.weights)))
		if r.weights[i] == 0 || !c.Usable(i) {
			continue
		}
		if b.allows(c, i) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// bound is how much each candidate may have to do.
type bound struct {
	weights []int64
	total   int64 // of what the usable ones have to do; negative: not asked for yet
	weight  int64 // of the usable ones
}

// allows reports whether candidate i may be given one more.
func (b *bound) allows(c Candidates, i int) bool {
	load := c.Load(i)
	if load == 0 {
		return true
	}
	if b.total < 0 {
		b.total = 0
		for k, w := range b.weights {
			if w > 0 && c.Usable(k) {
				b.total += c.Load(k)
				b.weight += w
			}
		}
	}
	return load*100*b.weight < (b.total+1)*maxLoad*b.weights[i]
}
