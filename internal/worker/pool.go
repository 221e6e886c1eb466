package worker

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// pool is a pool as the listeners use it.
type pool struct {
	servers *upstream.Pool   // for TCP
	backend *backend.Backend // for HTTP: the same servers, with idle connections
}

// newPool makes the pool that spec describes, out of what old, which may be nil,
// has in common with it.
func (w *worker) newPool(spec proxy.Pool, old *pool, p *plan) (*pool, error) {
	if err := validCheck(spec.Check); err != nil {
		return nil, fmt.Errorf("pool %q: %w", spec.Name, err)
	}
	if old == nil {
		old = &pool{}
	}
	servers, err := upstream.NewPool(spec, old.servers, p.now)
	if err != nil {
		return nil, err
	}
	return &pool{servers: servers, backend: backend.New(w.loops.Loops(), servers, old.backend, p.config.StickyKey)}, nil
}

func validCheck(c proxy.Check) error {
	switch c.Kind {
	case proxy.CheckNone:
		return nil
	case proxy.CheckTCP, proxy.CheckHTTP:
		if c.Every <= 0 || c.Timeout <= 0 {
			return fmt.Errorf("check every %s with a timeout of %s: both must be positive", c.Every, c.Timeout)
		}
		return nil
	default:
		return fmt.Errorf("unknown check %q (known: %s, %s)", c.Kind, proxy.CheckTCP, proxy.CheckHTTP)
	}
}

func (p *pool) name() string { return p.servers.Spec().Name }

func (p *pool) state(now time.Time) ipc.PoolState {
	got := p.servers.Status(now)
	st := ipc.PoolState{
		Name: p.name(), Active: got.Active, Most: got.Most,
		Waiting: got.Waiting, QueueLength: got.QueueLength,
		Queued: got.Queued, QueueRefused: got.QueueRefused, QueueLeft: got.QueueLeft,
		Retries: got.Retries, RetriesRefused: got.RetriesRefused, RetryBudget: got.Budget,
		Breaker: p.breaker(got.Breaker),
	}
	for i, s := range p.servers.Servers() {
		st.Servers = append(st.Servers, p.server(s, p.servers.Spec().Servers[i], now))
	}
	return st
}

func (p *pool) server(s *upstream.Server, spec proxy.Server, now time.Time) ipc.ServerState {
	got := s.Status(now)
	st := ipc.ServerState{
		Name: spec.Name, Address: s.Address(), Host: spec.Host,
		Checked: s.Check().Kind != proxy.CheckNone && got.State != proxy.Maintenance,
		Health:  got.Health.String(), Since: got.Since, Reason: got.Reason,
		Active: got.Active, Served: got.Served, Failed: got.Failed,
		Share: ipc.Share{State: string(got.State), Weight: got.Weight, Most: got.Most, Backup: spec.Backup, ResponseTime: got.ResponseTime},
		Ejected: ipc.Ejection{
			Until: got.EjectedUntil, Reason: got.EjectedFor, Count: got.Ejections,
		},
		Breaker: p.breaker(got.Breaker),
	}
	if got.State == proxy.Ready {
		st.Share.State = "ready"
	}
	return st
}

func (p *pool) breaker(b upstream.BreakerStatus) ipc.Breaker {
	if p.servers.Spec().Breaker.ErrorRate == 0 {
		return ipc.Breaker{}
	}
	return ipc.Breaker{State: b.State.String(), Requests: b.All, Failed: b.Failed, Opens: b.Opened}
}
