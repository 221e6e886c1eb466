package agent

import "time"

// Announcements go out in a burst, because one may be lost and because a switch
// may still be learning, and then slowly for as long as the address is held: a
// neighbour whose entry went wrong for whatever reason gets it right again.
const (
	refreshEvery = 10 * time.Second
	// minAnnounceGap bounds the rate whatever happens (no storms).
	minAnnounceGap = 20 * time.Millisecond
)

// burstAfter are the distances between the announcements of a burst.
var burstAfter = [...]time.Duration{50 * time.Millisecond, 450 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second}

// burst is the announcement schedule of one virtual router. The zero value is
// idle. Triggers that fall into a running burst restart it; they never add to it.
type burst struct {
	next time.Time // zero: idle
	last time.Time // of the newest announcement
	step int       // index into burstAfter of the distance that follows next
}

// start begins a burst now, or as soon as the last announcement allows.
func (b *burst) start(now time.Time) {
	b.step = 0
	b.next = now
	if earliest := b.last.Add(minAnnounceGap); earliest.After(now) {
		b.next = earliest
	}
}

// due reports whether an announcement is to be sent now, and schedules the one
// after it. jitter, in [0,1), spreads the slow refresh.
func (b *burst) due(now time.Time, jitter float64) bool {
	if b.next.IsZero() || now.Before(b.next) {
		return false
	}
	b.last = now
	if b.step < len(burstAfter) {
		b.next = now.Add(burstAfter[b.step])
		b.step++
		return true
	}
	b.next = now.Add(refreshEvery + time.Duration(jitter*float64(refreshEvery/4)))
	return true
}
