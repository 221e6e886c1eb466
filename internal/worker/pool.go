package worker

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/check"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// pool is a pool as the listeners use it.
type pool struct {
	servers  *upstream.Pool   // for TCP
	backend  *backend.Backend // for HTTP: the same servers, with idle connections
	identity *secure.Identity // that TLS is spoken with to the servers; nil: it is not
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
	identity, err := newIdentity(spec.TLS, p.config.Files, old.identity)
	if err != nil {
		return nil, fmt.Errorf("pool %q: TLS: %w", spec.Name, err)
	}
	servers, err := upstream.NewPool(spec, old.servers, p.now)
	if err != nil {
		return nil, err
	}
	b := backend.New(w.loops.Loops(), servers, old.backend, backend.Options{Key: p.config.StickyKey, Identity: identity})
	b.Count(func(name string) *stats.Server { return w.stats.Server(stats.ServerKey{Pool: spec.Name, Server: name}) })
	return &pool{servers: servers, backend: b, identity: identity}, nil
}

// newIdentity returns the identity that spec describes, or nil without one. It is old,
// whose sessions and connections go on, when nothing has changed.
func newIdentity(spec *proxy.PoolTLS, files proxy.Files, old *secure.Identity) (*secure.Identity, error) {
	switch {
	case spec == nil:
		return nil, nil
	case old.Matches(spec, files):
		return old, nil
	}
	if spec.CA == "" && !spec.Insecure {
		// Now: the first verification would read it, on a loop, which must not wait.
		if _, err := x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the bundle of authorities of the host: %w (hint: name one, `ca`)", err)
		}
	}
	return secure.Client(spec, files)
}

// checked returns the servers that may be checked.
func (p *pool) checked() []checked {
	var all []checked
	for i, s := range p.servers.Servers() {
		if s.State() == proxy.Maintenance {
			continue
		}
		c := checked{Server: s, way: check.Way{Header: p.servers.Spec().SendProxy}}
		if p.identity != nil {
			c.way.TLS = p.identity.Config(p.identity.NameOf(p.servers.Spec().Servers[i]))
		}
		all = append(all, c)
	}
	return all
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
