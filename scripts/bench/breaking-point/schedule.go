package main

import (
	"math/rand/v2"
	"time"
)

// A stretch is a time with one rate of requests.
type stretch struct {
	until time.Duration // from the beginning of the load
	rate  float64       // requests a second
}

// A schedule is when requests are to be sent: at random moments, as independent
// users come (a Poisson process), that do not depend on what became of earlier ones.
// Two schedules of the same stretches and seed are the same.
type schedule struct {
	random    *rand.Rand
	stretches []stretch
	next      time.Duration
	over      bool
}

func newSchedule(seed uint64, stretches []stretch) *schedule {
	s := &schedule{random: rand.New(rand.NewPCG(seed, 1)), stretches: stretches}
	s.advance()
	return s
}

// due reports whether the next request is to be sent by now, which counts from the
// beginning.
func (s *schedule) due(now time.Duration) bool { return !s.over && s.next <= now }

// take returns when the next request is to be sent, and goes on to the one after it.
func (s *schedule) take() time.Duration {
	at := s.next
	s.advance()
	return at
}

func (s *schedule) advance() {
	wait := s.random.ExpFloat64()
	for len(s.stretches) > 0 {
		at := s.next + time.Duration(wait/s.stretches[0].rate*float64(time.Second))
		if at < s.stretches[0].until {
			s.next = at
			return
		}
		// What is left of the waiting goes on at the next rate.
		wait -= (s.stretches[0].until - s.next).Seconds() * s.stretches[0].rate
		s.next = s.stretches[0].until
		s.stretches = s.stretches[1:]
	}
	s.over = true
}
