package l7

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/forward"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Config is what a Proxy goes by. It is not changed once in use.
type Config struct {
	Listener  proxy.Listener
	Backend   *Backend
	Log       proxy.Log
	Pseudonym string // names the pair in Via: a token, the same on both nodes
}

// config is a Config made ready for use.
type config struct {
	Config
	limits http1.Limits // of requests
	policy forward.Policy
}

func (e *Engine) config(c Config) *config {
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
	return &config{Config: c, limits: limits, policy: forward.Policy{
		Trusted: c.Listener.TrustForwarded, RequestID: c.Log.RequestID,
		// A request may pass two listeners on purpose, and none twice.
		Pseudonym: c.Pseudonym + "-" + c.Listener.Name,
	}}
}

// Proxy serves one HTTP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	*frontend.Frontend
	engine *Engine
	log    *zap.Logger
	conf   atomic.Pointer[config]

	requests atomic.Uint64
	failed   atomic.Uint64
	panics   atomic.Uint64
}

// New returns a proxy that goes by c.
func (e *Engine) New(c Config, logger *zap.Logger) *Proxy {
	p := &Proxy{engine: e, log: logger}
	p.Frontend = frontend.New(e.reactor, frontend.Options{
		Serve: p.serve, TurnAway: turnAway, Refusal: []byte(tooManyOpen),
		Timeout: firstTimeout(c.Listener.Timeouts),
	})
	p.Configure(c)
	return p
}

// Configure makes new requests, also those of open connections, go by c.
func (p *Proxy) Configure(c Config) {
	p.Limit(c.Listener.Limits)
	p.conf.Store(p.engine.config(c))
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
func (c *config) sendIdle() time.Duration {
	return orUnlimited(c.Backend.timeouts.Response)
}

// bodyIdle returns how long a server may send nothing of a response's body.
func (c *config) bodyIdle() time.Duration {
	return orUnlimited(c.Backend.timeouts.BodyIdle)
}

func orUnlimited(d time.Duration) time.Duration {
	if d == 0 {
		return reactor.Unlimited
	}
	return d
}
