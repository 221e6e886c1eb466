package upstream

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/balance"
)

// waiter is somebody in the queue of a test.
type waiter struct {
	*Waiting
	ask   Ask
	woken int // wakes that he has not followed
}

func queueUp(p *Pool, a Ask) *waiter {
	w := &waiter{ask: a}
	w.Waiting, _ = p.Enqueue(&w.ask, func() { w.woken++ })
	return w
}

func (w *waiter) pick(p *Pool, now time.Time) (*Server, Refusal) {
	w.woken--
	w.ask.Now = now
	return p.PickWaiting(w.Waiting, &w.ask)
}

// narrow is a pool of n servers that take one request each.
func narrow(n int, change ...func(*proxy.Pool)) proxy.Pool {
	return spec(append([]func(*proxy.Pool){func(p *proxy.Pool) {
		p.Servers, p.Limits.Queue = p.Servers[:n], 5
		for i := range p.Servers {
			p.Servers[i].MaxConnections = 1
		}
	}}, change...)...)
}

func TestNobodyGoesBeforeOneWhoWasWoken(t *testing.T) {
	p := mustPool(t, narrow(1), nil)
	s, _ := p.Pick(&Ask{Now: start})
	w := queueUp(p, Ask{Now: start})
	s.End(start, Outcome{})
	if _, r := p.Pick(&Ask{Now: start}); r != Full {
		t.Errorf("one who came later: %s", r)
	}
	if _, r := w.pick(p, start); r != Picked {
		t.Errorf("the one who was woken: %s", r)
	}
}

func TestAPlaceThatOneCannotUseIsForTheNext(t *testing.T) {
	p := mustPool(t, narrow(2), nil)
	s, _ := p.Pick(&Ask{Now: start})
	other, _ := p.Pick(&Ask{Now: start})
	a, b := queueUp(p, Ask{Now: start, Tried: []*Server{s}}), queueUp(p, Ask{Now: start})
	c := queueUp(p, Ask{Now: start})
	s.End(start, Outcome{})
	if a.woken != 0 || b.woken != 1 || c.woken != 0 {
		t.Fatalf("woken %d, %d, %d times, want only the second", a.woken, b.woken, c.woken)
	}
	if got, r := b.pick(p, start); got != s || r != Picked {
		t.Fatalf("the second: %s", r)
	}
	other.End(start, Outcome{})
	if a.woken != 1 || c.woken != 0 {
		t.Errorf("then the first was woken %d times, the third %d: it has lost its turn", a.woken, c.woken)
	}
}

// A retry may go to a backup where others wait for those in front of it.
func TestABackupThatOnlyOneMayUseIsFound(t *testing.T) {
	p := mustPool(t, narrow(2, func(p *proxy.Pool) { p.Servers[1].Backup = true }), nil)
	s, _ := p.Pick(&Ask{Now: start})
	a := queueUp(p, Ask{Now: start})
	b := queueUp(p, Ask{Now: start, Tried: []*Server{s}})
	if a.woken != 0 || b.woken != 1 {
		t.Errorf("woken %d and %d times, want only the second", a.woken, b.woken)
	}
}

func TestWhatIsTakenForAMomentIsToldOfWhenItIsFree(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Limits.Connections, p.Limits.Queue = 1, 5 }), nil)
	var w *waiter
	a := &Ask{Now: start}
	looks := func() { // while the other holds the only place of the pool
		if _, r := p.Pick(&Ask{Now: start}); r != Full {
			t.Fatalf("refused with %s", r)
		}
		w = queueUp(p, Ask{Now: start})
	}
	p.tiers[0].policy = policyFunc(func(balance.Candidates, balance.Need) int { looks(); return -1 })
	if _, r := p.Pick(a); r != NoServer {
		t.Fatalf("the one who finds none: %s", r)
	}
	if w.woken != 1 {
		t.Error("who came meanwhile waits, and nobody is there")
	}
}

func TestAPlaceThatIsFreedWhileOneLooksIsNotMissed(t *testing.T) {
	p := mustPool(t, narrow(1), nil)
	s, _ := p.Pick(&Ask{Now: start})
	w := queueUp(p, Ask{Now: start})
	w.woken++ // by mistake
	policy := p.tiers[0].policy
	p.tiers[0].policy = policyFunc(func(c balance.Candidates, n balance.Need) int {
		p.tiers[0].policy = policy
		i := policy.Pick(c, n)
		s.End(start, Outcome{})
		return i
	})
	if _, r := w.pick(p, start); r != Picked {
		t.Errorf("the place was freed behind his back, and he is told %s", r)
	}
}

func TestAFullQueueIsNotStuck(t *testing.T) {
	p := mustPool(t, narrow(2, func(p *proxy.Pool) {
		p.Outlier = proxy.Outlier{Consecutive: 3, Eject: 10 * time.Second, MaxEjected: 0.5}
		p.Limits.Queue = 1
	}), nil)
	fail(p, p.Servers()[0], start, 3)
	p.Pick(&Ask{Now: start})
	w := queueUp(p, Ask{Now: start})
	p.Look(at(9))
	if w.woken != 0 {
		t.Error("woken while the server is ejected")
	}
	p.Look(at(11))
	if w.woken != 1 {
		t.Error("not woken when the time of the ejection is over")
	}
	w = queueUp(mustPool(t, narrow(1, func(p *proxy.Pool) { p.Limits.Queue = 0 }), nil), Ask{Now: start})
	if w.Waiting != nil {
		t.Error("a queue of none")
	}
}

func TestOneWhoWaitsGoesByTheNewPool(t *testing.T) {
	p := mustPool(t, narrow(1), nil)
	p.Activate(start)
	p.Pick(&Ask{Now: start})
	w := queueUp(p, Ask{Now: start})
	next := mustPool(t, spec(func(p *proxy.Pool) { p.Servers, p.Limits.Queue = p.Servers[1:2], 5 }), p)
	if p.Current() != p {
		t.Error("the new pool is current before it is activated")
	}
	next.Activate(start)
	if s, r := w.pick(p.Current(), start); s != next.Servers()[0] || r != Picked {
		t.Errorf("picked %v, %s", s, r)
	}
}

func TestWhoWaitsIsToldThatNoServerIsLeft(t *testing.T) {
	p := mustPool(t, narrow(1), nil)
	p.Pick(&Ask{Now: start})
	a, b := queueUp(p, Ask{Now: start}), queueUp(p, Ask{Now: start})
	p.Servers()[0].CheckFailed(start, "failed")
	for i, w := range []*waiter{a, b} {
		if w.woken != 1 {
			t.Fatalf("number %d waits on", i)
		}
		if _, r := w.pick(p, start); r != NoServer {
			t.Errorf("number %d: %s", i, r)
		}
	}
}

// Whatever happens, in whatever order: places are counted right, the wakes come to an
// end, and then nobody waits for whom there is a place.
func TestQueueInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &queueModel{t: t, now: start}
		m.reload()
		for range rapid.IntRange(20, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2:
				m.arrive()
			case 3, 4:
				m.end()
			case 5, 6:
				m.follow()
			case 7:
				m.leave()
			case 8:
				m.reload()
			case 9:
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "seconds")) * time.Second)
			}
			m.count()
		}
		m.settle()
		for len(m.held)+len(m.waiting) > 0 {
			if len(m.held) == 0 { // what they wait for takes time
				m.now = m.now.Add(10 * time.Minute)
				m.giveUp()
				continue
			}
			m.end()
			m.settle()
		}
		m.count()
	})
}

type queueModel struct {
	t       *rapid.T
	now     time.Time
	pool    *Pool
	held    []*Server // by requests in progress
	waiting []*waiter
}

func (m *queueModel) reload() {
	spec := spec(func(p *proxy.Pool) {
		p.Outlier = proxy.Outlier{Consecutive: 2, Eject: 5 * time.Second, MaxEjected: 0.5}
		p.Breaker = proxy.Breaker{ErrorRate: 0.5, Window: 10 * time.Second, Minimum: 4, Open: 5 * time.Second}
		p.Limits.Connections = rapid.IntRange(0, 3).Draw(m.t, "most")
		p.Limits.Queue = rapid.IntRange(0, 6).Draw(m.t, "queue")
		for i := range p.Servers {
			s := &p.Servers[i]
			s.MaxConnections, s.Weight = rapid.IntRange(1, 2).Draw(m.t, "cap"), rapid.IntRange(0, 2).Draw(m.t, "weight")
			s.Backup = rapid.Bool().Draw(m.t, "backup")
			s.State = rapid.SampledFrom([]proxy.ServerState{proxy.Ready, proxy.Ready, proxy.Drain, proxy.Maintenance}).Draw(m.t, "state")
		}
		p.Servers = p.Servers[rapid.IntRange(0, 2).Draw(m.t, "gone"):]
	})
	p, err := NewPool(spec, m.pool, m.now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.pool = p
	p.Activate(m.now)
}

func (m *queueModel) took(s *Server, r Refusal) {
	if r == Picked {
		m.held = append(m.held, s)
	}
}

func (m *queueModel) arrive() {
	a := Ask{Now: m.now, Random: rapid.Uint64().Draw(m.t, "random")}
	for _, s := range m.pool.Servers() {
		if rapid.IntRange(0, 3).Draw(m.t, "tried") == 0 {
			a.Tried = append(a.Tried, s)
		}
	}
	if rapid.Bool().Draw(m.t, "sticky") {
		a.Sticky = rapid.SampledFrom(m.pool.Servers()).Draw(m.t, "to")
	}
	foretold := m.pool.would(&a, since(m.pool.shared.epoch, m.now))
	s, r := m.pool.Pick(&a)
	if len(m.waiting) == 0 && r != foretold {
		m.t.Fatalf("%s, though it would be %s", r, foretold)
	}
	m.took(s, r)
	if r == Full {
		if w := queueUp(m.pool, a); w.Waiting != nil {
			m.waiting = append(m.waiting, w)
		}
	}
}

func (m *queueModel) end() {
	if len(m.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(m.t, "whose")
	s := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	if how := rapid.IntRange(0, 3).Draw(m.t, "how"); how == 3 {
		s.Abandon(m.now)
	} else {
		s.End(m.now, Outcome{Result: Result(how)})
	}
}

// follow lets one who was woken pick, and reports whether there was one.
func (m *queueModel) follow() bool {
	var woken []int
	for i, w := range m.waiting {
		if w.woken > 1 {
			m.t.Fatal("woken twice")
		}
		if w.woken > 0 {
			woken = append(woken, i)
		}
	}
	if len(woken) == 0 {
		return false
	}
	i := rapid.SampledFrom(woken).Draw(m.t, "woken")
	s, r := m.waiting[i].pick(m.pool.Current(), m.now)
	m.took(s, r)
	if r != Full {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	return true
}

func (m *queueModel) leave() {
	if len(m.waiting) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.waiting)-1).Draw(m.t, "who")
	w := m.waiting[i]
	m.waiting = slices.Delete(m.waiting, i, i+1)
	w.Leave(m.now)
}

func (m *queueModel) giveUp() {
	m.settle()
	for len(m.held) == 0 && len(m.waiting) > 0 {
		m.leave()
		m.settle()
	}
}

// settle follows all wakes.
func (m *queueModel) settle() {
	m.pool.Look(m.now)
	for n := 0; m.follow(); n++ {
		if n > 1000 {
			m.t.Fatal("the wakes come to no end")
		}
	}
	for i, w := range m.waiting {
		w.ask.Now = m.now
		if r := m.pool.would(&w.ask, since(m.pool.shared.epoch, m.now)); r != Full {
			m.t.Fatalf("number %d of %d waits, and would be told %s", i, len(m.waiting), r)
		}
	}
}

// count compares what is counted with what there is.
func (m *queueModel) count() {
	each := map[*Server]int64{}
	for _, s := range m.held {
		each[s]++
	}
	for _, s := range m.pool.Servers() {
		if got := s.active.Load(); got != each[s] {
			m.t.Fatalf("%s has %d in progress, counts %d", s.Address(), each[s], got)
		}
	}
	if st := m.pool.Status(m.now); st.Active != int64(len(m.held)) || st.Waiting != int64(len(m.waiting)) {
		m.t.Fatalf("%d in progress, %d waiting, counted %+v", len(m.held), len(m.waiting), st)
	}
}

// policyFunc is a policy for one test.
type policyFunc func(balance.Candidates, balance.Need) int

func (f policyFunc) Pick(c balance.Candidates, n balance.Need) int { return f(c, n) }
