package reactor

// slots give a connection, or a watch, the number by which the kernel names it in an event. A
// number is used again, under another generation: an event that was on its way
// when its owner was closed finds nothing.
type slots[T any] struct {
	all  []slot[T]
	free []int32
}

type slot[T any] struct {
	owner      *T
	generation uint32
}

func (s *slots[T]) put(owner *T) (key int32, generation uint32) {
	if n := len(s.free); n > 0 {
		key, s.free = s.free[n-1], s.free[:n-1]
	} else {
		key = int32(len(s.all))
		s.all = append(s.all, slot[T]{})
	}
	s.all[key].owner = owner
	return key, s.all[key].generation
}

// get returns nil when the owner was removed.
func (s *slots[T]) get(key int32, generation uint32) *T {
	if int(key) >= len(s.all) || s.all[key].generation != generation {
		return nil
	}
	return s.all[key].owner
}

func (s *slots[T]) remove(key int32) {
	s.all[key].owner = nil
	s.all[key].generation++
	s.free = append(s.free, key)
}
