// Package stats keeps the books on what passes: counters, and histograms of how long
// things took. Who carries requests writes them, each loop its own cells, with one
// atomic addition each and no lock; who reads them adds the loops up. It knows no clock.
package stats

import (
	"math"
	"math/bits"
	"time"
)

// The buckets are those of a native histogram of Prometheus: Schema 3 has eight for each
// power of two, so that a quantile is known within 9 %. Bucket 0 has all that is not
// longer than ZeroThreshold, bucket i, up to Last, what is longer than [Bound] of i-1 and
// not longer than that of i; Overflow has what is longer than the bound of Last.
const (
	Schema        = 3
	perOctave     = 1 << Schema
	lowest        = -20 // power of two, in seconds, that bucket 0 ends with
	highest       = 10  // that Last ends with
	Last          = (highest - lowest) * perOctave
	Overflow      = Last + 1
	Buckets       = Overflow + 1
	ZeroThreshold = 1.0 / (1 << -lowest) // in seconds: 0.95 µs

	// NativeOffset is what is added to the index of a bucket for that of Prometheus.
	NativeOffset = lowest * perOctave
)

// Bound returns the inclusive upper bound of bucket i in seconds; i is at most Last.
func Bound(i int) float64 {
	octave, part := i/perOctave, i%perOctave
	return math.Ldexp(math.Exp2(float64(part)/perOctave), octave+lowest)
}

// slots is how many parts of equal width a power of two is looked up in. Each is narrower
// than a bucket, and so has at most one bound in it.
const slots = 16

// shortest is the number of bits of the shortest duration, in ns, that is not of bucket 0.
const shortest = 10

var (
	bounds  = nanoBounds() // in ns, rounded down: whole durations are compared with them
	guesses = firstGuesses()
)

func nanoBounds() (b [Last + 1]uint64) {
	for i := range b {
		b[i] = uint64(Bound(i) * 1e9)
	}
	return b
}

// firstGuesses returns the bucket of the shortest duration of each slot, by the number of
// its bits.
func firstGuesses() (g [31][slots]uint8) {
	for length := range g {
		i := 0
		for slot := range g[length] {
			least := uint64(slots+slot) << (length + shortest - 5)
			for i < Last && bounds[i] < least {
				i++
			}
			g[length][slot] = uint8(i)
		}
	}
	return g
}

// bucketOf returns the bucket of d.
func bucketOf(d time.Duration) int {
	switch {
	case d <= time.Duration(bounds[0]):
		return 0
	case d > time.Duration(bounds[Last]):
		return Overflow
	}
	n := uint64(d)
	length := bits.Len64(n)
	i := guesses[length-shortest][n>>(length-5)&(slots-1)]
	if n > bounds[i] {
		i++
	}
	return int(i)
}
