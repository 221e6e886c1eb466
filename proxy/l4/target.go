package l4

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// target is a pool, with what each connection asks of its spec, which is large.
type target struct {
	pool     *upstream.Pool
	name     string
	timeouts proxy.PoolTimeouts
	limits   proxy.PoolLimits
	attempts int           // of connecting, beyond the first
	drain    time.Duration // of servers that are not ready; 0: they may take for ever
	header   proxy.ProxyVersion
	hashes   bool // by the address of the client
	page     *stats.Page

	secure map[*upstream.Server]*tls.Config // what TLS to each server goes by; nil: it is plain

	// ready are the servers that go on with the connections that they have. That is
	// known by address: one whose check has changed is another, and yet the same.
	ready map[netip.AddrPort]bool
}

func newTarget(p Pool) *target {
	spec := p.Servers.Spec()
	t := &target{
		pool: p.Servers, name: spec.Name, timeouts: spec.Timeouts, limits: spec.Limits, attempts: spec.Retry.Attempts,
		drain: spec.Drain, header: spec.SendProxy, ready: make(map[netip.AddrPort]bool, len(spec.Servers)),
	}
	t.hashes = spec.Balance == proxy.ClientIPHash || spec.Balance == proxy.ConsistentHash && spec.HashOn.Kind == proxy.KeyClient
	for _, s := range spec.Servers {
		t.ready[s.Address] = s.State == proxy.Ready
	}
	if p.Identity != nil {
		t.secure = make(map[*upstream.Server]*tls.Config, len(spec.Servers))
		for i, s := range p.Servers.Servers() {
			t.secure[s] = p.Identity.To(p.Identity.NameOf(spec.Servers[i]), s.Address())
		}
	}
	return t
}
