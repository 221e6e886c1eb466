// Package overload judges whether a process is so short of descriptors or memory
// that it should turn new work away, before the kernel does that to it. It is pure:
// samples and their time are arguments.
package overload

import (
	"fmt"
	"time"
)

const (
	// shedAt is the share of a limit from which on new work is turned away, and
	// resumeAt that below which it is taken again: without a gap the two would
	// alternate with every connection.
	shedAt, resumeAt = 0.90, 0.85
	// hold is the least time that shedding lasts.
	hold = time.Second
)

// Sample is what a process uses, and may use; a limit of 0 is none.
type Sample struct {
	Descriptors, DescriptorLimit uint64
	Memory, MemoryLimit          uint64 // in bytes
}

// Gauge follows samples. The zero Gauge sheds nothing.
type Gauge struct {
	reason string
	since  time.Time
	count  uint64
}

// Status is what a Gauge makes of its samples.
type Status struct {
	Reason string    // why new work is turned away; empty: it is not
	Since  time.Time // when it last began or ended; zero: never
	Count  uint64    // how often it began
}

// Observe takes a sample in, and reports whether shedding has begun or ended.
func (g *Gauge) Observe(now time.Time, s Sample) (changed bool) {
	if g.reason == "" {
		why := s.beyond(shedAt)
		if why == "" {
			return false
		}
		g.reason, g.since = why, now
		g.count++
		return true
	}
	if now.Sub(g.since) < hold || s.beyond(resumeAt) != "" {
		return false
	}
	g.reason, g.since = "", now
	return true
}

// Status returns what follows from the samples so far.
func (g *Gauge) Status() Status { return Status{g.reason, g.since, g.count} }

// beyond says what of s is beyond a share of its limit.
func (s Sample) beyond(share float64) string {
	if exceeds(s.Descriptors, s.DescriptorLimit, share) {
		return fmt.Sprintf("%d of %d descriptors are in use", s.Descriptors, s.DescriptorLimit)
	}
	if exceeds(s.Memory, s.MemoryLimit, share) {
		return fmt.Sprintf("%d MiB of %d MiB of memory are in use", s.Memory>>20, s.MemoryLimit>>20)
	}
	return ""
}

func exceeds(used, limit uint64, share float64) bool {
	return limit > 0 && float64(used) >= share*float64(limit)
}
