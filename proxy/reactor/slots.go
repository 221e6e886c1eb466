package reactor

// slots give a connection the number by which the kernel names it in an event. A
// number is used again, under another generation: an event that was on its way
// when its connection was closed finds nothing.
type slots struct {
	all  []slot
	free []int32
}

type slot struct {
	conn       *Conn
	generation uint32
}

func (s *slots) put(c *Conn) (key int32, generation uint32) {
	if n := len(s.free); n > 0 {
		key, s.free = s.free[n-1], s.free[:n-1]
	} else {
		key = int32(len(s.all))
		s.all = append(s.all, slot{})
	}
	s.all[key].conn = c
	return key, s.all[key].generation
}

// get returns nil when the connection was removed.
func (s *slots) get(key int32, generation uint32) *Conn {
	if int(key) >= len(s.all) || s.all[key].generation != generation {
		return nil
	}
	return s.all[key].conn
}

func (s *slots) remove(key int32) {
	s.all[key].conn = nil
	s.all[key].generation++
	s.free = append(s.free, key)
}
