package stats

import (
	"math"
	"sync/atomic"
	"time"
)

// Histogram counts durations. Multiple goroutines may use it at the same time; it is
// cheapest when one writes. The zero value is empty.
type Histogram struct {
	counts [Buckets]atomic.Uint64
	sum    atomic.Uint64 // in ns
}

// Observe counts d; less than nothing counts as nothing.
func (h *Histogram) Observe(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	if d > 0 {
		h.sum.Add(uint64(d))
	}
}

// Distribution returns what was counted.
func (h *Histogram) Distribution() (d Distribution) {
	h.addTo(&d)
	return d
}

// addTo adds what is counted to d.
func (h *Histogram) addTo(d *Distribution) {
	var counts [Buckets]uint64
	first, last := -1, 0
	for i := range h.counts {
		if counts[i] = h.counts[i].Load(); counts[i] == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
	}
	if first < 0 {
		return
	}
	d.Add(Distribution{From: first, Counts: counts[first : last+1], Sum: h.sum.Load()})
}

// Distribution is what a Histogram has counted: a value.
type Distribution struct {
	From   int      `json:",omitempty"` // bucket of the first of Counts
	Counts []uint64 `json:",omitempty"` // by bucket; those beside it are 0
	Sum    uint64   `json:",omitempty"` // of all durations, in ns
}

// Count returns how many durations were counted.
func (d *Distribution) Count() (n uint64) {
	for _, k := range d.Counts {
		n += k
	}
	return n
}

// Valid reports whether d has none but the buckets of a Histogram.
func (d *Distribution) Valid() bool {
	return d.From >= 0 && d.From <= Buckets && len(d.Counts) <= Buckets-d.From
}

// At returns how many durations are in bucket i.
func (d *Distribution) At(i int) uint64 {
	if i -= d.From; i >= 0 && i < len(d.Counts) {
		return d.Counts[i]
	}
	return 0
}

// Add adds o to d. It does not touch the counts that d had before, which others may hold.
func (d *Distribution) Add(o Distribution) {
	if len(o.Counts) == 0 {
		return
	}
	if len(d.Counts) == 0 {
		*d = o
		return
	}
	from := min(d.From, o.From)
	counts := make([]uint64, max(d.From+len(d.Counts), o.From+len(o.Counts))-from)
	copy(counts[d.From-from:], d.Counts)
	for i, n := range o.Counts {
		counts[o.From-from+i] += n
	}
	*d = Distribution{From: from, Counts: counts, Sum: d.Sum + o.Sum}
}

// Sub returns what d counts beyond before. When before is not an earlier state of d,
// since the worker was started anew, that is all of d.
func (d Distribution) Sub(before Distribution) Distribution {
	if before.Sum > d.Sum {
		return d
	}
	for i, n := range before.Counts {
		if n > d.At(before.From+i) {
			return d
		}
	}
	counts := make([]uint64, len(d.Counts))
	for i, n := range d.Counts {
		counts[i] = n - before.At(d.From+i)
	}
	return Distribution{From: d.From, Counts: counts, Sum: d.Sum - before.Sum}
}

// Quantile returns the duration that a share of q, 0..1, of all does not exceed, within
// the width of a bucket; 0 when nothing was counted.
func (d *Distribution) Quantile(q float64) time.Duration {
	total := d.Count()
	if total == 0 {
		return 0
	}
	rank := min(max(q, 0), 1) * float64(total)
	below := 0.0
	for i, n := range d.Counts {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		return within(d.From+i, (rank-below)/float64(n))
	}
	return within(Last, 1) // the sum was rounded
}

// within returns where a share of the durations of a bucket ends, when they lie as
// densely on the scale of their logarithm everywhere.
func within(bucket int, share float64) time.Duration {
	switch {
	case bucket == 0:
		return time.Duration(share * ZeroThreshold * 1e9)
	case bucket > Last:
		return time.Duration(bounds[Last])
	}
	return time.Duration(Bound(bucket-1) * math.Exp2(share/perOctave) * 1e9)
}
