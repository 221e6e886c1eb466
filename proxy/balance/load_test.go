package balance

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

func TestLeastConnectionsGoesByWeight(t *testing.T) {
	f, m := members(2, 1)
	f.loads = []int64{2, 1} // with one more: 3/2 and 2/1
	if got := mustNew(t, proxy.LeastConnections, m).Pick(f, Need{}); got != 0 {
		t.Errorf("picked %d", got)
	}
	f.loads = []int64{4, 1} // 5/2 and 2/1
	if got := mustNew(t, proxy.LeastConnections, m).Pick(f, Need{}); got != 1 {
		t.Errorf("picked %d", got)
	}
}

func TestLeastResponseTimeSparesTheSlow(t *testing.T) {
	f, m := members(1, 1, 1)
	f.times = []time.Duration{10 * time.Millisecond, time.Millisecond, 0}
	p := mustNew(t, proxy.LeastResponseTime, m)
	got := make([]int, 3)
	for range 120 {
		i := p.Pick(f, Need{})
		got[i]++
		f.loads[i]++
	}
	// The one that nobody knows is taken to be as quick as the quickest.
	if got[0] > 10 || got[1] < 50 || got[2] < 50 {
		t.Errorf("picks %v", got)
	}
}

func TestRandomTakesTheLessBusyOfTwo(t *testing.T) {
	f, m := members(1, 1)
	f.loads = []int64{5, 0}
	p := mustNew(t, proxy.Random, m)
	got := make([]int, 2)
	for n := range 1000 {
		got[p.Pick(f, need(n))]++
	}
	// The busy one is picked when it is drawn twice.
	if got[0] < 200 || got[0] > 300 {
		t.Errorf("the busy one has %d of 1000 picks, want about 250", got[0])
	}
}

// simulated lets requests come to three servers, of which one is slow, and returns how
// long they took in the end. Each server works on one at a time.
func simulated(t testing.TB, b proxy.Balance, requests int) []time.Duration {
	f, m := members(1, 1, 1)
	p := mustNew(t, b, m)
	r := rand.New(rand.NewPCG(1, 2))
	service := []time.Duration{2 * time.Millisecond, 2 * time.Millisecond, 40 * time.Millisecond}
	free := make([]time.Duration, 3) // when each has done what it has
	type end struct {
		at   time.Duration
		whom int
	}
	var ends []end
	var took []time.Duration
	now := time.Duration(0)
	for n := range requests {
		now += time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
		ends = slices.DeleteFunc(ends, func(e end) bool {
			if e.at <= now {
				f.loads[e.whom]--
			}
			return e.at <= now
		})
		i := p.Pick(f, need(n))
		f.loads[i]++
		begin := max(now, free[i])
		free[i] = begin + time.Duration(r.ExpFloat64()*float64(service[i]))
		ends = append(ends, end{free[i], i})
		d := free[i] - now
		took = append(took, d)
		f.times[i] = max(d, (f.times[i]*9+d)/10) // as package upstream has it: quick to rise
	}
	slices.Sort(took)
	return took
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// With one slow server of three, the slowest of a hundred requests waits at most a third
// of what it waits with round robin. Time is simulated.
func TestLeastResponseTimeCutsTheTail(t *testing.T) {
	inTurn, quickest := p99(simulated(t, proxy.RoundRobin, 20_000)), p99(simulated(t, proxy.LeastResponseTime, 20_000))
	t.Logf("p99 in turn %s, by response time %s", inTurn, quickest)
	if quickest*3 > inTurn {
		t.Errorf("p99 is %s, with round robin %s: want a third at most", quickest, inTurn)
	}
}

func BenchmarkTail(b *testing.B) {
	for _, policy := range []proxy.Balance{proxy.RoundRobin, proxy.LeastConnections, proxy.LeastResponseTime, proxy.Random} {
		b.Run(string(policy), func(b *testing.B) {
			var tail time.Duration
			for b.Loop() {
				tail = p99(simulated(b, policy, 20_000))
			}
			b.ReportMetric(float64(tail.Microseconds())/1000, "ms-p99")
		})
	}
}
