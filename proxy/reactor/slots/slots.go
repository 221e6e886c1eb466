// Package slots numbers what the kernel tells events of.
package slots

// Slots give each of their owners the number by which the kernel names it in an event.
// A number is used again, under another generation: an event that was on its way
// when its owner was closed finds nothing.
type Slots[T any] struct {
	all  []slot[T]
	free []int32
}

type slot[T any] struct {
	owner      *T
	generation uint32
}

// Put gives owner a number.
func (s *Slots[T]) Put(owner *T) (key int32, generation uint32) {
	if n := len(s.free); n > 0 {
		key, s.free = s.free[n-1], s.free[:n-1]
	} else {
		key = int32(len(s.all))
		s.all = append(s.all, slot[T]{})
	}
	s.all[key].owner = owner
	return key, s.all[key].generation
}

// Get returns nil when the owner was removed.
func (s *Slots[T]) Get(key int32, generation uint32) *T {
	if int(key) >= len(s.all) || s.all[key].generation != generation {
		return nil
	}
	return s.all[key].owner
}

// Remove takes a number back.
func (s *Slots[T]) Remove(key int32) {
	s.all[key].owner = nil
	s.all[key].generation++
	s.free = append(s.free, key)
}

// Len returns how many numbers there are, in use or not.
func (s *Slots[T]) Len() int { return len(s.all) }

// At returns the owner of a number, and its generation; nil when nobody has it.
func (s *Slots[T]) At(key int) (owner *T, generation uint32) {
	return s.all[key].owner, s.all[key].generation
}
