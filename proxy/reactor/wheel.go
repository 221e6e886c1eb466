package reactor

import "math/bits"

// Deadlines are hashed into two rings of 256 slots: one of ticks of 8.4 ms, so
// 2.1 s long, and one whose slots are as long as the first ring. What is farther
// away (over nine minutes) waits in the last slot and is put in again from there.
const (
	tickShift  = 23 // 2^23 ns are 8.4 ms
	ringShift  = 8
	ringSlots  = 1 << ringShift
	ringMask   = ringSlots - 1
	ringSlot64 = ringSlots / 64
)

// tickAfter returns the first tick that begins at or after ns, so that nothing
// expires early.
func tickAfter(ns int64) int64 { return (ns + 1<<tickShift - 1) >> tickShift }

// tickAt returns the tick that has begun at ns.
func tickAt(ns int64) int64 { return ns >> tickShift }

// expirer has a timer.
type expirer interface {
	// expire acts on what is due at now, and returns when it is to be called
	// again, later than now; 0 means never. Both are nanoseconds of the loop's
	// clock.
	expire(now int64) (again int64)
}

// timer is an entry of a wheel. It is part of what it belongs to: setting one
// allocates nothing.
type timer struct {
	next, prev *timer
	at         int64 // tick; 0: not in a wheel
	owner      expirer
}

// wheel holds timers. It knows ticks, not the time. The zero wheel is not ready:
// init it.
type wheel struct {
	tick  int64 // all until here have expired
	rings [2]ring
}

// ring is a circle of lists, each with a sentinel, and which of them are used.
type ring struct {
	slots [ringSlots]timer
	used  [ringSlot64]uint64
}

func (w *wheel) init(tick int64) {
	w.tick = tick
	for r := range w.rings {
		for i := range w.rings[r].slots {
			s := &w.rings[r].slots[i]
			s.next, s.prev = s, s
		}
	}
}

// set makes t expire at tick, or at the next one when that has passed.
func (w *wheel) set(t *timer, tick int64) {
	w.remove(t)
	t.at = max(tick, w.tick+1)
	if t.at-w.tick <= ringSlots {
		w.rings[0].insert(t, t.at)
		return
	}
	w.rings[1].insert(t, min(t.at>>ringShift, w.tick>>ringShift+ringMask))
}

// remove takes t out of the wheel, if it is in it.
func (w *wheel) remove(t *timer) {
	if t.at == 0 {
		return
	}
	// The bit of a slot that becomes empty stays: next clears it.
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev, t.at = nil, nil, 0
}

// next returns a tick until which nothing expires.
func (w *wheel) next() (tick int64, ok bool) {
	near, okNear := w.rings[0].first(w.tick + 1)
	far, okFar := w.rings[1].first(w.tick>>ringShift + 1)
	far <<= ringShift
	switch {
	case okNear && (!okFar || near < far):
		return near, true
	default:
		return far, okFar
	}
}

// pop takes out one timer that expires until tick, in order, or returns nil and
// has then advanced to tick.
func (w *wheel) pop(tick int64) *timer {
	for {
		due, ok := w.next()
		if !ok || due > tick {
			w.tick = max(w.tick, tick)
			return nil
		}
		w.tick = due - 1
		if due&ringMask == 0 {
			w.cascade(due >> ringShift)
		}
		if s := &w.rings[0].slots[due&ringMask]; s.next != s && s.next.at == due {
			t := s.next
			w.remove(t)
			return t
		}
	}
}

// cascade moves the timers of a slot of the far ring to where they belong now.
func (w *wheel) cascade(block int64) {
	s := &w.rings[1].slots[block&ringMask]
	for s.next != s {
		t := s.next
		w.set(t, t.at)
	}
}

// all calls f for each timer. f may remove that timer.
func (w *wheel) all(f func(*timer)) {
	for r := range w.rings {
		for i := range w.rings[r].slots {
			s := &w.rings[r].slots[i]
			for t := s.next; t != s; {
				next := t.next
				f(t)
				t = next
			}
		}
	}
}

func (r *ring) insert(t *timer, position int64) {
	i := position & ringMask
	s := &r.slots[i]
	t.prev, t.next = s.prev, s
	s.prev.next, s.prev = t, t
	r.used[i/64] |= 1 << (i % 64)
}

// first returns the first position from from on that holds a timer, at most one
// circle away.
func (r *ring) first(from int64) (position int64, ok bool) {
	for n := int64(0); n < ringSlots; {
		i := (from + n) & ringMask
		word := r.used[i/64] >> (i % 64)
		if word == 0 {
			n += 64 - i%64
			continue
		}
		skip := int64(bits.TrailingZeros64(word))
		if n += skip; n >= ringSlots {
			break
		}
		i = (from + n) & ringMask
		if s := &r.slots[i]; s.next != s {
			return from + n, true
		}
		r.used[i/64] &^= 1 << (i % 64)
	}
	return 0, false
}
