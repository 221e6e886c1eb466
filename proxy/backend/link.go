package backend

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// A Link is the way to one server: the connections to it that wait for a request.
// Each loop has its own, so that nothing is locked and a request stays on its core.
type Link struct {
	Server *upstream.Server
	Host   []byte // its address, for requests without a Host
	Name   string // for the log

	header  proxy.ProxyVersion
	idle    []idleConns
	busy    []busyConns // by loop
	retired atomic.Bool // nothing is kept any more

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
	*reactor.Conn
	Link   *Link
	Reused bool // it has served a request before

	born    time.Time
	busy    busyConns // its neighbours
	inUse   bool
	drained bool
}

// NewConn makes a connection to the server of l out of c, which was opened now.
func (l *Link) NewConn(c *reactor.Conn, now time.Time) *Conn {
	conn := &Conn{Conn: c, Link: l, born: now}
	conn.join()
	return conn
}

func newLink(s *upstream.Server, name string, header proxy.ProxyVersion, loops int) *Link {
	l := &Link{Server: s, Host: []byte(s.Address().String()), Name: name, header: header, idle: make([]idleConns, loops), busy: make([]busyConns, loops)}
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

// Take returns the newest connection that is still good, or nil.
func (l *Link) Take(loop int, now time.Time, limits proxy.PoolLimits) *Conn {
	set := &l.idle[loop]
	for n := len(set.conns); n > 0; n = len(set.conns) {
		c := set.conns[n-1]
		set.conns[n-1] = nil
		set.conns = set.conns[:n-1]
		if c.Idle() == nil && !tooOld(c, now, limits) {
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
		len(set.conns) >= b.kept || tooOld(c, now, b.Limits) {
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

func tooOld(c *Conn, now time.Time, limits proxy.PoolLimits) bool {
	return limits.Age > 0 && now.Sub(c.born) > limits.Age
}

// forget takes out a connection that the server has closed, or spoken on without
// being asked, or that has waited for long enough.
func (s *idleConns) forget(c *reactor.Conn) {
	if i := slices.IndexFunc(s.conns, func(k *Conn) bool { return k.Conn == c }); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
	}
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
