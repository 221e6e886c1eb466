// Package l4 carries bytes between clients and servers, connection by connection,
// without looking at them, but for the name that a client of TLS asks for. It runs on
// the loops of package reactor.
package l4

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/route"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// halfClosed is how long a connection of which one side has finished may make no
// progress. It is longer than a server thinks over a question that came with the end of
// its client's side, and shorter than what is allowed to a whole one.
const halfClosed = time.Minute

// Config is what a Proxy goes by. It is made by [NewConfig], and not changed.
type Config struct {
	Listener proxy.Listener

	// Terms are those of TLS with clients; nil: without.
	Terms *secure.Terms

	// Observe is called when a connection changed a server's health or asks for a
	// check. It must not block.
	Observe func(*upstream.Server, upstream.Verdict)

	table *route.Table
	split [][]*target        // of each route
	known map[string]*target // by name
	home  *stats.Page        // of what got to no pool; nil until Count
}

// Pool is a pool that a listener sends to.
type Pool struct {
	Servers  *upstream.Pool
	Identity *secure.Identity // that TLS is spoken with to the servers; nil: it is not
}

// NewConfig returns the config that serves l with pools, which are those that its
// routes send to, by name.
func NewConfig(l proxy.Listener, pools map[string]Pool, observe func(*upstream.Server, upstream.Verdict)) (Config, error) {
	c := Config{Listener: l, Observe: observe, split: make([][]*target, len(l.Routes)), known: make(map[string]*target, len(pools))}
	if len(l.Routes) == 0 {
		return Config{}, errors.New("no route to a pool")
	}
	for i := range l.Routes {
		if len(l.Routes[i].Split) == 0 {
			return Config{}, fmt.Errorf("route %d sends to no pool", i+1)
		}
		for _, share := range l.Routes[i].Split {
			to := c.known[share.Pool]
			if to == nil {
				pool, ok := pools[share.Pool]
				if !ok {
					return Config{}, fmt.Errorf("unknown pool %q", share.Pool)
				}
				to = newTarget(pool)
				c.known[share.Pool] = to
			}
			c.split[i] = append(c.split[i], to)
		}
	}
	var err error
	c.table, err = route.New(l.Routes)
	return c, err
}

// Proxy serves one TCP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	*frontend.Frontend
	loops   []*reactor.Loop
	conf    atomic.Pointer[Config]
	failed  atomic.Uint64
	open    []sessions // by loop
	scratch [][]byte   // of tunnels, by loop
}

// New returns a proxy on the loops of r that goes by c.
func New(r *reactor.Reactor, c Config) *Proxy {
	p := &Proxy{loops: r.Loops(), open: make([]sessions, len(r.Loops()))}
	for range p.loops {
		p.scratch = append(p.scratch, make([]byte, tunnel.ScratchSize))
	}
	p.Frontend = frontend.New(r, frontend.Options{
		Serve:    p.serve,
		AtOnce:   true, // the server may be the one to speak first
		TurnAway: func(c *reactor.Conn, _ frontend.Limit) { _ = c.Abort() },
	})
	p.Configure(c)
	return p
}

// Configure makes new connections go by c. Those to servers that c drains, or does not
// have, end with their pool's Drain.
func (p *Proxy) Configure(c Config) {
	if c.home == nil {
		c.Count(stats.NewRegistry(len(p.loops))) // that nobody reads
	}
	p.Limit(c.Listener.Limits)
	p.Expect(c.Listener.ProxyProtocol)
	p.Secure(c.Terms, &c.Listener)
	p.conf.Store(&c)
	for _, l := range p.loops {
		_ = l.Post(func() { p.open[l.ID()].review(&c) }) // else its connections have ended
	}
	l := p.loops[0]
	_ = l.Post(func() { // who waits finds the way now; else the loop has ended
		for _, to := range c.known {
			to.pool.Look(l.Now())
		}
	})
}

// Traffic returns the counters.
func (p *Proxy) Traffic() proxy.Traffic {
	t := p.Frontend.Traffic()
	t.Failed = p.failed.Load()
	return t
}

func (p *Proxy) serve(client tlsconn.Stream, _ *frontend.Bind) (keep bool) {
	a := &attempt{conf: p.conf.Load(), latest: &p.conf, client: client, loop: client.Loop()}
	a.open()
	end := tunnel.Broken
	defer func() {
		a.close(end)
		if a.server != nil { // it is reached, or there is a panic
			a.end(end)
		}
	}()
	conn, why := a.reach()
	if why != none {
		p.reject(client.Conn, why)
		return false
	}
	s := &session{loop: a.loop, to: a.to, server: a.server, tunnel: tunnel.Tunnel{
		Client: client, Server: conn, Silence: a.conf.Listener.Timeouts.Tunnel, HalfClosed: halfClosed,
		Scratch: p.scratch[a.loop.ID()], In: &a.page.In, Out: &a.page.Out,
	}}
	if a.unproven {
		s.tunnel.Heard = a.heard
	}
	p.open[a.loop.ID()].enter(s)
	defer p.open[a.loop.ID()].leave(s)
	if now := p.conf.Load(); now != a.conf {
		s.review(now) // it has come too late for that of the others
	}
	end = s.tunnel.Run()
	return false
}

// reject ends a connection that no server has got.
func (p *Proxy) reject(client *reactor.Conn, why cause) {
	if why.failed() {
		p.failed.Add(1)
	}
	if reason := why.reason(); reason != "" {
		p.Refuse(reason)
	}
	// A reset, not an end: the client must not take it for an empty answer.
	_ = client.Abort() // or it is closed already
}
