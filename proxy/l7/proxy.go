package l7

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/forward"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/ledger"
	"github.com/tandemlb/tandem/proxy/l7/rules"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/secure"
)

// Config is what a Proxy goes by. It is not changed once in use.
type Config struct {
	Listener  proxy.Listener
	Backends  map[string]*backend.Backend // of the pools that the routes send to, by name
	Log       proxy.Log
	Pseudonym string        // names the pair in Via: a token, the same on both nodes
	Terms     *secure.Terms // of TLS with clients; nil: without
}

// Prepared is a Config made ready for use.
type Prepared struct {
	Config
	rules    *rules.Rules
	backends []*backend.Backend // by the index of rules.Pools
	pages    *ledger.Pages
	limits   http1.Limits // of requests
	policy   forward.Policy
}

// Prepare does what can fail of making a proxy go by c. Of the proxy that is to go by
// it, which is nil if it is yet to be made, it takes over the limits of rate that have
// not changed, with what has been used of them.
func (e *Engine) Prepare(c Config, of *Proxy, now time.Time) (*Prepared, error) {
	var old *rules.Rules
	if of != nil {
		old = of.conf.Load().rules
	}
	r, err := rules.New(&c.Listener, old, now)
	if err != nil {
		return nil, err
	}
	backends := make([]*backend.Backend, len(r.Pools))
	for i, name := range r.Pools {
		if backends[i] = c.Backends[name]; backends[i] == nil {
			return nil, fmt.Errorf("unknown pool %q", name)
		}
	}
	limits := http1.DefaultLimits()
	l := c.Listener.Limits
	set := func(to *int, value int) {
		if value > 0 {
			*to = value
		}
	}
	set(&limits.Line, l.LineBytes)
	set(&limits.Header, l.HeaderBytes)
	set(&limits.Fields, l.Headers)
	limits.Line = min(limits.Line, limits.Header)
	pages := ledger.NewPages(e.options.Stats, c.Listener.Name, r.Pools)
	return &Prepared{Config: c, rules: r, backends: backends, pages: pages, limits: limits, policy: forward.Policy{
		Trusted: c.Listener.TrustForwarded, RequestID: c.Log.RequestID,
		// A request may pass two listeners on purpose, and none twice.
		Pseudonym: c.Pseudonym + "-" + c.Listener.Name,
	}}, nil
}

// Proxy serves one HTTP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	*frontend.Frontend
	engine *Engine
	log    *zap.Logger
	conf   atomic.Pointer[Prepared]

	requests atomic.Uint64
	failed   atomic.Uint64
	panics   atomic.Uint64
}

// New returns a proxy that goes by c.
func (e *Engine) New(c *Prepared, logger *zap.Logger) *Proxy {
	p := &Proxy{engine: e, log: logger}
	p.Frontend = frontend.New(e.reactor, frontend.Options{
		Serve: p.serve, TurnAway: turnAway, Refusal: []byte(tooManyOpen),
		Timeout: firstTimeout(c.Listener.Timeouts),
	})
	p.Configure(c)
	return p
}

// Configure makes new requests, also those of open connections, go by c.
func (p *Proxy) Configure(c *Prepared) {
	p.Limit(c.Listener.Limits)
	p.Expect(c.Listener.ProxyProtocol)
	p.Secure(c.Terms, &c.Listener)
	p.conf.Store(c)
}

// firstTimeout returns how long a new connection may say nothing.
func firstTimeout(t proxy.ListenerTimeouts) time.Duration {
	if t.Header > 0 && (t.Idle == 0 || t.Header < t.Idle) {
		return t.Header
	}
	return t.Idle
}

// Traffic returns the counters.
func (p *Proxy) Traffic() proxy.Traffic {
	t := p.Frontend.Traffic()
	t.Requests, t.Failed, t.Panics = p.requests.Load(), p.failed.Load(), p.panics.Load()
	return t
}

// sendIdle returns how long a server may take nothing of a request.
func sendIdle(b *backend.Backend) time.Duration { return orUnlimited(b.Timeouts.Response) }

// bodyIdle returns how long a server may send nothing of a response's body.
func bodyIdle(b *backend.Backend) time.Duration { return orUnlimited(b.Timeouts.BodyIdle) }

func orUnlimited(d time.Duration) time.Duration {
	if d == 0 {
		return reactor.Unlimited
	}
	return d
}
