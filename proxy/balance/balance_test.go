package balance

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

// fake are candidates that a test tells how they are.
type fake struct {
	unusable map[int]bool
	weights  []int64
	loads    []int64
	times    []time.Duration
}

func (f *fake) Usable(i int) bool        { return !f.unusable[i] && f.weights[i] > 0 }
func (f *fake) Weight(i int) int64       { return f.weights[i] }
func (f *fake) Load(i int) int64         { return f.loads[i] }
func (f *fake) Time(i int) time.Duration { return f.times[i] }

// members returns candidates of the weights, which are idle, and what a policy for
// them is made of.
func members(weights ...int) (*fake, []Member) {
	f := &fake{
		unusable: make(map[int]bool), weights: make([]int64, len(weights)),
		loads: make([]int64, len(weights)), times: make([]time.Duration, len(weights)),
	}
	var m []Member
	for i, w := range weights {
		f.weights[i] = int64(w) * 1000
		m = append(m, Member{ID: fmt.Sprintf("192.0.2.%d:80", i+1), Weight: w})
	}
	return f, m
}

func mustNew(t testing.TB, b proxy.Balance, m []Member) Policy {
	t.Helper()
	p, err := New(b, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// need is what the n-th request of a test asks with.
func need(n int) Need {
	return Need{Hash: mix(uint64(n)), Random: mix(uint64(n) ^ 0x5eed)}
}

var all = []proxy.Balance{
	proxy.RoundRobin, proxy.LeastConnections, proxy.LeastResponseTime, proxy.ClientIPHash, proxy.ConsistentHash, proxy.Random,
}

func TestNewRefusesUnknownPolicies(t *testing.T) {
	_, err := New("fastest", nil)
	if err == nil || !strings.Contains(err.Error(), `unknown balance "fastest" (known: round_robin, `) {
		t.Errorf("New(fastest) = %v", err)
	}
}

// Over 100,000 requests, every policy gives each candidate its share, by the chi-square
// test at a level that chance exceeds once in a thousand times. The seeds are fixed.
func TestSharesFollowTheWeights(t *testing.T) {
	const picks = 100_000
	for _, weights := range [][]int{{1, 1, 1}, {3, 1}, {1, 2, 3, 4}, {10, 1, 1, 1, 1}, {5, 0, 5}} {
		for _, b := range all {
			t.Run(fmt.Sprintf("%s %v", b, weights), func(t *testing.T) {
				f, m := members(weights...)
				p := mustNew(t, b, m)
				got := make([]int, len(weights))
				for n := range picks {
					i := p.Pick(f, need(n))
					got[i]++
					if b == proxy.LeastConnections || b == proxy.LeastResponseTime {
						// These go by what is in progress: with all of it lasting equally
						// long, shares are those of a busy pool.
						f.loads[i]++
					}
				}
				if x, most := chiSquare(got, weights), criticalAt(len(weights)-1); x > most {
					t.Errorf("picks %v: chi-square %.1f, want at most %.1f", got, x, most)
				}
			})
		}
	}
}

func chiSquare(got, weights []int) (x float64) {
	sum, total := 0, 0
	for i, w := range weights {
		sum += w
		total += got[i]
	}
	for i, w := range weights {
		want := float64(total) * float64(w) / float64(sum)
		if w == 0 {
			if got[i] > 0 {
				return math.Inf(1)
			}
			continue
		}
		x += (float64(got[i]) - want) * (float64(got[i]) - want) / want
	}
	return x
}

// criticalAt returns the value that chi-square exceeds once in a thousand times.
func criticalAt(degrees int) float64 {
	return []float64{0, 10.83, 13.82, 16.27, 18.47}[degrees]
}

// Whatever is usable, with whatever load: a pick is usable, and there is one when a
// candidate is.
func TestPicksAreUsable(t *testing.T) {
	for _, b := range all {
		t.Run(string(b), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				weights := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 8).Draw(t, "weights")
				f, m := members(weights...)
				some := false
				for i, w := range weights {
					f.unusable[i] = rapid.Bool().Draw(t, "unusable")
					f.loads[i] = rapid.Int64Range(0, 50).Draw(t, "load")
					f.times[i] = time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "time"))
					some = some || w > 0 && !f.unusable[i]
				}
				p, err := New(b, m)
				if err != nil {
					t.Fatal(err)
				}
				for n := range 20 {
					switch i := p.Pick(f, need(n)); {
					case i < 0 && some:
						t.Fatalf("nobody picked of weights %v, unusable %v", weights, f.unusable)
					case i >= 0 && !f.Usable(i):
						t.Fatalf("picked %d of weights %v, unusable %v", i, weights, f.unusable)
					}
				}
			})
		})
	}
}

// Candidates that start slowly get that much less.
func TestSlowStartersGetLess(t *testing.T) {
	for _, b := range all {
		if b == proxy.ClientIPHash || b == proxy.ConsistentHash {
			continue // who is where would change with each moment
		}
		t.Run(string(b), func(t *testing.T) {
			f, m := members(1, 1)
			f.weights[1] = 100
			p := mustNew(t, b, m)
			got := make([]int, 2)
			for n := range 11_000 {
				i := p.Pick(f, need(n))
				got[i]++
				if b == proxy.LeastConnections || b == proxy.LeastResponseTime || b == proxy.Random {
					f.loads[i]++
				}
			}
			if got[1] < 700 || got[1] > 1300 {
				t.Errorf("a tenth of the weight has %d of 11000 picks", got[1])
			}
		})
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		for _, policy := range all {
			b.Run(fmt.Sprintf("%s/%d", policy, n), func(b *testing.B) {
				weights := make([]int, n)
				for i := range weights {
					weights[i] = 1 + i%3
				}
				f, m := members(weights...)
				p := mustNew(b, policy, m)
				b.ReportAllocs()
				k := 0
				for b.Loop() {
					k++
					p.Pick(f, Need{Hash: mix(uint64(k)), Random: uint64(k)})
				}
			})
		}
	}
}

func TestPoliciesBearConcurrency(t *testing.T) {
	for _, b := range all {
		f, m := members(1, 2, 3)
		p := mustNew(t, b, m)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for n := range 300 {
					if i := p.Pick(f, need(g*1000+n)); i < 0 || i > 2 {
						t.Errorf("%s picked %d", b, i)
					}
				}
			})
		}
		wg.Wait()
	}
}
