package vip

import "time"

const (
	healBurst    = 5                // immediate repairs
	healWindow   = 10 * time.Second // in which they are counted
	healInterval = time.Second      // between those beyond
)

// Healer limits how often something is repaired that someone else keeps breaking:
// an address that is set again, or announced against another node. It is repaired
// at once, but no more than five times in ten seconds, and beyond that once a
// second until it is left alone. The zero value is ready to use.
type Healer struct {
	recent [healBurst]time.Time // repairs, oldest first; zero: none yet
}

// Allow reports whether a repair may be made now, and takes note of it if so.
func (h *Healer) Allow(now time.Time) bool {
	if now.Before(h.Next()) {
		return false
	}
	copy(h.recent[:], h.recent[1:])
	h.recent[healBurst-1] = now
	return true
}

// Next returns when the next repair is allowed; a time in the past, or the zero
// time, means at once.
func (h *Healer) Next() time.Time {
	oldest, newest := h.recent[0], h.recent[healBurst-1]
	if oldest.IsZero() {
		return time.Time{}
	}
	calm, paced := oldest.Add(healWindow), newest.Add(healInterval)
	if calm.Before(paced) {
		return calm
	}
	return paced
}
