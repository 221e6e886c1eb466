package main

import "math"

// A search looks for the highest rate that a proxy holds: it climbs by a factor until a
// rate breaks it, and halves the distance then, as the factor goes.
type search struct {
	rate   float64 // the next one to try
	factor float64
	halves int     // that are left once it has broken
	most   float64 // rate beyond which nothing is tried

	held, broke float64 // the highest that held, and the lowest that broke; 0: none
	doubted     bool    // the rate is tried for the second time
}

// leastRate is where the search gives up: a proxy that does not hold that holds nothing.
const leastRate = 1

// over reports whether the search has ended.
func (s *search) over() bool {
	return s.broke > 0 && s.halves <= 0 || s.rate > s.most || s.rate < leastRate
}

// took takes in what came of the rate. A rate that broke only just is tried once more,
// as a machine has its moods.
func (s *search) took(held, just bool) {
	if !held && just && !s.doubted {
		s.doubted = true
		return
	}
	s.doubted = false
	if s.broke > 0 {
		s.halves--
	}
	if held {
		s.held = s.rate
	} else {
		s.broke = s.rate
	}
	switch {
	case s.broke == 0:
		s.rate *= s.factor
	case s.held == 0: // it began too high
		s.rate /= s.factor * s.factor
		s.broke = 0
	default:
		s.rate = math.Sqrt(s.held * s.broke)
	}
}
