// Package frontend has what listeners of all protocols have in common: they accept
// connections within limits, count them, and end in good order.
package frontend

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/census"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// Options say how connections are served. All are required but where it says so.
type Options struct {
	// Serve serves a connection, as [reactor.ListenOptions] has it. The State of the
	// connection is the frontend's. Of TLS the handshake is done.
	Serve func(c tlsconn.Stream, b *Bind) (keep bool)

	// AtOnce calls Serve as soon as a connection is accepted, or its handshake is done,
	// not when it has something to read.
	AtOnce bool

	// Timeout is how long a new connection may say nothing. 0 means for ever.
	Timeout time.Duration

	// TurnAway answers a connection beyond a limit, before it is closed. It must not
	// hold anything for it. One of TLS is closed without: a handshake costs more than
	// the answer is worth.
	TurnAway func(c *reactor.Conn, l Limit)

	// Refusal is sent to a connection for which the host has no descriptor. nil: it
	// is reset.
	Refusal []byte
}

// Bind is one socket that a frontend accepts on.
type Bind struct {
	Port uint16 // that its connections came to; 0 for a unix socket
}

// Limit is why a connection is turned away.
type Limit string

// The limits.
const (
	Connections          Limit = "connections"
	ConnectionsPerClient Limit = "connections_per_client"
)

// Frontend accepts the connections of one listener. Multiple goroutines may invoke
// its methods at the same time.
type Frontend struct {
	reactor  *reactor.Reactor
	options  Options
	limits   atomic.Pointer[proxy.ListenerLimits]
	expected atomic.Pointer[[]netip.Prefix]
	security atomic.Pointer[security] // nil: no TLS

	mu       sync.Mutex // of changes to sockets
	sockets  atomic.Pointer[sockets]
	clients  census.Census
	door     *door
	draining atomic.Bool
	closed   chan struct{} // holds word that a connection was closed

	refused    counts
	handshakes handshakes
}

// New returns a frontend on the loops of r.
func New(r *reactor.Reactor, o Options) *Frontend {
	f := &Frontend{reactor: r, options: o, closed: make(chan struct{}, 1), door: newDoor(len(r.Loops()))}
	f.limits.Store(&proxy.ListenerLimits{})
	f.expected.Store(&[]netip.Prefix{})
	f.sockets.Store(&sockets{})
	return f
}

// Limit sets the limits for connections that come from now on.
func (f *Frontend) Limit(l proxy.ListenerLimits) { f.limits.Store(&l) }

// Listen serves the connections of the listening socket s, which stays the caller's,
// until stop is called; that returns when none is accepted any more. Connections live
// on.
func (f *Frontend) Listen(s syscall.Conn) (stop func(), err error) {
	b := &Bind{Port: portOf(s)}
	f.mu.Lock()
	defer f.mu.Unlock()
	ln, err := f.reactor.Listen(s, reactor.ListenOptions{
		Serve:    func(c *reactor.Conn) bool { return f.serve(c, b) },
		Closed:   f.connClosed,
		Closing:  farewell,
		Accepted: f.admit,
		Timeout:  f.options.Timeout,
		Refusal:  f.options.Refusal,
	})
	if err != nil {
		return nil, err
	}
	f.sockets.Store(f.sockets.Load().with(ln))
	return func() {
		ln.Close()
		f.barrier() // then it has happened
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sockets.Store(f.sockets.Load().stop(ln))
	}, nil
}

// portOf returns the port of a listening socket.
func portOf(s syscall.Conn) (port uint16) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // else there is no socket to listen on, either
		address, _ := unix.Getsockname(int(fd))
		switch a := address.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
	})
	return port
}

// admit lets a connection in, unless that exceeds a limit, and reports whether to wait
// until it speaks.
//
// Whoever is to be turned away hears the answer best when it has asked: one that is
// closed before may meet a reset with its question, and lose the answer. So some are
// let wait for that, and no more, as silence takes a descriptor, too.
func (f *Frontend) admit(c *reactor.Conn) (wait bool) {
	limits, security := f.limits.Load(), f.security.Load()
	if most := int64(limits.Connections); most > 0 {
		if n := f.open(); n > most {
			c.State = &origin{refused: Connections, security: security}
			f.turnedAway(c)
			return n <= most+most/8 && !f.options.AtOnce && security == nil
		}
	}
	var o *origin
	if security != nil {
		o = security.begin(c)
		c.State = o
	}
	if f.expects(c.RemoteAddrPort().Addr()) {
		if o == nil {
			o = &origin{}
			c.State = o
		}
		o.expected = true
		if by := c.Loop().Now().Add(headerTimeout); o.by.IsZero() || by.Before(o.by) {
			_ = c.SetReadDeadline(by) // it is open
		}
		return true
	}
	return f.enter(c, o) && (security != nil || !f.options.AtOnce)
}

// enter counts a connection by its client, whom o knows if there is one, unless that
// exceeds the limit.
func (f *Frontend) enter(c *reactor.Conn, o *origin) bool {
	most := f.limits.Load().ConnectionsPerClient
	if most == 0 {
		return true
	}
	if o == nil {
		o = &origin{}
		c.State = o
	}
	o.key = census.ClientOf(ClientOf(c).Addr())
	if o.counted = f.clients.Enter(o.key, most); !o.counted {
		o.refused = ConnectionsPerClient
	}
	return o.counted
}

func (f *Frontend) serve(c *reactor.Conn, b *Bind) (keep bool) {
	o, _ := c.State.(*origin)
	if o == nil {
		return f.options.Serve(tlsconn.Plain(c), b)
	}
	if o.expected {
		if complete, keep := f.readHeader(c, o); !complete {
			return keep
		}
		f.enter(c, o)
		if o.security == nil {
			f.beginSilence(c)
		} else {
			_ = c.SetReadDeadline(o.by) // it is open
		}
	}
	switch {
	case o.refused != "":
		f.refused.add(string(o.refused))
		if o.security == nil {
			f.options.TurnAway(c, o.refused)
		}
		return false
	case o.security == nil:
		return f.options.Serve(tlsconn.Plain(c), b)
	case o.tls == nil:
		if !f.shake(c, o) {
			return false
		}
		f.beginSilence(c)
		if !f.options.AtOnce && o.tls.TryPeek() == reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
			c.StayFresh()
			return true
		}
	}
	return f.options.Serve(o.tls.Stream(), b)
}

// beginSilence begins the silence that is allowed to a new client.
func (f *Frontend) beginSilence(c *reactor.Conn) {
	by := time.Time{}
	if f.options.Timeout > 0 {
		by = c.Loop().Now().Add(f.options.Timeout)
	}
	_ = c.SetReadDeadline(by) // it is open
}

// connClosed runs on the loop of a connection that was closed.
func (f *Frontend) connClosed(c *reactor.Conn, reason error) {
	if o, ok := c.State.(*origin); ok {
		if o.counted {
			f.clients.Leave(o.key)
		}
		switch {
		case o.expected:
			f.headerLost(o, reason)
		case o.security != nil && o.tls == nil && errors.Is(reason, os.ErrDeadlineExceeded):
			f.refused.add(handshakeLate) // it has not said a word
		}
	}
	f.madeRoom()
	select {
	case f.closed <- struct{}{}:
	default:
	}
}

// Draining reports whether Shutdown was called: clients should be told that an
// answer is the last one.
func (f *Frontend) Draining() bool { return f.draining.Load() }

// Shutdown closes idle connections, waits for the others to end, and resets those
// that are left when ctx ends; it does not wait for what still runs for these. Every
// stop has been called before.
func (f *Frontend) Shutdown(ctx context.Context) {
	// What one loop had accepted for another before the stops is there after this.
	if !f.barrier() {
		return
	}
	f.draining.Store(true)
	listeners := f.sockets.Load().all
	for _, ln := range listeners {
		ln.Drain()
	}
	for f.open() > 0 {
		select {
		case <-f.closed:
		case <-ctx.Done():
			for _, ln := range listeners {
				ln.Abort()
			}
			f.barrier() // then it has happened
			return
		}
	}
}

// barrier waits until every loop has taken in what was posted to it before, and what
// that has posted to others. It reports false when the loops have ended.
func (f *Frontend) barrier() bool {
	loops := f.reactor.Loops()
	for range 2 {
		passed := make(chan struct{}, len(loops))
		for _, l := range loops {
			if l.Post(func() { passed <- struct{}{} }) != nil {
				return false
			}
		}
		for range loops {
			<-passed
		}
	}
	return true
}

// open returns how many connections are open.
func (f *Frontend) open() (n int64) {
	for _, ln := range f.sockets.Load().all {
		n += ln.Open()
	}
	return n
}

// Refuse counts something that was not carried.
func (f *Frontend) Refuse(reason string) { f.refused.add(reason) }

// Traffic returns what the frontend counts.
func (f *Frontend) Traffic() proxy.Traffic {
	s := f.sockets.Load()
	t := proxy.Traffic{Refused: f.refused.all(), Accepted: s.accepted, Shed: s.shed, TLS: f.handshakes.all()}
	for _, ln := range s.all {
		t.Open += ln.Open()
		t.Accepted += ln.Accepted()
		t.Shed += ln.Refused()
	}
	return t
}
