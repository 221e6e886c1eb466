package balance

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

func TestRoundRobin(t *testing.T) {
	tests := []struct {
		name     string
		weights  []int
		unusable []int
		want     []int
	}{
		{"nobody", nil, nil, []int{-1, -1}},
		{"one", []int{1}, nil, []int{0, 0, 0}},
		{"all in turn", []int{1, 1, 1}, nil, []int{0, 1, 2, 0, 1, 2, 0}},
		{"not at a stretch", []int{3, 1}, nil, []int{0, 0, 1, 0, 0, 0, 1, 0}},
		{"spread", []int{5, 1, 1}, nil, []int{0, 0, 0, 1, 2, 0, 0}},
		{"no weight, no turn", []int{1, 0}, nil, []int{0, 0}},
		{"first unusable", []int{1, 1, 1}, []int{0}, []int{1, 2, 1, 2}},
		{"no double share behind the unusable", []int{1, 1, 1}, []int{1}, []int{0, 2, 0, 2}},
		{"none usable", []int{1, 1}, []int{0, 1}, []int{-1, -1}},
		{"weights are relative", []int{1000, 1000}, nil, []int{0, 1, 0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, m := members(tt.weights...)
			for _, i := range tt.unusable {
				f.unusable[i] = true
			}
			p := mustNew(t, proxy.RoundRobin, m)
			var got []int
			for range tt.want {
				got = append(got, p.Pick(f, Need{}))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("picks (-want +got):\n%s", diff)
			}
		})
	}
}

// In each round, whoever is usable gets exactly its share of the turns.
func TestRoundRobinSharesExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 8).Draw(t, "weights")
		f, m := members(weights...)
		round := 0
		divisor := 0
		for _, w := range weights {
			divisor = gcd(w, divisor)
		}
		for i, w := range weights {
			if f.unusable[i] = i > 0 && rapid.Bool().Draw(t, "unusable"); !f.unusable[i] {
				round += w / divisor
			}
		}
		p := newRoundRobin(m)
		got := make([]int, len(weights))
		for range 3 * round {
			got[p.Pick(f, Need{})]++
		}
		for i, w := range weights {
			if want := 3 * w / divisor; !f.unusable[i] && got[i] != want {
				t.Fatalf("candidate %d of weights %v without %v has %d turns in three rounds, want %d", i, weights, f.unusable, got[i], want)
			}
		}
	})
}

func TestRoundsAreBounded(t *testing.T) {
	var weights []int
	for i := range 1000 {
		weights = append(weights, 1+i)
	}
	_, m := members(weights...)
	p := newRoundRobin(m)
	if n := len(p.turns); n > 2*maxTurns {
		t.Errorf("a round has %d turns", n)
	}
	for i := range weights {
		if !slices.Contains(p.turns, int32(i)) {
			t.Fatalf("weight %d has no turn", weights[i])
		}
	}
}
