package upstream

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// names returns which server each of n requests gets, by its number; - for none.
func names(p *Pool, now time.Time, n int) (got string) {
	for range n {
		s, r := p.Pick(&Ask{Now: now})
		if r != Picked {
			got += "-"
			continue
		}
		for i := range p.servers {
			if p.servers[i] == s {
				got += fmt.Sprint(i)
			}
		}
	}
	return got
}

func TestBackupsServeWhenNobodyElseCan(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Servers[1].Backup = true }), nil)
	if got := names(p, start, 4); got != "0202" {
		t.Errorf("all well: %s", got)
	}
	p.Servers()[0].CheckFailed(start, "failed")
	p.Servers()[2].CheckFailed(start, "failed")
	if got := names(p, start, 2); got != "11" {
		t.Errorf("the others down: %s", got)
	}
}

func TestFullServersDoNotMakeBackupsServe(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Servers = p.Servers[:2]
		p.Servers[0].MaxConnections, p.Servers[1].Backup = 1, true
	}), nil)
	if got := names(p, start, 2); got != "0-" {
		t.Errorf("picks %s", got)
	}
}

func TestWhatTheOperatorWantsOfAServer(t *testing.T) {
	tests := []struct {
		state  proxy.ServerState
		weight int
		sticky string // what a client of server 1 gets
	}{
		{proxy.Ready, 1, "1"},
		{proxy.Ready, 0, "1"},
		{proxy.Drain, 1, "1"},
		{proxy.Maintenance, 1, "0"},
	}
	for _, tt := range tests {
		p := mustPool(t, spec(func(p *proxy.Pool) {
			p.Servers = p.Servers[:2]
			p.Servers[1].State, p.Servers[1].Weight = tt.state, tt.weight
		}), nil)
		want := "00"
		if tt.state == proxy.Ready && tt.weight > 0 {
			want = "01"
		}
		if got := names(p, start, 2); got != want {
			t.Errorf("%q with weight %d: strangers get %s, want %s", tt.state, tt.weight, got, want)
		}
		s, _ := p.Pick(&Ask{Now: start, Sticky: p.Servers()[1]})
		if got := s == p.Servers()[1]; got != (tt.sticky == "1") {
			t.Errorf("%q with weight %d: its client gets it: %v", tt.state, tt.weight, got)
		}
	}
}

func TestStickyClientsOfASickServerGetAnother(t *testing.T) {
	p := mustPool(t, spec(), nil)
	p.Servers()[1].CheckFailed(start, "failed")
	if s, r := p.Pick(&Ask{Now: start, Sticky: p.Servers()[1]}); r != Picked || s == p.Servers()[1] {
		t.Errorf("picked %v, %s", s, r)
	}
	if s, r := p.Pick(&Ask{Now: start, Sticky: p.Servers()[0], Tried: p.Servers()[:1]}); r != Picked || s == p.Servers()[0] {
		t.Errorf("picked %v, %s although it was tried", s, r)
	}
}

// The caps hold at any moment, however many ask.
func TestCapsAreExact(t *testing.T) {
	const perServer, perPool = 2, 5
	p := mustPool(t, spec(func(p *proxy.Pool) {
		for i := range p.Servers {
			p.Servers[i].MaxConnections = perServer
		}
		p.Limits.Connections = perPool
	}), nil)
	var (
		inUse  [3]atomic.Int64
		total  atomic.Int64
		picked atomic.Int64
		wg     sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			a := &Ask{Now: start}
			for range 2000 {
				s, r := p.Pick(a)
				if r == Full {
					continue
				}
				if r != Picked {
					t.Errorf("refused: %s", r)
					return
				}
				for i := range p.servers {
					if p.servers[i] == s {
						if n := inUse[i].Add(1); n > perServer {
							t.Errorf("server %d has %d", i, n)
						}
						if n := total.Add(1); n > perPool {
							t.Errorf("the pool has %d", n)
						}
						total.Add(-1)
						inUse[i].Add(-1)
					}
				}
				picked.Add(1)
				s.End(start, Outcome{})
			}
		})
	}
	wg.Wait()
	if picked.Load() < 1000 {
		t.Errorf("only %d were picked", picked.Load())
	}
	for i, s := range p.Servers() {
		if n := s.Status(start).Active; n != 0 {
			t.Errorf("server %d has %d in the end", i, n)
		}
	}
	if st := p.Status(start); st.Active != 0 {
		t.Errorf("the pool has %d in the end", st.Active)
	}
}

func TestWeightGrowsAfterAServerComesUp(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.SlowStart = 10 * time.Second }), nil)
	s := p.Servers()[0]
	s.CheckPassed(start, "well")
	if w := s.Status(start).Weight; w != 1 {
		t.Errorf("with the first verdict of all: %v, want 1: all begin together", w)
	}
	for range 3 {
		s.CheckFailed(at(1), "failed")
	}
	s.CheckPassed(at(2), "well")
	s.CheckPassed(at(2), "well")
	for seconds, want := range map[float64]float64{2: 0.1, 3: 0.1, 7: 0.5, 12: 1, 100: 1} {
		if w := s.Status(at(seconds)).Weight; w != want {
			t.Errorf("%v s later: %v, want %v", seconds-2, w, want)
		}
	}

	next := mustPool(t, spec(func(p *proxy.Pool) {
		p.SlowStart = 10 * time.Second
		p.Servers = append(p.Servers, numbered(9))
	}), p)
	next.Activate(at(20))
	if w := next.Servers()[3].Status(at(25)).Weight; w != 0.5 {
		t.Errorf("a server that was added 5 s ago: %v, want 0.5", w)
	}
	if w := next.Servers()[1].Status(at(25)).Weight; w != 1 {
		t.Errorf("one that was there before: %v, want 1", w)
	}
}

func TestReloadChangesInPlace(t *testing.T) {
	before := mustPool(t, spec(func(p *proxy.Pool) { p.Breaker = brittle }), nil)
	s := before.Servers()[0]
	fail(before, s, start, 4)
	after := mustPool(t, spec(func(p *proxy.Pool) {
		p.Breaker = brittle
		p.Servers[0].Weight, p.Servers[0].MaxConnections, p.Servers[0].State = 7, 9, proxy.Drain
	}), before)
	if st := s.Status(start); st.Weight != 1 || st.Most != 0 || st.State != proxy.Ready {
		t.Errorf("before Activate: %+v", st)
	}
	after.Activate(start)
	st := s.Status(start)
	if st.Weight != 7 || st.Most != 9 || st.State != proxy.Drain {
		t.Errorf("after Activate: %+v", st)
	}
	if st.Breaker.State != Open {
		t.Errorf("the breaker is %s: a reload has forgotten what it knew", st.Breaker.State)
	}
}

func TestLatencyRisesAtOnceAndFallsSlowly(t *testing.T) {
	var l latency
	if got := l.at(5); got != 0 {
		t.Errorf("nothing measured: %s", got)
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if d := got - want; d < -want/50 || d > want/50 {
			t.Errorf("%s: %s, want about %s", what, got, want)
		}
	}
	now := int64(time.Second)
	l.observe(now, 10*time.Millisecond)
	near("first", l.at(now), 10*time.Millisecond)
	l.observe(now, 100*time.Millisecond)
	near("slower", l.at(now), 100*time.Millisecond)
	l.observe(now, 10*time.Millisecond)
	near("quicker at once", l.at(now), 98200*time.Microsecond)
	near("nobody confirms it", l.at(now+int64(forget)), 49100*time.Microsecond)
	l.observe(now+int64(forget), 10*time.Millisecond)
	near("half of each", l.at(now+int64(forget)), 54100*time.Microsecond)
}

func BenchmarkPick(b *testing.B) {
	for _, balance := range []proxy.Balance{proxy.RoundRobin, proxy.LeastConnections, proxy.LeastResponseTime, proxy.ConsistentHash, proxy.Random} {
		for _, n := range []int{3, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", balance, n), func(b *testing.B) {
				p := mustPool(b, spec(func(p *proxy.Pool) {
					p.Balance, p.Servers = balance, nil
					for i := range n {
						p.Servers = append(p.Servers, numbered(i))
					}
				}), nil)
				a := &Ask{Now: start.Add(time.Minute)}
				b.ReportAllocs()
				for b.Loop() {
					a.Hash += 0x9e3779b97f4a7c15
					a.Random = a.Hash
					s, _ := p.Pick(a)
					s.End(a.Now, Outcome{Latency: time.Millisecond})
				}
			})
		}
	}
}

// numbered returns a server of its own for each i.
func numbered(i int) proxy.Server {
	a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
	return proxy.Server{Name: a.String(), Address: a, Weight: 1}
}

// A client whose drained server is full gets a backup when that is all there is.
func TestAFullStickyServerDoesNotHideBackups(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Servers[0].State, p.Servers[0].MaxConnections = proxy.Drain, 1
		p.Servers[2].Backup = true
	}), nil)
	known := p.Servers()[0]
	p.Pick(&Ask{Now: start, Sticky: known})
	p.Servers()[1].CheckFailed(start, "failed")
	if s, r := p.Pick(&Ask{Now: start, Sticky: known}); r != Picked || s != p.Servers()[2] {
		t.Errorf("picked %v, %s; want the backup", s, r)
	}
	p.Servers()[2].CheckFailed(start, "failed")
	if _, r := p.Pick(&Ask{Now: start, Sticky: known}); r != Full {
		t.Errorf("%s, want full: his server will have a place again", r)
	}
}

func TestLatencyHoldsHoweverLongTheProcessRuns(t *testing.T) {
	for _, days := range []int64{0, 24, 25, 49, 50, 1000} {
		var l latency
		now := days*24*int64(time.Hour) + 1
		l.observe(now, 100*time.Millisecond)
		l.observe(now, time.Millisecond)
		if got := l.at(now); got < 90*time.Millisecond || got > 100*time.Millisecond {
			t.Errorf("after %d days: %s, want about 98 ms", days, got)
		}
	}
}
