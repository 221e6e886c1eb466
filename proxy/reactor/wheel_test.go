package reactor

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// drainWheel returns the ticks of the timers that expire until tick.
func drainWheel(w *wheel, tick int64, live map[*timer]int64) (fired []int64) {
	for t := w.pop(tick); t != nil; t = w.pop(tick) {
		fired = append(fired, live[t])
		delete(live, t)
	}
	return fired
}

func TestTimersExpireInOrderAndNeverEarly(t *testing.T) {
	for _, test := range []struct {
		name  string
		start int64
		set   []int64 // relative to start
		steps []int64 // relative to start
		want  [][]int64
	}{
		{"near", 1000, []int64{3, 1, 2}, []int64{1, 2, 5}, [][]int64{{1}, {2}, {3}}},
		{"same tick", 7, []int64{5, 5}, []int64{4, 5}, [][]int64{nil, {5, 5}}},
		{"passed already", 1000, []int64{-5, 0}, []int64{1}, [][]int64{{-5, 0}}},
		{"end of the near ring", 1000, []int64{255, 256, 257, 258}, []int64{254, 256, 258}, [][]int64{nil, {255, 256}, {257, 258}}},
		{"at the edge of a block", 0, []int64{256, 512, 511, 513}, []int64{255, 511, 513}, [][]int64{nil, {256, 511}, {512, 513}}},
		{"far", 12345, []int64{65535, 65536, 70000, 1 << 20}, []int64{65534, 65536, 69999, 70000, 1<<20 - 1, 1 << 20},
			[][]int64{nil, {65535, 65536}, nil, {70000}, nil, {1 << 20}}},
		{"a long sleep", 99, []int64{1, 300, 100000}, []int64{1 << 30}, [][]int64{{1, 300, 100000}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w wheel
			w.init(test.start)
			live := map[*timer]int64{}
			for _, at := range test.set {
				tm := &timer{}
				live[tm] = at
				w.set(tm, test.start+at)
			}
			var got [][]int64
			for _, step := range test.steps {
				got = append(got, drainWheel(&w, test.start+step, live))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("expired (-want +got):\n%s", diff)
			}
			if _, ok := w.next(); ok {
				t.Error("next() finds a timer in the empty wheel")
			}
		})
	}
}

// FuzzWheel compares the wheel with a list of timers.
func FuzzWheel(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed, uint16(300))
	}
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64, operations uint16) {
		random := rand.New(rand.NewPCG(seed1, seed2))
		now := random.Int64N(1 << 20)
		var w wheel
		w.init(now)
		model := map[*timer]int64{}
		timers := make([]timer, 40)
		distance := func() int64 { return random.Int64N(1 << random.IntN(19)) }
		for range operations {
			tm := &timers[random.IntN(len(timers))]
			switch random.IntN(4) {
			case 0:
				w.remove(tm)
				delete(model, tm)
			case 1, 2:
				at := now + distance()
				w.set(tm, at)
				model[tm] = max(at, now+1)
			default:
				if next, ok := w.next(); ok != (len(model) > 0) {
					t.Fatalf("next() = %d, %v with %d timers", next, ok, len(model))
				} else if earliest := earliest(model); ok && next > earliest {
					t.Fatalf("next() = %d, a timer is due at %d", next, earliest)
				}
				now += distance()
				var want []int64
				for _, at := range model {
					if at <= now {
						want = append(want, at)
					}
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, drainWheel(&w, now, model)); diff != "" {
					t.Fatalf("expired until %d (-want +got):\n%s", now, diff)
				}
			}
		}
		for tm := range model {
			w.remove(tm)
		}
		if next, ok := w.next(); ok {
			t.Errorf("next() = %d in the empty wheel", next)
		}
	})
}

func earliest(model map[*timer]int64) int64 {
	first := int64(1 << 62)
	for _, at := range model {
		first = min(first, at)
	}
	return first
}

func TestTheRunQueueKeepsItsOrderWhileItGrows(t *testing.T) {
	var q queue
	var conns [500]Conn
	in, out := 0, 0
	for in < len(conns) || q.n > 0 {
		for range min(7, len(conns)-in) {
			q.push(runnable{conn: &conns[in]})
			in++
		}
		for range min(3, q.n) {
			if r := q.pop(); r.conn != &conns[out] {
				t.Fatalf("item %d is out of order", out)
			}
			out++
		}
	}
	if out != len(conns) {
		t.Errorf("%d items came out of %d", out, len(conns))
	}
}

func TestAnEventOfAClosedConnectionFindsNothing(t *testing.T) {
	var s slots
	first, second := &Conn{}, &Conn{}
	key, generation := s.put(first)
	if got := s.get(key, generation); got != first {
		t.Fatalf("get(%d, %d) = %p, want the connection", key, generation, got)
	}
	s.remove(key)
	if got := s.get(key, generation); got != nil {
		t.Error("get found a removed connection")
	}
	again, later := s.put(second)
	if again != key {
		t.Errorf("slot %d was not used again, but %d", key, again)
	}
	if got := s.get(key, generation); got != nil {
		t.Error("an old event found the successor")
	}
	if got := s.get(again, later); got != second {
		t.Error("the successor is not found")
	}
	if got := s.get(99, 0); got != nil {
		t.Error("get found a slot that never was")
	}
}
