package agent

import (
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// event is something that is going to happen: do, or else the arrival of packet at a
// node's process, or else the step for which it asked.
type event struct {
	do     func()
	node   *simNode
	run    int
	packet vrrp.Packet
}

// timeline is what is going to happen, soonest first, and what was pushed first of
// what happens at once. It is a heap of four branches with the events beside it: most
// of a simulation's time is spent here.
type timeline struct {
	heap   []slot
	events []event
	free   []int32 // indices of events that are not used
	seq    uint32
}

type slot struct {
	at    time.Duration // since the beginning
	seq   uint32
	event int32
}

func (s slot) before(o slot) bool { return s.at < o.at || s.at == o.at && s.seq < o.seq }

func (t *timeline) push(at time.Duration, e event) {
	t.seq++
	s := slot{at: at, seq: t.seq}
	if n := len(t.free); n > 0 {
		s.event, t.free = t.free[n-1], t.free[:n-1]
		t.events[s.event] = e
	} else {
		s.event = int32(len(t.events))
		t.events = append(t.events, e)
	}
	i := len(t.heap)
	t.heap = append(t.heap, s)
	for i > 0 {
		parent := (i - 1) / 4
		if !s.before(t.heap[parent]) {
			break
		}
		t.heap[i] = t.heap[parent]
		i = parent
	}
	t.heap[i] = s
}

// pop takes the next event, if it happens by end.
func (t *timeline) pop(end time.Duration) (at time.Duration, e event, ok bool) {
	if len(t.heap) == 0 || t.heap[0].at > end {
		return 0, event{}, false
	}
	first := t.heap[0]
	e = t.events[first.event]
	t.events[first.event] = event{}
	t.free = append(t.free, first.event)
	last := len(t.heap) - 1
	s := t.heap[last]
	t.heap = t.heap[:last]
	for i := 0; last > 0; {
		least := 4*i + 1
		if least >= last {
			t.heap[i] = s
			break
		}
		for c := least + 1; c < min(4*i+5, last); c++ {
			if t.heap[c].before(t.heap[least]) {
				least = c
			}
		}
		if !t.heap[least].before(s) {
			t.heap[i] = s
			break
		}
		t.heap[i] = t.heap[least]
		i = least
	}
	return first.at, e, true
}
