package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/gate"
)

const (
	headTimeout = 5 * time.Second  // for the head of a request
	idleTimeout = 2 * time.Minute  // longer than anybody waits between two scrapes
	answerIn    = 30 * time.Second // for a whole request
	closeIn     = time.Second      // for what is on its way when the address changes
)

// Endpoint is the address at which the metrics are asked for over TCP. One goroutine at
// a time calls its methods.
type Endpoint struct {
	handler http.Handler
	log     *zap.Logger

	address  netip.AddrPort   // the zero AddrPort: there is none
	listener *net.TCPListener // nil without an address
	server   *http.Server     // nil without an address
	serving  sync.WaitGroup
}

// NewEndpoint returns an endpoint without an address, for [Handler]'s metrics.
func NewEndpoint(metrics http.Handler, log *zap.Logger) *Endpoint {
	return &Endpoint{handler: page(metrics), log: log}
}

// Move is a change of the address that can take place.
type Move struct {
	to       netip.AddrPort
	listener *net.TCPListener // nil: there is no address any more
	nothing  bool             // it is the address already
}

// Prepare does what can fail of moving to an address, which may be the zero AddrPort:
// nowhere. Use or Discard follows.
func (e *Endpoint) Prepare(ctx context.Context, to netip.AddrPort) (Move, error) {
	m := Move{to: to, nothing: to == e.address}
	if m.nothing || !to.IsValid() {
		return m, nil
	}
	var err error
	if m.listener, err = gate.Beside(ctx, to, e.listener); err != nil {
		return Move{}, fmt.Errorf("open metrics.listen: %w", err)
	}
	return m, nil
}

// Discard gives up a move.
func (e *Endpoint) Discard(m Move) {
	if m.listener != nil {
		_ = m.listener.Close() // nobody has used it
	}
}

// Use makes a move.
func (e *Endpoint) Use(m Move) {
	if m.nothing {
		return
	}
	e.Close()
	e.address = m.to
	if m.listener == nil {
		return
	}
	s := &http.Server{
		Handler: e.handler, ReadHeaderTimeout: headTimeout, ReadTimeout: answerIn, WriteTimeout: answerIn, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(e.log),
	}
	e.server, e.listener = s, m.listener
	l := gate.Bound(m.listener, func(from netip.Addr) {
		e.log.Warn("metrics: too many connections", zap.Stringer("from", from))
	})
	e.log.Info("metrics", zap.Stringer("listen", m.listener.Addr()))
	e.serving.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("serve metrics", zap.Error(err))
		}
	})
}

// Close leaves the address, and lets what is on its way come to its end.
func (e *Endpoint) Close() {
	if e.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeIn)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		_ = e.server.Close() // it has taken too long
	}
	e.serving.Wait()
	e.server, e.listener, e.address = nil, nil, netip.AddrPort{}
}
