package balance

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

func TestNew(t *testing.T) {
	if _, err := New(proxy.RoundRobin); err != nil {
		t.Errorf("New(%q): %v", proxy.RoundRobin, err)
	}
	_, err := New("fastest")
	if want := `unknown balance "fastest" (known: round_robin)`; err == nil || err.Error() != want {
		t.Errorf("New(fastest) = %v, want %s", err, want)
	}
}

func TestRoundRobin(t *testing.T) {
	tests := []struct {
		name   string
		usable string // one letter a candidate: u(sable) or -
		want   []int
	}{
		{"none", "", []int{-1, -1}},
		{"one", "u", []int{0, 0, 0}},
		{"all in turn", "uuu", []int{0, 1, 2, 0, 1, 2, 0}},
		{"first unusable", "-uu", []int{1, 2, 1, 2}},
		{"no double share behind the unusable", "u-u", []int{0, 2, 0, 2}},
		{"last unusable", "uu-", []int{0, 1, 0, 1}},
		{"one left", "--u", []int{2, 2}},
		{"none usable", "---", []int{-1, -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var (
				r   RoundRobin
				got []int
			)
			for range tt.want {
				got = append(got, r.Pick(len(tt.usable), func(i int) bool { return tt.usable[i] == 'u' }))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("picks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoundRobinSharesEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		usable := rapid.SliceOfN(rapid.Bool(), 1, 12).Draw(t, "usable")
		rounds := rapid.IntRange(1, 20).Draw(t, "rounds")
		alive := 0
		for _, u := range usable {
			if u {
				alive++
			}
		}
		var r RoundRobin
		got := make([]int, len(usable))
		for range rounds * alive {
			i := r.Pick(len(usable), func(i int) bool { return usable[i] })
			if i < 0 || !usable[i] {
				t.Fatalf("picked %d of %v", i, usable)
			}
			got[i]++
		}
		for i, u := range usable {
			if want := rounds; u && got[i] != want {
				t.Fatalf("candidate %d of %v was picked %d times, want %d", i, usable, got[i], want)
			}
		}
	})
}

func TestRoundRobinSharesEvenlyAmongGoroutines(t *testing.T) {
	const goroutines, picks, n = 4, 300, 3
	var (
		r     RoundRobin
		wg    sync.WaitGroup
		mu    sync.Mutex
		total [n]int
	)
	for range goroutines {
		wg.Go(func() {
			var mine [n]int
			for range picks {
				mine[r.Pick(n, func(int) bool { return true })]++
			}
			mu.Lock()
			defer mu.Unlock()
			for i, k := range mine {
				total[i] += k
			}
		})
	}
	wg.Wait()
	want := goroutines * picks / n
	if diff := cmp.Diff([n]int{want, want, want}, total); diff != "" {
		t.Errorf("picks of each candidate (-want +got):\n%s", diff)
	}
}

func BenchmarkRoundRobin(b *testing.B) {
	for _, usable := range []string{"uuuuuuuu", "u------u"} {
		b.Run(strings.ReplaceAll(usable, "-", "x"), func(b *testing.B) {
			var r RoundRobin
			b.ReportAllocs()
			for b.Loop() {
				r.Pick(len(usable), func(i int) bool { return usable[i] == 'u' })
			}
		})
	}
}
