package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var brittle = proxy.Breaker{ErrorRate: 0.5, Window: 10 * time.Second, Minimum: 4, Open: 5 * time.Second}

// report tells of n requests at s that went so.
func report(p *Pool, s *Server, now time.Time, r Result, n int) (changed bool) {
	for range n {
		if !p.Again(s, now) {
			return changed
		}
		changed = s.End(now, Outcome{Result: r}).Changed || changed
	}
	return changed
}

func fail(p *Pool, s *Server, now time.Time, n int) (changed bool) {
	return report(p, s, now, Failure, n)
}

func TestBreaker(t *testing.T) {
	newPool := func() (*Pool, *Server) {
		p := mustPool(t, spec(func(p *proxy.Pool) { p.Breaker = brittle }), nil)
		return p, p.Servers()[0]
	}
	state := func(s *Server, now time.Time) BreakerState { return s.Status(now).Breaker.State }

	t.Run("needs a minimum of requests", func(t *testing.T) {
		p, s := newPool()
		fail(p, s, start, 3)
		if got := state(s, start); got != Closed {
			t.Errorf("after 3 failures: %s", got)
		}
		if !fail(p, s, start, 1) || state(s, start) != Open {
			t.Errorf("after 4 failures: %s", state(s, start))
		}
	})
	t.Run("goes by the rate", func(t *testing.T) {
		p, s := newPool()
		report(p, s, start, Success, 10)
		fail(p, s, start, 9)
		if got := state(s, start); got != Closed {
			t.Errorf("after 9 of 19: %s", got)
		}
		fail(p, s, start, 1)
		if got := state(s, start); got != Open {
			t.Errorf("after 10 of 20: %s", got)
		}
	})
	t.Run("forgets what is long ago", func(t *testing.T) {
		p, s := newPool()
		fail(p, s, start, 3)
		fail(p, s, at(11), 3)
		if got := state(s, at(11)); got != Closed {
			t.Errorf("after 3 failures and, 11 s later, 3 more: %s", got)
		}
	})
	t.Run("neutral ones do not count", func(t *testing.T) {
		p, s := newPool()
		report(p, s, start, Neutral, 50)
		fail(p, s, start, 4)
		if got := state(s, start); got != Open {
			t.Errorf("%s", got)
		}
	})
	t.Run("closes after three probes", func(t *testing.T) {
		p, s := newPool()
		fail(p, s, start, 4)
		if names(p, at(1), 1) == "0" || p.Again(s, at(1)) {
			t.Error("something was sent while it was open")
		}
		now := at(6)
		if got := state(s, now); got != HalfOpen {
			t.Fatalf("after 6 s: %s", got)
		}
		for range probes {
			if !p.Again(s, now) {
				t.Fatal("a probe was refused")
			}
		}
		if p.Again(s, now) {
			t.Error("more probes than there should be")
		}
		for range probes {
			s.End(now, Outcome{})
		}
		if got := state(s, now); got != Closed {
			t.Errorf("after its probes went well: %s", got)
		}
		fail(p, s, now, 3)
		if got := state(s, now); got != Closed {
			t.Errorf("what was before it opened still counts: %s", got)
		}
	})
	t.Run("opens again when a probe fails", func(t *testing.T) {
		p, s := newPool()
		fail(p, s, start, 4)
		fail(p, s, at(6), 1)
		if got := state(s, at(10)); got != Open {
			t.Errorf("%s", got)
		}
	})
	t.Run("does not wait for ever for a probe that says nothing", func(t *testing.T) {
		p, s := newPool()
		fail(p, s, start, 4)
		for range probes {
			p.Again(s, at(6)) // and never ends
		}
		if p.Again(s, at(7)) {
			t.Error("a fourth probe at once")
		}
		p.Pick(&Ask{Now: at(30), Tried: p.Servers()[1:]})
		if got := s.Status(at(30)).Active; got != probes+1 {
			t.Errorf("%d in progress: no probe followed", got)
		}
	})
}

func TestThePoolsBreakerRefusesAtOnce(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Breaker = brittle }), nil)
	for _, s := range p.Servers() {
		fail(p, s, start, 2)
	}
	if _, r := p.Pick(&Ask{Now: at(1)}); r != BreakerOpen {
		t.Errorf("refused with %s", r)
	}
	if got := p.Status(at(1)).Breaker; got.State != Open || got.Opened != 1 {
		t.Errorf("status %+v", got)
	}
	for i := range probes {
		s, r := p.Pick(&Ask{Now: at(6)})
		if r != Picked {
			t.Fatalf("probe %d: %s", i, r)
		}
		s.End(at(6), Outcome{})
	}
	if got := p.Status(at(6)).Breaker.State; got != Closed {
		t.Errorf("after its probes went well: %s", got)
	}
}

func TestOutliers(t *testing.T) {
	eject := proxy.Outlier{Consecutive: 3, Eject: 10 * time.Second, MaxEjected: 0.5}
	newPool := func() *Pool { return mustPool(t, spec(func(p *proxy.Pool) { p.Outlier = eject }), nil) }
	out := func(p *Pool, now time.Time) (got string) {
		for _, s := range p.Servers() {
			if s.Eligible(now) {
				got += "."
			} else {
				got += "x"
			}
		}
		return got
	}

	t.Run("three in a row", func(t *testing.T) {
		p := newPool()
		s := p.Servers()[0]
		fail(p, s, start, 2)
		report(p, s, start, Success, 1)
		fail(p, s, start, 2)
		if got := out(p, start); got != "..." {
			t.Errorf("with a success between: %s", got)
		}
		if !fail(p, s, start, 1) || out(p, start) != "x.." {
			t.Errorf("after three: %s", out(p, start))
		}
		st := s.Status(at(1))
		if st.EjectedUntil != at(10) || st.EjectedFor != "3 failures in a row" || st.Health != Unknown {
			t.Errorf("status %+v", st)
		}
		if got := out(p, at(10)); got != "..." {
			t.Errorf("after 10 s: %s", got)
		}
	})
	t.Run("longer each time, and forgiven in time", func(t *testing.T) {
		p := newPool()
		s := p.Servers()[0]
		fail(p, s, start, 3)
		fail(p, s, at(11), 3)
		if got := s.Status(at(11)).EjectedUntil; got != at(31) {
			t.Errorf("the second lasts until %s", got.Sub(start))
		}
		fail(p, s, at(60), 3) // 29 s later: both are forgiven
		if got := s.Status(at(60)).EjectedUntil; got != at(70) {
			t.Errorf("much later one lasts until %s", got.Sub(start))
		}
	})
	t.Run("not too many, and never the last", func(t *testing.T) {
		p := newPool()
		for _, s := range p.Servers() {
			fail(p, s, start, 3)
		}
		if got := out(p, start); got != "x.." {
			t.Errorf("of three at most half: %s", got)
		}
		p = newPool()
		p.Servers()[1].CheckFailed(start, "failed")
		p.Servers()[2].CheckFailed(start, "failed")
		fail(p, p.Servers()[0], start, 5)
		if got := out(p, start); got != ".xx" {
			t.Errorf("the last one: %s", got)
		}
	})
}

// Those that take no strangers do not count as left.
func TestTheLastThatMayServeIsNotEjected(t *testing.T) {
	others := map[string]proxy.Server{
		"drained":        {State: proxy.Drain, Weight: 1},
		"in maintenance": {State: proxy.Maintenance, Weight: 1},
		"without weight": {},
	}
	for name, other := range others {
		p := mustPool(t, spec(func(p *proxy.Pool) {
			p.Outlier = proxy.Outlier{Consecutive: 3, Eject: 10 * time.Second, MaxEjected: 0.5}
			p.Servers = p.Servers[:2]
			p.Servers[1].State, p.Servers[1].Weight = other.State, other.Weight
		}), nil)
		fail(p, p.Servers()[0], start, 3)
		if _, r := p.Pick(&Ask{Now: start}); r != Picked {
			t.Errorf("the other is %s: %s", name, r)
		}
	}
}

func TestQueueIsFair(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Servers = p.Servers[:1]
		p.Servers[0].MaxConnections = 1
		p.Limits.Queue = 2
	}), nil)
	s, _ := p.Pick(&Ask{Now: start})
	if _, r := p.Pick(&Ask{Now: start}); r != Full {
		t.Fatalf("refused with %s", r)
	}
	woken := ""
	a, ok1 := p.Enqueue(&Ask{Now: start}, func() { woken += "a" })
	b, ok2 := p.Enqueue(&Ask{Now: start}, func() { woken += "b" })
	_, ok3 := p.Enqueue(&Ask{Now: start}, func() { woken += "c" })
	if !ok1 || !ok2 || ok3 {
		t.Fatalf("joined: %v %v %v, want two", ok1, ok2, ok3)
	}
	s.End(start, Outcome{})
	if woken != "a" {
		t.Fatalf("woken %q", woken)
	}
	if _, r := p.Pick(&Ask{Now: start}); r != Full {
		t.Error("somebody goes before those who wait")
	}
	a.Leave(start) // so that the place is b's
	if woken != "ab" {
		t.Fatalf("woken %q after the first has left", woken)
	}
	if _, r := p.PickWaiting(b, &Ask{Now: start}); r != Picked {
		t.Errorf("refused with %s", r)
	}
	if st := p.Status(start); st.Waiting != 0 || st.Queued != 2 || st.QueueRefused != 1 || st.QueueLeft != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestAPlaceFreedBeforeOneQueuesIsNotMissed(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Servers = p.Servers[:1]
		p.Servers[0].MaxConnections, p.Limits.Queue = 1, 1
	}), nil)
	s, _ := p.Pick(&Ask{Now: start})
	if _, r := p.Pick(&Ask{Now: start}); r != Full {
		t.Fatal(r)
	}
	s.End(start, Outcome{}) // nobody waits yet
	woken := false
	p.Enqueue(&Ask{Now: start}, func() { woken = true })
	if !woken {
		t.Error("he waits although there is a place")
	}
}

// A reload that allows for more lets all in who wait and fit.
func TestMoreRoomIsForMore(t *testing.T) {
	with := func(most int) func(*proxy.Pool) {
		return func(p *proxy.Pool) {
			p.Servers = p.Servers[:1]
			p.Servers[0].MaxConnections, p.Limits.Queue = most, 5
		}
	}
	p := mustPool(t, spec(with(1)), nil)
	p.Pick(&Ask{Now: start})
	var woken []int
	var all []*Waiting
	for i := range 3 {
		w, _ := p.Enqueue(&Ask{Now: start}, func() { woken = append(woken, i) })
		all = append(all, w)
	}
	p = mustPool(t, spec(with(3)), p)
	p.Activate(start)
	for n := 0; n < len(woken); n++ {
		p.PickWaiting(all[woken[n]], &Ask{Now: start})
	}
	if len(woken) != 2 {
		t.Errorf("woken %v, want the first two", woken)
	}
}

// Whoever waits gets a place in the end, however many there are.
func TestNoPlaceIsLost(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		for i := range p.Servers {
			p.Servers[i].MaxConnections = 1
		}
		p.Limits.Queue = 1000
	}), nil)
	var (
		wg     sync.WaitGroup
		served atomic.Int64
	)
	const goroutines, each = 16, 200
	for range goroutines {
		wg.Go(func() {
			for range each {
				a := &Ask{Now: start}
				s, r := p.Pick(a)
				if r == Full {
					wake := make(chan struct{}, 1)
					w, _ := p.Enqueue(a, func() { wake <- struct{}{} })
					for r == Full {
						<-wake
						s, r = p.PickWaiting(w, a)
					}
				}
				if r != Picked {
					t.Errorf("refused with %s", r)
					return
				}
				served.Add(1)
				s.End(start, Outcome{})
			}
		})
	}
	wg.Wait()
	if n := served.Load(); n != goroutines*each {
		t.Errorf("%d were served", n)
	}
}

// In any sequence, retries are at most the share of the requests and a few, whatever
// the pace.
func TestRetriesStayWithinTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := NewPool(spec(func(p *proxy.Pool) { p.Retry.Budget = 0.2 }), nil, start)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		requests, retries := 0, 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
			s, _ := p.Pick(&Ask{Now: now})
			requests++
			if p.Retry(now) { // everything fails
				if !p.Again(s, now) {
					t.Fatal("not again")
				}
				retries++
				s.Abandon(now)
				p.RetryDone()
			}
			s.Abandon(now)
		}
		floor := budgetFloor * (1 + now.Sub(start).Seconds()/budgetSpan.Seconds())
		if most := 0.2*float64(requests) + floor; float64(retries) > most {
			t.Fatalf("%d retries of %d requests in %s, more than %.1f", retries, requests, now.Sub(start), most)
		}
	})
}

func TestBudgetMeltsAway(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Retry.Budget = 0.2 }), nil)
	for range 1000 {
		s, _ := p.Pick(&Ask{Now: start})
		s.End(start, Outcome{})
	}
	many := 0
	for p.Retry(start) {
		many++
	}
	if many < 200 || many > 203 {
		t.Errorf("%d retries after 1000 requests", many)
	}
	if p.Retry(at(1)) {
		t.Error("a retry with nothing in the purse")
	}
	few := 0
	for p.Retry(at(60)) {
		few++
	}
	if few != budgetFloor {
		t.Errorf("%d retries after a minute without requests, want %d", few, budgetFloor)
	}
	if st := p.Status(at(60)); st.Retries != uint64(many+few) || st.RetriesRefused != 3 {
		t.Errorf("status %+v", st)
	}
}
