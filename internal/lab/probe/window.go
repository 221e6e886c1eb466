package probe

import (
	"cmp"
	"slices"
	"time"
)

// A Window sums up the requests of a stretch of time.
type Window struct {
	Requests int
	Failed   int
	Failures map[Failure]int // Failed by kind; nil when nothing failed
	// Outage is the longest distance between the starts of two successive
	// requests that were answered, where one of them at least was sent within
	// the window, or the window lies between them. Where no answered request
	// bounds it, the window does.
	Outage time.Duration
	// From is where the outage begins, on the same clock as the samples.
	From time.Duration
	// Stall is the longest distance between the starts of two successive
	// requests of the window, answered or not. Much more than the pace, it
	// means that the prober was held up, and explains as much of the outage.
	Stall time.Duration
}

// Measure sums up the samples sent in [from, to). The samples, sorted by Start,
// may reach beyond the window on both sides, and should: an outage that began
// just before it is measured whole.
func Measure(samples []Sample, from, to time.Duration) Window {
	w := Window{From: from}
	previous := from
	for i, s := range samples {
		if s.Start >= from && s.Start < to {
			if w.Requests > 0 {
				w.Stall = max(w.Stall, s.Start-samples[i-1].Start)
			}
			w.Requests++
			if s.Failure != "" {
				w.fail(s.Failure)
			}
		}
		if s.Failure != "" {
			continue
		}
		if s.Start >= from {
			w.stretch(previous, s.Start)
		}
		previous = s.Start
		if s.Start >= to {
			return w
		}
	}
	w.stretch(previous, to)
	return w
}

func (w *Window) fail(f Failure) {
	w.Failed++
	if w.Failures == nil {
		w.Failures = make(map[Failure]int)
	}
	w.Failures[f]++
}

func (w *Window) stretch(a, b time.Duration) {
	if b-a > w.Outage {
		w.Outage, w.From = b-a, a
	}
}

// Sort orders samples by their start.
func Sort(samples []Sample) {
	slices.SortFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Start, b.Start) })
}
