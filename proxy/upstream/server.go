package upstream

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Server is one destination of a pool, with its health, its load and its counters. A
// reload keeps it as long as the pool's name, the address and the check stay the same.
//
// Multiple goroutines may invoke methods on a Server at the same time. What every
// request touches is atomic; what decides over it has a mutex, taken once a check, once
// a connect, once a failure and once a status.
type Server struct {
	address netip.AddrPort
	epoch   time.Time // origin of the times below, in ns; that of its pool

	// shut is when the server may be used again, as far as its health and its
	// ejections go: 0 when it may be used, math.MaxInt64 when only a check can tell.
	shut    atomic.Int64
	state   atomic.Value // proxy.ServerState
	weight  atomic.Int64 // nominal, in thousandths
	most    atomic.Int64 // in progress; 0: no limit
	risen   atomic.Int64 // when it began to start slowly; 0: it does not
	pool    atomic.Pointer[Pool]
	breaker atomic.Pointer[breaker]

	active  atomic.Int64
	served  atomic.Uint64
	failed  atomic.Uint64
	streak  atomic.Int32 // of failures
	latency latency

	mu       sync.Mutex
	health   health
	ejection ejection
}

// Verdict says what an observation led to.
type Verdict struct {
	Changed bool // the server's health changed, or whether it is set aside
	Check   bool // a check should look at the server at once
}

// Result is how a request or a connection went, as far as the server is concerned.
type Result uint8

// The results.
const (
	Success Result = iota
	Failure        // a connect failed, the connection broke, no answer in time, 502, 503 or 504
	Neutral        // it says nothing of the server: the client left
)

// Outcome is how a request or a connection went.
type Outcome struct {
	Result  Result
	Latency time.Duration // until the first byte of the answer; 0: unknown
	// Began is when the server was picked; zero: just now. What began before a breaker
	// opened is no probe of whether it may close.
	Began time.Time
}

func newServer(spec proxy.Server, p *Pool, now time.Time) *Server {
	s := &Server{
		address: spec.Address,
		epoch:   p.shared.epoch,
		health:  health{check: p.spec.Check, since: now, reason: "nothing heard yet"},
	}
	s.pool.Store(p)
	s.configure(spec, p.spec.Breaker)
	return s
}

// configure makes the server go by spec.
func (s *Server) configure(spec proxy.Server, b proxy.Breaker) {
	s.state.Store(spec.State)
	s.weight.Store(int64(spec.Weight) * 1000)
	s.most.Store(int64(spec.MaxConnections))
	if old := s.breaker.Load(); old == nil || old.spec != b {
		s.breaker.Store(&breaker{spec: b})
	}
}

// Address returns the address to connect to.
func (s *Server) Address() netip.AddrPort { return s.address }

// Check returns how the server is probed.
func (s *Server) Check() proxy.Check { return s.health.check }

// State returns what the operator wants of the server.
func (s *Server) State() proxy.ServerState { return s.state.Load().(proxy.ServerState) }

func (s *Server) at(now time.Time) int64 { return since(s.epoch, now) }

// Eligible reports whether the server may be given new work, as far as its health goes.
func (s *Server) Eligible(now time.Time) bool { return s.eligible(s.at(now)) }

func (s *Server) eligible(now int64) bool {
	shut := s.shut.Load()
	return shut == 0 || now >= shut
}

// CheckPassed takes in a good check; evidence says what the server answered.
func (s *Server) CheckPassed(now time.Time, evidence string) Verdict {
	return s.observe(now, func(h *health) { h.checkPassed(now, evidence) })
}

// CheckFailed takes in a failed check.
func (s *Server) CheckFailed(now time.Time, evidence string) Verdict {
	return s.observe(now, func(h *health) { h.checkFailed(now, evidence) })
}

// Connected takes in a connect made to serve a client.
func (s *Server) Connected(now time.Time) Verdict {
	return s.observe(now, func(h *health) { h.connected(now) })
}

// ConnectFailed takes in a connect that failed, made to serve a client. It counts
// like a failed check.
func (s *Server) ConnectFailed(now time.Time, evidence string) Verdict {
	s.failed.Add(1)
	wasDown := false
	v := s.observe(now, func(h *health) {
		wasDown = h.state == Down
		h.connectFailed(now, evidence)
	})
	v.Check = s.Check().Kind != proxy.CheckNone && !wasDown
	return v
}

func (s *Server) observe(now time.Time, event func(*health)) Verdict {
	s.mu.Lock()
	before := s.health.state
	event(&s.health)
	after, until := s.health.state, s.health.until
	s.shut.Store(s.shutUntil())
	s.mu.Unlock()
	switch {
	case !until.IsZero():
		s.risen.Store(s.at(until)) // nobody tells when it is back
	case before == Down && after == Up && s.Check().Kind != proxy.CheckNone:
		s.risen.Store(s.at(now))
	}
	if before != after { // also for the worse: who waits in vain should not wait on
		s.pool.Load().wakeNext(s.at(now))
	}
	return Verdict{Changed: before != after}
}

// shutUntil returns what shut is to be; the caller holds mu.
func (s *Server) shutUntil() int64 {
	health := int64(0)
	switch {
	case s.health.state != Down:
	case s.health.until.IsZero():
		return math.MaxInt64
	default:
		health = s.at(s.health.until)
	}
	return max(health, s.ejection.until)
}

// effective returns the weight as of now, in thousandths, when slow is how long a
// server takes to get its whole share.
func (s *Server) effective(now int64, slow time.Duration) int64 {
	w := s.weight.Load()
	risen := s.risen.Load()
	if slow == 0 || risen == 0 || w == 0 {
		return w
	}
	age := now - risen
	if age >= int64(slow) {
		return w
	}
	// From a tenth of it on: with nothing it would never get warm.
	share := max(0.1, float64(age)/float64(slow))
	return max(1, int64(float64(w)*share))
}

// reserve takes a place at the server, or says why it cannot. The breaker comes first:
// a place is never taken for a moment only, in which others would find none.
func (s *Server) reserve(now int64) Refusal {
	b := s.breaker.Load()
	if b.on() && !b.take(now) {
		return BreakerOpen
	}
	for {
		n, most := s.active.Load(), s.most.Load()
		if most > 0 && n >= most {
			b.giveBack(now, now)
			return Full
		}
		if s.active.CompareAndSwap(n, n+1) {
			return Picked
		}
	}
}

// End ends what a Pick has begun, and takes in how it went.
func (s *Server) End(now time.Time, o Outcome) Verdict {
	s.served.Add(1)
	p := s.pool.Load()
	at := s.at(now)
	began := at
	if !o.Began.IsZero() {
		began = s.at(o.Began)
	}
	v := Verdict{}
	switch o.Result {
	case Neutral:
		s.giveBack(p, at, began)
	default:
		v.Changed = s.report(p, at, began, o)
	}
	s.release(p, at)
	return v
}

// Abandon takes a Pick back that was just made: the request or connection went elsewhere, and says nothing
// of the server.
func (s *Server) Abandon(now time.Time) {
	p := s.pool.Load()
	s.giveBack(p, s.at(now), s.at(now))
	s.release(p, s.at(now))
}

// release frees the place.
func (s *Server) release(p *Pool, now int64) {
	s.active.Add(-1)
	p.shared.active.Add(-1)
	p.wakeNext(now)
}

func (s *Server) giveBack(p *Pool, now, began int64) {
	s.breaker.Load().giveBack(now, began)
	p.shared.breaker.Load().giveBack(now, began)
}

// report takes in an outcome that says something of the server.
func (s *Server) report(p *Pool, now, began int64, o Outcome) (changed bool) {
	failed := o.Result == Failure
	switch most := p.spec.Outlier.Consecutive; {
	case !failed:
		if p.timed && o.Latency > 0 {
			s.latency.observe(now, o.Latency)
		}
		if s.streak.Load() != 0 {
			s.streak.Store(0)
		}
	case most == 0, s.ejected(now): // what began before counts no more when it is back
	default:
		if n := int(s.streak.Add(1)); n >= most {
			changed = p.eject(s, now, n)
		}
	}
	changed = s.breaker.Load().report(now, began, failed) || changed
	return p.shared.breaker.Load().report(now, began, failed) || changed
}

// Broke counts a response that the server did not complete. It does not touch the
// server's health.
func (s *Server) Broke() { s.failed.Add(1) }
