// Package wheel keeps timers in rings of slots: setting, moving and removing one
// is a few stores, however many there are. It counts in ticks and knows no clock.
package wheel

import "math/bits"

// Timers are hashed into two rings of 256 slots: one of ticks, and one whose slots
// are as long as the first ring. What is farther away waits in the last slot, and
// is put in again from there.
const (
	ringShift  = 8
	ringSlots  = 1 << ringShift
	ringMask   = ringSlots - 1
	ringSlot64 = ringSlots / 64
)

// Timer is an entry of a wheel. It is part of what it belongs to: setting one
// allocates nothing.
type Timer[T any] struct {
	// Owner is what the timer is for.
	Owner T

	next, prev *Timer[T]
	at         int64 // 0: not in a wheel
}

// At returns the tick at which the timer expires; 0 means that it is not set.
func (t *Timer[T]) At() int64 { return t.at }

// Wheel holds timers. New ones are ready to use.
type Wheel[T any] struct {
	tick  int64 // all until here have expired
	rings [2]ring[T]
}

// ring is a circle of lists, each with a sentinel, and which of them are used.
type ring[T any] struct {
	slots [ringSlots]Timer[T]
	used  [ringSlot64]uint64
}

// New returns an empty wheel, in which all until tick has expired.
func New[T any](tick int64) *Wheel[T] {
	w := &Wheel[T]{tick: tick}
	for r := range w.rings {
		for i := range w.rings[r].slots {
			s := &w.rings[r].slots[i]
			s.next, s.prev = s, s
		}
	}
	return w
}

// Set makes t expire at tick, or at the next one when that has passed.
func (w *Wheel[T]) Set(t *Timer[T], tick int64) {
	w.Remove(t)
	t.at = max(tick, w.tick+1)
	if t.at-w.tick <= ringSlots {
		w.rings[0].insert(t, t.at)
		return
	}
	w.rings[1].insert(t, min(t.at>>ringShift, w.tick>>ringShift+ringMask))
}

// Remove takes t out of the wheel, if it is in it.
func (w *Wheel[T]) Remove(t *Timer[T]) {
	if t.at == 0 {
		return
	}
	// The bit of a slot that becomes empty stays: next clears it.
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev, t.at = nil, nil, 0
}

// Next returns a tick until which nothing expires.
func (w *Wheel[T]) Next() (tick int64, ok bool) {
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

// Pop takes out one timer that expires until tick, in order, or returns nil and
// has then advanced to tick.
func (w *Wheel[T]) Pop(tick int64) *Timer[T] {
	for {
		due, ok := w.Next()
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
			w.Remove(t)
			return t
		}
	}
}

// cascade moves the timers of a slot of the far ring to where they belong now.
func (w *Wheel[T]) cascade(block int64) {
	s := &w.rings[1].slots[block&ringMask]
	for s.next != s {
		t := s.next
		w.Set(t, t.at)
	}
}

// All calls f for each timer. f may remove that timer.
func (w *Wheel[T]) All(f func(*Timer[T])) {
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

func (r *ring[T]) insert(t *Timer[T], position int64) {
	i := position & ringMask
	s := &r.slots[i]
	t.prev, t.next = s.prev, s
	s.prev.next, s.prev = t, t
	r.used[i/64] |= 1 << (i % 64)
}

// first returns the first position from from on that holds a timer, at most one
// circle away.
func (r *ring[T]) first(from int64) (position int64, ok bool) {
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
