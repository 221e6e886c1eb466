package l7

import (
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Backend is a pool together with the connections to its servers that wait for a
// request. Multiple goroutines may use it at the same time.
type Backend struct {
	engine *Engine
	pool   *upstream.Pool
	links  map[*upstream.Server]*link
	kept   int // connections to a server that may wait, on each loop

	// Of the pool's spec, which is large to copy.
	name     string
	timeouts proxy.PoolTimeouts
	limits   proxy.PoolLimits
}

// NewBackend returns a backend for pool. Of old, which may be nil, it takes over
// the connections to the servers that pool still has; when both have the same
// pool, it returns old itself.
func (e *Engine) NewBackend(pool *upstream.Pool, old *Backend) *Backend {
	if old != nil && old.pool == pool {
		return old
	}
	loops := len(e.locals)
	spec := pool.Spec()
	b := &Backend{
		engine: e, pool: pool, links: make(map[*upstream.Server]*link),
		kept: (spec.Limits.Idle + loops - 1) / loops,
		name: spec.Name, timeouts: spec.Timeouts, limits: spec.Limits,
	}
	for i, s := range pool.Servers() {
		if old != nil && old.links[s] != nil && old.links[s].name == spec.Servers[i].Name {
			b.links[s] = old.links[s]
			continue
		}
		b.links[s] = newLink(s, spec.Servers[i].Name, loops)
	}
	return b
}

// Retire closes the idle connections to servers that next, which may be nil, does
// not have. Requests in progress finish.
func (b *Backend) Retire(next *Backend) {
	for s, l := range b.links {
		if next == nil || next.links[s] != l {
			l.retire(b.engine.reactor.Loops())
		}
	}
}
