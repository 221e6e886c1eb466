package worker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/l4"
	"github.com/tandemlb/tandem/proxy/l7"
)

// listener is a listener that runs.
type listener struct {
	spec    proxy.Listener
	service service
	binds   map[netip.AddrPort]bind
	serves  sync.WaitGroup // of the service, one a bind
}

// bind is one address that a listener accepts on.
type bind struct {
	file *os.File // that was handed over
	ln   *net.TCPListener
}

// service is what serves the connections of a listener.
type service interface {
	Serve(*net.TCPListener) error
	Shutdown(context.Context)
	Traffic() proxy.Traffic
	use(*pool) // concerns new requests or connections
}

type httpService struct{ *l7.Proxy }

func (s httpService) use(p *pool) { s.SetBackend(p.backend) }

type tcpService struct{ *l4.Proxy }

func (s tcpService) use(p *pool) { s.SetPool(p.servers) }

func newService(spec proxy.Listener, p *pool, d *dial.Dialer, log *zap.Logger) (service, error) {
	switch spec.Protocol {
	case proxy.HTTP:
		return httpService{l7.New(p.backend, log.With(zap.String("listener", spec.Name)))}, nil
	case proxy.TCP:
		return tcpService{l4.New(p.servers, d)}, nil
	default:
		return nil, fmt.Errorf("listener %q: unknown protocol %q (known: %s, %s)", spec.Name, spec.Protocol, proxy.HTTP, proxy.TCP)
	}
}

// listen opens the listening socket f, which stays the caller's.
func listen(f *os.File) (*net.TCPListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("open the socket handed over: %w", err)
	}
	tl, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("open the socket handed over: it is of %s, not of tcp", l.Addr().Network())
	}
	return tl, nil
}
