// Package report turns what a prober saw into tables and pictures. It is pure:
// values in, text out.
package report

import (
	"fmt"
	"slices"
	"time"
)

// A Spread sums up repeated measurements.
type Spread[T int | time.Duration | float64] struct{ Min, Median, Max T }

// SpreadOf returns the spread of values, which stay as they are; zero when
// there are none. The median of an even number is the mean of the middle two.
func SpreadOf[T int | time.Duration | float64](values []T) Spread[T] {
	if len(values) == 0 {
		return Spread[T]{}
	}
	v := slices.Sorted(slices.Values(values))
	return Spread[T]{
		Min:    v[0],
		Median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2,
		Max:    v[len(v)-1],
	}
}

// Text formats the spread with format for each value: "median [min-max]", or
// the median alone when no difference shows.
func (s Spread[T]) Text(format func(T) string) string {
	low, high := format(s.Min), format(s.Max)
	if low == high {
		return format(s.Median)
	}
	return fmt.Sprintf("%s [%s-%s]", format(s.Median), low, high)
}

// Milliseconds formats d as a whole number of milliseconds, without the unit.
func Milliseconds(d time.Duration) string {
	return fmt.Sprint(d.Round(time.Millisecond).Milliseconds())
}
