// Package l4 carries bytes between clients and servers, connection by connection,
// without looking at them. It runs on the loops of package reactor.
package l4

import (
	"sync/atomic"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Config is what a Proxy goes by. It is not changed once in use.
type Config struct {
	Listener proxy.Listener
	Pool     *upstream.Pool

	// Observe is called when a connect changed a server's health or asks for a
	// check. It must not block.
	Observe func(*upstream.Server, upstream.Verdict)
}

// Proxy serves one TCP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	*frontend.Frontend
	conf   atomic.Pointer[Config]
	failed atomic.Uint64
}

// New returns a proxy on the loops of r that goes by c.
func New(r *reactor.Reactor, c Config) *Proxy {
	p := &Proxy{}
	p.Frontend = frontend.New(r, frontend.Options{
		Serve:    p.serve,
		AtOnce:   true, // the server may be the one to speak first
		TurnAway: func(c *reactor.Conn, _ frontend.Limit) { _ = c.Abort() },
	})
	p.Configure(c)
	return p
}

// Configure makes new connections go by c.
func (p *Proxy) Configure(c Config) {
	p.Limit(c.Listener.Limits)
	p.conf.Store(&c)
}

// Traffic returns the counters.
func (p *Proxy) Traffic() proxy.Traffic {
	t := p.Frontend.Traffic()
	t.Failed = p.failed.Load()
	return t
}

func (p *Proxy) serve(client *reactor.Conn, _ *frontend.Bind) (keep bool) {
	conf := p.conf.Load()
	conn, server := conf.connect(client)
	if conn == nil {
		p.failed.Add(1)
		// A reset, not an end: the client must not take it for an empty answer.
		_ = client.Abort() // or it is closed already
		return false
	}
	defer server.End()
	t := tunnel.Tunnel{Client: client, Server: conn, Silence: conf.Listener.Timeouts.Tunnel}
	t.Run()
	return false
}

// connect connects to the servers whose turn it is until one answers. The caller
// ends what the returned server began; there is none when nobody answered.
func (c *Config) connect(client *reactor.Conn) (*reactor.Conn, *upstream.Server) {
	loop := client.Loop()
	for tried := []*upstream.Server(nil); ; {
		now := loop.Now()
		s, ok := c.Pool.Pick(now, tried)
		if !ok || client.Closed() {
			return nil, nil
		}
		s.Begin()
		o := reactor.DialOptions{}
		if timeout := c.Pool.Spec().Timeouts.Connect; timeout > 0 {
			o.Deadline = now.Add(timeout)
		}
		conn, err := loop.Dial(s.Address(), o)
		dial.Judge(s, loop.Now(), err, c.Observe)
		if err == nil {
			return conn, s
		}
		s.Abandon()
		tried = append(tried, s)
	}
}
