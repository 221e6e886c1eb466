package vip

import "time"

const (
	healBurst    = 5                // immediate repairs
	healWindow   = 10 * time.Second // in which they are counted
	healInterval = time.Second      // between those beyond
)

// Healer limits how often an address that someone else keeps removing is added
// again: at once, but no more than five times in ten seconds, and beyond that
// once a second until it is left alone. The zero value is ready to use.
type Healer struct {
	recent [healBurst]time.Time // repairs, oldest first; zero: none yet
	count  uint64
}

// Allow reports whether a repair may be made now, and counts it if so.
func (h *Healer) Allow(now time.Time) bool {
	if now.Before(h.Next()) {
		return false
	}
	copy(h.recent[:], h.recent[1:])
	h.recent[healBurst-1] = now
	h.count++
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

// Count returns the number of repairs that were allowed.
func (h *Healer) Count() uint64 { return h.count }
