package upstream

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Server is one destination of a pool, with its health and its counters. A
// reload keeps it as long as the pool's name, the address and the check stay the
// same.
//
// Multiple goroutines may invoke methods on a Server at the same time. What every
// request touches is atomic; the health state machine has a mutex, taken once a
// check, once a connect and once a status.
type Server struct {
	address netip.AddrPort
	epoch   time.Time // origin of shut

	// shut is how long after epoch the server may be used again: 0 when it may
	// be used, math.MaxInt64 when only a check can tell.
	shut atomic.Int64

	active atomic.Int64
	served atomic.Uint64
	failed atomic.Uint64

	mu     sync.Mutex
	health health
}

// Status is a snapshot of a Server.
type Status struct {
	Health Health
	Since  time.Time // when Health last changed
	Reason string    // evidence for Health
	Active int64     // requests or connections in progress
	Served uint64    // requests or connections that ended
	Failed uint64    // connects that failed, and responses that broke
}

// Verdict says what an observation led to.
type Verdict struct {
	Changed bool // the server's health changed
	Check   bool // a check should look at the server at once
}

func newServer(address netip.AddrPort, check proxy.Check, now time.Time) *Server {
	return &Server{
		address: address,
		epoch:   now,
		health:  health{check: check, since: now, reason: "nothing heard yet"},
	}
}

// Address returns the address to connect to.
func (s *Server) Address() netip.AddrPort { return s.address }

// Check returns how the server is probed.
func (s *Server) Check() proxy.Check { return s.health.check }

// Eligible reports whether the server may be given new work.
func (s *Server) Eligible(now time.Time) bool {
	shut := s.shut.Load()
	return shut == 0 || now.Sub(s.epoch) >= time.Duration(shut)
}

// CheckPassed takes in a good check; evidence says what the server answered.
func (s *Server) CheckPassed(now time.Time, evidence string) Verdict {
	return s.observe(func(h *health) { h.checkPassed(now, evidence) })
}

// CheckFailed takes in a failed check.
func (s *Server) CheckFailed(now time.Time, evidence string) Verdict {
	return s.observe(func(h *health) { h.checkFailed(now, evidence) })
}

// Connected takes in a connect made to serve a client.
func (s *Server) Connected(now time.Time) Verdict {
	return s.observe(func(h *health) { h.connected(now) })
}

// ConnectFailed takes in a connect that failed, made to serve a client. It counts
// like a failed check.
func (s *Server) ConnectFailed(now time.Time, evidence string) Verdict {
	s.failed.Add(1)
	wasDown := false
	v := s.observe(func(h *health) {
		wasDown = h.state == Down
		h.connectFailed(now, evidence)
	})
	v.Check = s.Check().Kind != proxy.CheckNone && !wasDown
	return v
}

func (s *Server) observe(event func(*health)) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.health.state
	event(&s.health)
	s.shut.Store(s.shutFor())
	return Verdict{Changed: s.health.state != before}
}

func (s *Server) shutFor() int64 {
	switch {
	case s.health.state != Down:
		return 0
	case s.health.until.IsZero():
		return math.MaxInt64
	default:
		return int64(s.health.until.Sub(s.epoch))
	}
}

// Begin counts a request or connection as in progress; End must follow.
func (s *Server) Begin() { s.active.Add(1) }

// End counts a request or connection as served.
func (s *Server) End() {
	s.active.Add(-1)
	s.served.Add(1)
}

// Abandon takes a Begin back: the request or connection went elsewhere.
func (s *Server) Abandon() { s.active.Add(-1) }

// Broke counts a response that the server did not complete. It does not touch the
// server's health.
func (s *Server) Broke() { s.failed.Add(1) }

// Status returns a snapshot.
func (s *Server) Status(now time.Time) Status {
	s.mu.Lock()
	s.health.expire(now)
	st := Status{Health: s.health.state, Since: s.health.since, Reason: s.health.reason}
	s.mu.Unlock()
	st.Active = s.active.Load()
	st.Served = s.served.Load()
	st.Failed = s.failed.Load()
	return st
}
