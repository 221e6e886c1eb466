package l7

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// A link is the way to one server: the connections to it that wait for a request.
// Each loop has its own, so that nothing is locked and a request stays on its core.
type link struct {
	server  *upstream.Server
	host    []byte // address, for requests without a Host
	name    string // for the log
	idle    []idleConns
	retired atomic.Bool // nothing is kept any more
}

// idleConns belongs to one loop. The newest is the last: its server has most
// recently shown that it is there, and the oldest can age and go.
type idleConns struct {
	conns []*serverConn
	gone  func(*reactor.Conn, error) // made once
}

// serverConn is a connection to a server.
type serverConn struct {
	*reactor.Conn
	link   *link
	born   time.Time
	reused bool // it has served a request before
}

func newLink(s *upstream.Server, name string, loops int) *link {
	l := &link{server: s, host: []byte(s.Address().String()), name: name, idle: make([]idleConns, loops)}
	for i := range l.idle {
		set := &l.idle[i]
		set.gone = func(c *reactor.Conn, why error) {
			set.forget(c)
			if errors.Is(why, reactor.ErrUnexpected) {
				s.Broke() // a response to no request
			}
		}
	}
	return l
}

// take returns the newest connection that is still good, or nil.
func (l *link) take(loop int, now time.Time, limits proxy.PoolLimits) *serverConn {
	set := &l.idle[loop]
	for n := len(set.conns); n > 0; n = len(set.conns) {
		c := set.conns[n-1]
		set.conns[n-1] = nil
		set.conns = set.conns[:n-1]
		if c.Idle() == nil && !tooOld(c, now, limits) {
			c.SetIdle(nil)
			return c
		}
		_ = c.Close()
	}
	return nil
}

// keep keeps a connection that has carried a whole response for the next request,
// or closes it.
func (l *link) keep(c *serverConn, now time.Time, b *Backend) {
	set := &l.idle[c.Loop().ID()]
	if l.retired.Load() || len(set.conns) >= b.kept || tooOld(c, now, b.limits) {
		_ = c.Close()
		return
	}
	deadline := time.Time{}
	if b.timeouts.Idle > 0 {
		deadline = now.Add(b.timeouts.Idle)
	}
	_ = c.SetReadDeadline(deadline) // it is open
	c.reused = true
	set.conns = append(set.conns, c)
	c.SetIdle(set.gone)
}

func tooOld(c *serverConn, now time.Time, limits proxy.PoolLimits) bool {
	return limits.Age > 0 && now.Sub(c.born) > limits.Age
}

// forget takes out a connection that the server has closed, or spoken on without
// being asked, or that has waited for long enough.
func (s *idleConns) forget(c *reactor.Conn) {
	if i := slices.IndexFunc(s.conns, func(k *serverConn) bool { return k.Conn == c }); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
	}
	_ = c.Close()
}

// retire closes the connections that wait, on each loop, and keeps none any more.
func (l *link) retire(loops []*reactor.Loop) {
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
