package worker

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/l7"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// pool is a pool as the listeners use it.
type pool struct {
	servers *upstream.Pool // for TCP
	backend *l7.Backend    // for HTTP: the same servers, with idle connections
}

// newPool makes the pool that spec describes, out of what old, which may be nil,
// has in common with it.
func newPool(spec proxy.Pool, old *pool, e *l7.Engine, now time.Time) (*pool, error) {
	if err := validCheck(spec.Check); err != nil {
		return nil, fmt.Errorf("pool %q: %w", spec.Name, err)
	}
	if old == nil {
		old = &pool{}
	}
	servers, err := upstream.NewPool(spec, old.servers, now)
	if err != nil {
		return nil, err
	}
	return &pool{servers: servers, backend: e.NewBackend(servers, old.backend)}, nil
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
	st := ipc.PoolState{Name: p.name()}
	for i, s := range p.servers.Servers() {
		got := s.Status(now)
		st.Servers = append(st.Servers, ipc.ServerState{
			Name:    p.servers.Spec().Servers[i].Name,
			Address: s.Address(),
			Checked: s.Check().Kind != proxy.CheckNone,
			Health:  got.Health.String(),
			Since:   got.Since,
			Reason:  got.Reason,
			Active:  got.Active,
			Served:  got.Served,
			Failed:  got.Failed,
		})
	}
	return st
}
