// Package l4 carries bytes between clients and servers, connection by
// connection, without looking at them.
package l4

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// acceptPause is how long Serve waits when the host is out of something that an
// accept needs, such as descriptors.
const acceptPause = 50 * time.Millisecond

// Proxy serves one TCP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	dialer *dial.Dialer
	pool   atomic.Pointer[upstream.Pool]

	ctx   context.Context // ends when connections must
	abort context.CancelFunc
	conns sync.WaitGroup

	open     atomic.Int64
	accepted atomic.Uint64
	failed   atomic.Uint64
}

// New returns a proxy to the servers of pool.
func New(pool *upstream.Pool, dialer *dial.Dialer) *Proxy {
	p := &Proxy{dialer: dialer}
	p.ctx, p.abort = context.WithCancel(context.Background())
	p.pool.Store(pool)
	return p
}

// SetPool makes new connections go to the servers of pool.
func (p *Proxy) SetPool(pool *upstream.Pool) { p.pool.Store(pool) }

// Serve accepts connections from l until l is closed, then returns nil.
// Connections live on.
func (p *Proxy) Serve(l *net.TCPListener) error {
	for {
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			p.accepted.Add(1)
			p.conns.Go(func() { p.handle(c) })
		case errors.Is(err, net.ErrClosed):
			return nil
		case passes(err):
			p.pause()
		default:
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
	}
}

// passes reports whether a later accept may succeed.
func passes(err error) bool {
	for _, errno := range []unix.Errno{unix.ECONNABORTED, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (p *Proxy) pause() {
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// Shutdown waits for the connections to end, and resets those that are left when
// ctx ends. Every Serve has returned before.
func (p *Proxy) Shutdown(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.abort)
	defer stop()
	p.conns.Wait()
	p.abort()
}

// Traffic returns the counters.
func (p *Proxy) Traffic() proxy.Traffic {
	return proxy.Traffic{
		Open:     p.open.Load(),
		Accepted: p.accepted.Load(),
		Failed:   p.failed.Load(),
	}
}

func (p *Proxy) handle(client *net.TCPConn) {
	p.open.Add(1)
	defer p.open.Add(-1)
	conn, server, err := p.connect()
	if err != nil {
		p.failed.Add(1)
		// A reset, not an end: the client must not take it for an empty answer.
		reset(client)
		return
	}
	defer server.End()
	t := &tunnel{client: end{TCPConn: client}, server: end{TCPConn: conn}}
	stop := context.AfterFunc(p.ctx, t.abort)
	defer stop()
	t.run()
}

var errNoServer = errors.New("no healthy server")

// connect dials the servers whose turn it is until one answers. The caller ends
// what the returned server began.
func (p *Proxy) connect() (*net.TCPConn, *upstream.Server, error) {
	pool := p.pool.Load()
	err := errNoServer
	for tried := []*upstream.Server(nil); ; {
		s, ok := pool.Pick(time.Now(), tried)
		if !ok || p.ctx.Err() != nil {
			return nil, nil, err
		}
		s.Begin()
		var c *net.TCPConn
		if c, err = p.dialer.Dial(p.ctx, s); err == nil {
			return c, s, nil
		}
		s.Abandon()
		tried = append(tried, s)
	}
}
