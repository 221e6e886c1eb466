package upstream

import (
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Status is a snapshot of a Server.
type Status struct {
	Health Health
	Since  time.Time // when Health last changed
	Reason string    // evidence for Health
	State  proxy.ServerState
	Active int64  // requests or connections in progress
	Most   int64  // of them; 0: no limit
	Served uint64 // requests or connections that ended
	Failed uint64 // connects that failed, and responses that broke

	Weight       float64       // as of now
	ResponseTime time.Duration // of late; 0: unknown, or nobody asks
	EjectedUntil time.Time     // zero: it is not ejected
	EjectedFor   string        // why it is, or was the last time
	Ejections    uint64
	Breaker      BreakerStatus
}

// Status returns a snapshot.
func (s *Server) Status(now time.Time) Status {
	at := s.at(now)
	s.mu.Lock()
	s.health.expire(now)
	st := Status{
		Health: s.health.state, Since: s.health.since, Reason: s.health.reason,
		EjectedFor: s.ejection.reason, Ejections: s.ejection.count,
	}
	if at < s.ejection.until {
		st.EjectedUntil = s.epoch.Add(time.Duration(s.ejection.until))
	}
	s.mu.Unlock()
	st.State = s.State()
	st.Active, st.Most = s.active.Load(), s.most.Load()
	st.Served, st.Failed = s.served.Load(), s.failed.Load()
	st.Weight = float64(s.effective(at, s.pool.Load().spec.SlowStart)) / 1000
	st.ResponseTime = s.latency.at(at)
	st.Breaker = s.breaker.Load().status(at)
	return st
}

// PoolStatus is a snapshot of what a pool has beside its servers.
type PoolStatus struct {
	Active         int64 // requests or connections in progress
	Most           int   // of them; 0: no limit
	Waiting        int64 // in the queue
	QueueLength    int   // how many may
	Queued         uint64
	QueueRefused   uint64 // it was full
	QueueLeft      uint64 // gave up waiting
	Retries        uint64
	RetriesRefused uint64 // the budget was spent
	Retrying       int64
	Budget         float64 // how many retries would be let through
	Breaker        BreakerStatus
}

// Status returns a snapshot.
func (p *Pool) Status(now time.Time) PoolStatus {
	s := p.shared
	st := PoolStatus{
		Active: s.active.Load(), Most: p.spec.Limits.Connections,
		Waiting: s.queue.waiting.Load(), QueueLength: p.spec.Limits.Queue,
		Queued: s.queue.queued.Load(), QueueRefused: s.queue.refused.Load(), QueueLeft: s.queue.left.Load(),
		Retrying: s.retrying.Load(),
		Breaker:  s.breaker.Load().status(since(s.epoch, now)),
	}
	st.Retries, st.RetriesRefused, st.Budget = s.budget.counts()
	return st
}
