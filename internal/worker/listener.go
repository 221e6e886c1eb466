package worker

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/l4"
	"github.com/tandemlb/tandem/proxy/l7"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/udp"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// listener is a listener that runs.
type listener struct {
	spec    proxy.Listener
	terms   *secure.Terms // of TLS with clients; nil: without
	service service
	binds   map[netip.AddrPort]bind
}

// bind is one address that a listener accepts on.
type bind struct {
	socket *socket
	stop   func() // ends the accepting
}

// service is what serves the connections of a listener.
type service interface {
	Listen(syscall.Conn) (stop func(), err error)
	Shutdown(context.Context)
	Traffic() proxy.Traffic
	// prepare does what can fail of going by something else; use concerns new requests
	// or connections, and is called before prepare is called again, or never.
	prepare(served) (use func(), err error)
}

// served is what a service goes by.
type served struct {
	listener  proxy.Listener
	pools     map[string]*pool // that its routes send to, by name
	log       proxy.Log
	pseudonym string
	now       time.Time
	stats     *stats.Registry
	terms     *secure.Terms // of TLS with clients; nil: without
}

type httpService struct {
	*l7.Proxy
	engine *l7.Engine
}

func (s httpService) prepare(v served) (use func(), err error) {
	c, err := s.engine.Prepare(v.http(), s.Proxy, v.now)
	if err != nil {
		return nil, err
	}
	return func() { s.Configure(c) }, nil
}

func (v served) http() l7.Config {
	c := l7.Config{Listener: v.listener, Backends: make(map[string]*backend.Backend, len(v.pools)), Log: v.log, Pseudonym: v.pseudonym, Terms: v.terms}
	for name, p := range v.pools {
		c.Backends[name] = p.backend
	}
	return c
}

type tcpService struct {
	*l4.Proxy
	observe func(*upstream.Server, upstream.Verdict)
}

func (s tcpService) prepare(v served) (use func(), err error) {
	c, err := v.tcp(s.observe)
	if err != nil {
		return nil, err
	}
	return func() { s.Configure(c) }, nil
}

func (v served) tcp(observe func(*upstream.Server, upstream.Verdict)) (l4.Config, error) {
	pools := make(map[string]l4.Pool, len(v.pools))
	for name, p := range v.pools {
		pools[name] = l4.Pool{Servers: p.servers, Identity: p.identity}
	}
	c, err := l4.NewConfig(v.listener, pools, observe)
	c.Terms = v.terms
	if err == nil {
		c.Count(v.stats)
	}
	return c, err
}

type udpService struct {
	*udp.Proxy
	observe func(*upstream.Server, upstream.Verdict)
	bound   context.Context // ends when its sockets must
}

// Shutdown ends with the sockets, which it answers from: that is never later than ctx.
func (s udpService) Shutdown(context.Context) { s.Proxy.Shutdown(s.bound) }

func (s udpService) prepare(v served) (use func(), err error) {
	c := v.udp(s.observe)
	return func() { s.Configure(c) }, nil
}

func (v served) udp(observe func(*upstream.Server, upstream.Verdict)) udp.Config {
	c := udp.Config{Listener: v.listener, Observe: observe}
	for _, route := range v.listener.Routes {
		for _, share := range route.Split {
			c.Pools = append(c.Pools, udp.Share{Pool: v.pools[share.Pool].servers, Weight: share.Weight})
		}
	}
	return c
}

func (w *worker) newService(v served) (service, error) {
	switch spec := v.listener; spec.Protocol {
	case proxy.HTTP:
		c, err := w.engine.Prepare(v.http(), nil, v.now)
		if err != nil {
			return nil, err
		}
		return httpService{w.engine.New(c, w.log.With(zap.String("listener", spec.Name))), w.engine}, nil
	case proxy.TCP:
		c, err := v.tcp(w.observe)
		if err != nil {
			return nil, err
		}
		return tcpService{l4.New(w.loops, c), w.observe}, nil
	case proxy.UDP:
		return udpService{w.datagrams.New(v.udp(w.observe)), w.observe, w.bound}, nil
	default:
		return nil, fmt.Errorf("unknown protocol %q (known: %s, %s, %s)", spec.Protocol, proxy.HTTP, proxy.TCP, proxy.UDP)
	}
}
