package wheel

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// expired returns the ticks of the timers that expire until tick.
func expired(w *Wheel[int], tick int64, live map[*Timer[int]]int64) (fired []int64) {
	for t := w.Pop(tick); t != nil; t = w.Pop(tick) {
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
			w := New[int](test.start)
			live := map[*Timer[int]]int64{}
			for _, at := range test.set {
				tm := &Timer[int]{}
				live[tm] = at
				w.Set(tm, test.start+at)
			}
			var got [][]int64
			for _, step := range test.steps {
				got = append(got, expired(w, test.start+step, live))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("expired (-want +got):\n%s", diff)
			}
			if _, ok := w.Next(); ok {
				t.Error("Next() finds a timer in the empty wheel")
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
		w := New[int](now)
		model := map[*Timer[int]]int64{}
		timers := make([]Timer[int], 40)
		distance := func() int64 { return random.Int64N(1 << random.IntN(19)) }
		for range operations {
			tm := &timers[random.IntN(len(timers))]
			switch random.IntN(4) {
			case 0:
				w.Remove(tm)
				delete(model, tm)
			case 1, 2:
				at := now + distance()
				w.Set(tm, at)
				model[tm] = max(at, now+1)
			default:
				if next, ok := w.Next(); ok != (len(model) > 0) {
					t.Fatalf("Next() = %d, %v with %d timers", next, ok, len(model))
				} else if earliest := earliest(model); ok && next > earliest {
					t.Fatalf("Next() = %d, a timer is due at %d", next, earliest)
				}
				now += distance()
				var want []int64
				for _, at := range model {
					if at <= now {
						want = append(want, at)
					}
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, expired(w, now, model)); diff != "" {
					t.Fatalf("expired until %d (-want +got):\n%s", now, diff)
				}
			}
		}
		for tm := range model {
			w.Remove(tm)
		}
		if next, ok := w.Next(); ok {
			t.Errorf("Next() = %d in the empty wheel", next)
		}
	})
}

func earliest(model map[*Timer[int]]int64) int64 {
	first := int64(1 << 62)
	for _, at := range model {
		first = min(first, at)
	}
	return first
}
