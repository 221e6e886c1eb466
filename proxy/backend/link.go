package backend

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// A Link is the way to one server: the connections to it that wait for a request.
// Each loop has its own, so that nothing is locked and a request stays on its core.
type Link struct {
	Server *upstream.Server
	Host   []byte        // its address, for requests without a Host
	TLS    *tls.Config   // that connections to it go by; nil: they are plain
	Stats  *stats.Server // its books; nil: none are kept
	way

	idle    []idleConns
	retired atomic.Bool // nothing is kept any more
	*traffic
}

// way is how the connections of a Link begin, and what the server is called.
type way struct {
	Name     string // for the log
	header   proxy.ProxyVersion
	identity *secure.Identity // nil: without TLS
	host     string           // that the server's certificate is to have
}

// wayTo returns how connections to a server begin.
func (b *Backend) wayTo(s *proxy.Server) way {
	w := way{Name: s.Name, header: b.Header, identity: b.identity}
	if b.identity != nil {
		w.host = b.identity.NameOf(*s)
	}
	return w
}

// traffic is what goes on with a server, whatever way it is spoken to.
type traffic struct {
	busy     []busyConns   // by loop
	order    atomic.Uint64 // counts what was said about draining: the last word holds
	draining bool          // of who calls Retire
}

// idleConns belongs to one loop. The newest is the last: its server has most
// recently shown that it is there, and the oldest can age and go.
type idleConns struct {
	conns []*Conn
	gone  func(*reactor.Conn, error) // made once
}

// Conn is a connection to a server.
type Conn struct {
	tlsconn.Stream
	Link   *Link
	Reused bool // it has served a request before
	// Unproven: the server has yet to say something since the handshake of TLS, which it
	// may end even now.
	Unproven bool

	born    time.Time
	busy    busyConns // its neighbours
	inUse   bool
	drained bool
}

// NewConn makes a connection to the server of l out of c, which was opened now.
func (l *Link) NewConn(c tlsconn.Stream, now time.Time) *Conn {
	conn := &Conn{Stream: c, Link: l, Unproven: !c.Plain(), born: now}
	conn.join()
	return conn
}

// newLink returns a way to s. That of old, which may be nil, is another one to the same
// server: what is in use of it goes on as if it were of this one.
func newLink(s *upstream.Server, w way, loops int, old *Link) *Link {
	l := &Link{Server: s, Host: []byte(s.Address().String()), way: w, idle: make([]idleConns, loops)}
	if old != nil {
		l.traffic = old.traffic
	} else {
		l.traffic = &traffic{busy: make([]busyConns, loops)}
	}
	if w.identity != nil {
		l.TLS = w.identity.To(w.host, s.Address(), secure.HTTP11)
	}
	for i := range l.idle {
		set := &l.idle[i]
		set.gone = func(c *reactor.Conn, why error) { l.gone(set, c, why) }
	}
	return l
}

// Take returns the newest connection that is still good, or nil.
func (l *Link) Take(loop int, now time.Time, limits proxy.PoolLimits) *Conn {
	set := &l.idle[loop]
	for n := len(set.conns); n > 0; n = len(set.conns) {
		c := set.conns[n-1]
		set.conns[n-1] = nil
		set.conns = set.conns[:n-1]
		if c.silent(c.Idle()) == nil && !tooOld(c, now, limits) {
			c.SetIdle(nil)
			c.join()
			return c
		}
		_ = c.Close()
	}
	return nil
}

// Keep keeps a connection that has carried a whole response for the next request,
// or closes it.
func (l *Link) Keep(c *Conn, now time.Time, b *Backend) {
	set := &l.idle[c.Loop().ID()]
	if l.retired.Load() || l.header != proxy.ProxyNone || // which has said who the client is
		len(set.conns) >= b.kept || tooOld(c, now, b.Limits) || c.said() {
		_ = c.Close()
		return
	}
	deadline := time.Time{}
	if b.Timeouts.Idle > 0 {
		deadline = now.Add(b.Timeouts.Idle)
	}
	_ = c.SetReadDeadline(deadline) // it is open
	c.leave()
	c.Reused = true
	set.conns = append(set.conns, c)
	c.SetIdle(set.gone)
}

// said reports whether the server has said more than it was asked for, in what TLS has
// read ahead: what has not been read shows when the connection idles.
func (c *Conn) said() bool {
	if c.Plain() || c.TLS().TryPeek() == reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
		return false
	}
	return true
}

// silent takes in what speaks against an idle connection: over TLS bytes may be messages
// of TLS itself, such as the tickets of a session, which are read, and no objection.
func (c *Conn) silent(objection error) error {
	if c.Plain() || !errors.Is(objection, reactor.ErrUnexpected) {
		return objection
	}
	switch err := c.TLS().TryPeek(); {
	case err == nil:
		return reactor.ErrUnexpected
	case err == reactor.ErrWouldBlock: //nolint:errorlint // never wrapped
		return c.Idle()
	default:
		return err
	}
}

func tooOld(c *Conn, now time.Time, limits proxy.PoolLimits) bool {
	return limits.Age > 0 && now.Sub(c.born) > limits.Age
}

// gone takes a connection out that the server has closed, or spoken on without being
// asked, or that has waited for long enough.
func (l *Link) gone(set *idleConns, raw *reactor.Conn, why error) {
	i := slices.IndexFunc(set.conns, func(k *Conn) bool { return k.Conn == raw })
	if i < 0 {
		_ = raw.Close()
		return
	}
	c := set.conns[i]
	if why = c.silent(why); why == nil {
		c.SetIdle(set.gone)
		return
	}
	if errors.Is(why, reactor.ErrUnexpected) {
		l.Server.Broke() // a response to no request
	}
	set.conns = slices.Delete(set.conns, i, i+1)
	_ = c.Close()
}

// retire closes the connections that wait, on each loop, and keeps none any more.
func (l *Link) retire(loops []*reactor.Loop) {
	l.retired.Store(true)
	for i, loop := range loops {
		_ = loop.Post(func() { // else the loop has ended, and its connections
			set := &l.idle[i]
			for _, c := range set.conns {
				_ = c.Close()
			}
			set.conns = nil
		})
	}
}
