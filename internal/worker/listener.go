package worker

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/l4"
	"github.com/tandemlb/tandem/proxy/l7"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// listener is a listener that runs.
type listener struct {
	spec    proxy.Listener
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
	use(served) // concerns new requests or connections
}

// served is what a service goes by.
type served struct {
	listener  proxy.Listener
	pool      *pool
	log       proxy.Log
	pseudonym string
}

type httpService struct{ *l7.Proxy }

func (s httpService) use(v served) { s.Configure(v.http()) }

func (v served) http() l7.Config {
	return l7.Config{Listener: v.listener, Backend: v.pool.backend, Log: v.log, Pseudonym: v.pseudonym}
}

type tcpService struct {
	*l4.Proxy
	observe func(*upstream.Server, upstream.Verdict)
}

func (s tcpService) use(v served) { s.Configure(v.tcp(s.observe)) }

func (v served) tcp(observe func(*upstream.Server, upstream.Verdict)) l4.Config {
	return l4.Config{Listener: v.listener, Pool: v.pool.servers, Observe: observe}
}

func (w *worker) newService(v served) (service, error) {
	switch spec := v.listener; spec.Protocol {
	case proxy.HTTP:
		return httpService{w.engine.New(v.http(), w.log.With(zap.String("listener", spec.Name)))}, nil
	case proxy.TCP:
		return tcpService{l4.New(w.loops, v.tcp(w.observe)), w.observe}, nil
	default:
		return nil, fmt.Errorf("listener %q: unknown protocol %q (known: %s, %s)", spec.Name, spec.Protocol, proxy.HTTP, proxy.TCP)
	}
}
