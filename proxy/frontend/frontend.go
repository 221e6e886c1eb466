// Package frontend has what listeners of all protocols have in common: they accept
// connections within limits, count them, and end in good order.
package frontend

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Options say how connections are served. All are required but where it says so.
type Options struct {
	// Serve serves a connection, as [reactor.ListenOptions] has it. The State of the
	// connection is the frontend's.
	Serve func(c *reactor.Conn, b *Bind) (keep bool)

	// AtOnce calls Serve as soon as a connection is accepted, not when it has
	// something to read.
	AtOnce bool

	// Timeout is how long a new connection may say nothing. 0 means for ever.
	Timeout time.Duration

	// TurnAway answers a connection beyond a limit, before it is closed. It must not
	// hold anything for it.
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
	reactor *reactor.Reactor
	options Options
	limits  atomic.Pointer[proxy.ListenerLimits]

	mu        sync.Mutex                          // of additions
	listeners atomic.Pointer[[]*reactor.Listener] // also those that no longer accept
	clients   clients
	draining  atomic.Bool
	closed    chan struct{} // holds word that a connection was closed

	refused counts
}

// New returns a frontend on the loops of r.
func New(r *reactor.Reactor, o Options) *Frontend {
	f := &Frontend{reactor: r, options: o, closed: make(chan struct{}, 1)}
	f.limits.Store(&proxy.ListenerLimits{})
	f.listeners.Store(&[]*reactor.Listener{})
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
		Accepted: f.admit,
		AtOnce:   f.options.AtOnce,
		Timeout:  f.options.Timeout,
		Refusal:  f.options.Refusal,
	})
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(*f.listeners.Load()), ln)
	f.listeners.Store(&all)
	return func() {
		ln.Close()
		f.barrier() // then it has happened
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
	limits := f.limits.Load()
	if most := int64(limits.Connections); most > 0 {
		if n := f.open(); n > most {
			c.State = Connections
			return n <= most+most/8
		}
	}
	if limits.ConnectionsPerClient == 0 {
		return true
	}
	key := keyOf(c.RemoteAddrPort().Addr())
	if !f.clients.enter(key, limits.ConnectionsPerClient) {
		c.State = ConnectionsPerClient
		return false
	}
	c.State = key
	return true
}

func (f *Frontend) serve(c *reactor.Conn, b *Bind) (keep bool) {
	if l, beyond := c.State.(Limit); beyond {
		f.refused.add(string(l))
		f.options.TurnAway(c, l)
		return false
	}
	return f.options.Serve(c, b)
}

// connClosed runs on the loop of a connection that was closed.
func (f *Frontend) connClosed(c *reactor.Conn, _ error) {
	if key, counted := c.State.(clientKey); counted {
		f.clients.leave(key)
	}
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
	listeners := *f.listeners.Load()
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
	for _, ln := range *f.listeners.Load() {
		n += ln.Open()
	}
	return n
}

// Refuse counts something that was not carried.
func (f *Frontend) Refuse(reason string) { f.refused.add(reason) }

// Traffic returns what the frontend counts.
func (f *Frontend) Traffic() proxy.Traffic {
	t := proxy.Traffic{Refused: f.refused.all()}
	for _, ln := range *f.listeners.Load() {
		t.Open += ln.Open()
		t.Accepted += ln.Accepted()
		t.Shed += ln.Refused()
	}
	return t
}
