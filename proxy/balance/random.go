package balance

import "slices"

// random takes the less busy of two candidates, which it draws by their weights.
type random struct {
	sums []uint64 // of the nominal weights up to each candidate and with it
}

// draws is how often a candidate is drawn that turns out not to be usable, before they
// are gone through one by one.
const draws = 8

func newRandom(members []Member) *random {
	r := &random{}
	sum := uint64(0)
	for _, m := range members {
		sum += uint64(m.Weight)
		r.sums = append(r.sums, sum)
	}
	return r
}

// Pick implements Policy.
func (r *random) Pick(c Candidates, n Need) int {
	if len(r.sums) == 0 || r.sums[len(r.sums)-1] == 0 {
		return -1
	}
	a, seed := r.draw(c, n.Random)
	if a < 0 {
		return -1
	}
	b, _ := r.draw(c, seed)
	// By weight, without a division; a candidate alone has nothing to be compared to.
	if b >= 0 && c.Load(b)*c.Weight(a) < c.Load(a)*c.Weight(b) {
		return b
	}
	return a
}

// draw returns a usable candidate, or -1, and another seed.
func (r *random) draw(c Candidates, seed uint64) (int, uint64) {
	i := 0
	for range draws {
		seed = mix(seed)
		i, _ = slices.BinarySearch(r.sums, seed%r.sums[len(r.sums)-1]+1)
		if c.Usable(i) && r.starts(c, i, seed) {
			return i, seed
		}
	}
	// Most are unusable: those that are left share by chance where the search begins.
	for k := range r.sums {
		at := (i + k) % len(r.sums)
		if c.Usable(at) && c.Weight(at) > 0 {
			return at, seed
		}
	}
	return -1, seed
}

// starts reports whether candidate i, if it starts slowly, is drawn this time.
func (r *random) starts(c Candidates, i int, seed uint64) bool {
	nominal := r.sums[i]
	if i > 0 {
		nominal -= r.sums[i-1]
	}
	nominal *= 1000
	w := uint64(c.Weight(i))
	return w >= nominal || mix(seed)%nominal < w
}
