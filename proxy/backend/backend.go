// Package backend keeps the connections to the servers of a pool that wait for a
// request of HTTP, beside what else a proxy asks of the pool for each request.
package backend

import (
	"bytes"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/sticky"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Backend is a pool together with the connections to its servers that wait for a
// request. Multiple goroutines may use it at the same time.
type Backend struct {
	Pool *upstream.Pool

	// Of the pool's spec, which is large to copy.

	Name     string
	Timeouts proxy.PoolTimeouts
	Limits   proxy.PoolLimits
	HashOn   proxy.Key // KeyNone: the policy does not ask
	Retry    proxy.Retry
	On       retry.On           // Retry.On
	Header   proxy.ProxyVersion // of the PROXY protocol, that begins each connection

	identity *secure.Identity // nil: the servers are spoken to in plain

	next  atomic.Pointer[Backend] // that has taken its place
	loops []*reactor.Loop
	links map[*upstream.Server]*Link
	kept  int           // connections to a server that may wait, on each loop
	drain time.Duration // of the pool

	cookie string        // name of that which keeps a client at its server; empty: none
	key    []byte        // of its values
	sticky *sticky.Table // by the index of the pool's servers; nil without a cookie
}

// Options are what a Backend goes by beside its pool.
type Options struct {
	Key      []byte           // of the cookies of sticky pools
	Identity *secure.Identity // that TLS is spoken with; nil: it is not
}

// New returns a backend for pool, on loops. Of old, which may be nil, it takes over the
// connections to the servers that pool still has, unless they began in another way;
// when both have the same pool and options, it returns old itself.
func New(loops []*reactor.Loop, pool *upstream.Pool, old *Backend, o Options) *Backend {
	if old != nil && old.Pool == pool && old.identity == o.Identity && (old.sticky == nil || bytes.Equal(old.key, o.Key)) {
		return old
	}
	spec := pool.Spec()
	b := &Backend{
		Pool: pool, Name: spec.Name, Timeouts: spec.Timeouts, Limits: spec.Limits, HashOn: hashKey(&spec),
		Retry: spec.Retry, On: retry.Compile(spec.Retry.On),
		loops: loops, links: make(map[*upstream.Server]*Link, len(spec.Servers)),
		kept: (spec.Limits.Idle + len(loops) - 1) / len(loops), drain: spec.Drain, Header: spec.SendProxy, identity: o.Identity,
		cookie: spec.Sticky.Cookie, key: o.Key,
	}
	if b.cookie != "" {
		b.sticky = sticky.New(o.Key, spec.Name, addresses(pool.Servers()))
	}
	for i, s := range pool.Servers() {
		w := b.wayTo(&spec.Servers[i])
		if l := old.Link(s); l != nil && l.way == w {
			b.links[s] = l
		} else {
			b.links[s] = newLink(s, w, len(loops), l)
		}
	}
	return b
}

func addresses(servers []*upstream.Server) []netip.AddrPort {
	all := make([]netip.AddrPort, len(servers))
	for i, s := range servers {
		all[i] = s.Address()
	}
	return all
}

// Count has the responses of each server counted in the books that of returns for its
// name. It is called before the backend is used; what it took over from an older one
// goes on in the books that it has.
func (b *Backend) Count(of func(name string) *stats.Server) {
	for _, l := range b.links {
		if l.Stats == nil {
			l.Stats = of(l.Name)
		}
	}
}

// Current returns the backend that has taken the place of b, or b itself.
func (b *Backend) Current() *Backend {
	for {
		next := b.next.Load()
		if next == nil {
			return b
		}
		b = next
	}
}

// Sticky returns the name of the cookie that keeps a client at its server; empty: none
// does.
func (b *Backend) Sticky() string { return b.cookie }

// Find returns the server that the value of a cookie is of, or nil.
func (b *Backend) Find(cookie []byte) *upstream.Server {
	if i, ok := b.sticky.Find(cookie); ok {
		return b.Pool.Servers()[i]
	}
	return nil
}

// AppendCookie appends what brings a client back to s.
func (b *Backend) AppendCookie(dst []byte, s *upstream.Server) []byte {
	i := slices.Index(b.Pool.Servers(), s)
	return sticky.AppendCookie(dst, b.cookie, b.sticky.Value(i), false)
}

// Link returns the way to s, or nil.
func (b *Backend) Link(s *upstream.Server) *Link {
	if b == nil {
		return nil
	}
	return b.links[s]
}

// hashKey returns what the policy of a pool tells requests apart by.
func hashKey(spec *proxy.Pool) proxy.Key {
	switch spec.Balance {
	case proxy.ClientIPHash:
		return proxy.Key{Kind: proxy.KeyClient}
	case proxy.ConsistentHash:
		return spec.HashOn
	}
	return proxy.Key{}
}
