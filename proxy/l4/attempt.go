package l4

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/balance"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/proxyproto"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/route"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// lookAfter is how often it is looked, while a client waits, for what nobody tells: that
// there is a place again for it, or that it has finished and is not there any more.
const lookAfter = 500 * time.Millisecond

// attempt is what it takes to get a client to a server.
type attempt struct {
	conf   *Config
	latest *atomic.Pointer[Config]
	client tlsconn.Stream
	loop   *reactor.Loop
	hello  []byte // what was read of the client, to be passed on

	to     *target
	ask    upstream.Ask
	server *upstream.Server // where a place is taken; nil: nowhere
	took   time.Duration    // to connect

	books
	unproven bool // the server has yet to say something since the handshake of TLS
}

// reach connects the client to a server. The caller ends what it has begun there, if it
// returns no cause.
func (a *attempt) reach() (tlsconn.Stream, cause) {
	if why := a.choose(); why != none {
		return tlsconn.Stream{}, why
	}
	if a.to.hashes {
		a.ask.Hash = balance.HashClient(frontend.ClientOf(a.client.Conn).Addr())
	}
	for n := 0; ; n++ {
		if why := a.pick(); why != none {
			return tlsconn.Stream{}, why
		}
		conn, err := a.connect()
		if err == nil {
			a.hello = nil // and not for as long as the connection lasts
			return conn, none
		}
		a.ask.Tried = append(a.ask.Tried, a.server)
		a.failed(err)
		if a.client.Closed() {
			return tlsconn.Stream{}, shutDown
		}
		// There is no waiting in between: the next is another server.
		if n >= a.to.attempts || !a.to.pool.Retry(a.loop.Now()) {
			return tlsconn.Stream{}, noServer
		}
		defer a.to.pool.RetryDone()
	}
}

// choose finds the pool that the client is for.
func (a *attempt) choose() cause {
	var name route.ServerName
	if a.conf.Listener.Passthrough {
		var why cause
		if name.Name, why = a.readHello(); why != none {
			return why
		}
	}
	i, ok := a.conf.table.Match(&name, frontend.ClientOf(a.client.Conn).Addr())
	if !ok {
		return noRoute
	}
	a.to = a.conf.split[i][a.conf.table.Share(i, rand.Uint64())]
	a.page = a.to.page.Shard(a.loop.ID())
	return none
}

// pick takes a place at a server, and waits for one if it must.
func (a *attempt) pick() cause {
	a.ask.Now, a.ask.Random = a.loop.Now(), rand.Uint64()
	s, why := a.to.pool.Pick(&a.ask)
	if why == upstream.Full {
		return a.queue()
	}
	return a.picked(s, why)
}

func (a *attempt) picked(s *upstream.Server, why upstream.Refusal) cause {
	switch why {
	case upstream.Picked:
		a.server = s
		return none
	case upstream.BreakerOpen:
		return breakerOpen
	default:
		return noServer
	}
}

// queue waits for a place, behind those who came before.
func (a *attempt) queue() cause {
	began := a.loop.Now()
	waiter := a.loop.NewWaiter()
	w, ok := a.to.pool.Enqueue(&a.ask, waiter.Wake)
	if !ok {
		return queueFull
	}
	defer func() { a.page.Queue.Observe(a.loop.Now().Sub(began)) }()
	until := time.Time{}
	if d := a.to.limits.QueueTimeout; d > 0 {
		until = began.Add(d)
	}
	for {
		look := a.loop.Now().Add(lookAfter)
		last := !until.IsZero() && !look.Before(until)
		if last {
			look = until
		}
		why := a.wait(waiter, look)
		a.ask.Now = a.loop.Now()
		a.follow()
		switch {
		case why == queueTimeout && !last:
			a.to.pool.Look(a.ask.Now)
			continue
		case why != none:
			w.Leave(a.ask.Now)
			return why
		}
		if s, why := a.to.pool.PickWaiting(w, &a.ask); why != upstream.Full { // else somebody was quicker
			return a.picked(s, why)
		}
	}
}

// follow turns to what a new config has made of the pool that was waited for.
func (a *attempt) follow() {
	if to := a.latest.Load().known[a.to.name]; to != nil {
		a.to = to
	}
}

// wait waits for a place in the queue to come up, as long as the client is there.
func (a *attempt) wait(w *reactor.Waiter, until time.Time) cause {
	err := w.Wait(until, a.client.Conn)
	// One who has said all that he has to say, and left it here, waits for the answer.
	for errors.Is(err, reactor.ErrHangup) && !a.client.HungUp() && a.hasSaid() {
		err = a.waitHalfClosed(w, until)
	}
	switch {
	case err == nil:
		return none
	case errors.Is(err, os.ErrDeadlineExceeded):
		return queueTimeout
	case errors.Is(err, reactor.ErrHangup) && !a.client.Closed():
		return clientGone
	default:
		return shutDown
	}
}

// waitHalfClosed is a part of the wait of a client that has finished. That he leaves
// altogether does not end it, and so he is looked after: ErrHangup ends a look.
func (a *attempt) waitHalfClosed(w *reactor.Waiter, until time.Time) error {
	look := a.loop.Now().Add(lookAfter)
	last := !until.IsZero() && !look.Before(until)
	if last {
		look = until
	}
	err := w.Wait(look, nil)
	if errors.Is(err, os.ErrDeadlineExceeded) && !last {
		return reactor.ErrHangup
	}
	return err
}

// connect opens the connection to the server, and says there what comes first.
func (a *attempt) connect() (tlsconn.Stream, error) {
	began := a.loop.Now()
	w := dial.Way{Address: a.server.Address(), TLS: a.to.secure[a.server]}
	if timeout := a.to.timeouts.Connect; timeout > 0 {
		w.Deadline = began.Add(timeout)
	}
	first := a.hello
	if a.to.header != proxy.ProxyNone {
		w.Preface = proxyproto.Append(nil, a.to.header, frontend.ClientOf(a.client.Conn), frontend.Local(a.client.Conn))
		if w.TLS == nil {
			first = append(w.Preface, a.hello...)
		}
	}
	conn, err := dial.Open(a.loop, w)
	now := a.loop.Now()
	if a.unproven = err == nil && w.TLS != nil; !a.unproven {
		dial.Judge(a.server, now, err, a.conf.Observe)
	}
	if err != nil {
		return tlsconn.Stream{}, err
	}
	a.took = now.Sub(began)
	a.page.Connect.Observe(a.took)
	if len(first) == 0 {
		return conn, nil
	}
	_ = conn.SetWriteDeadline(w.Deadline) // it is open
	if _, err := conn.Write(first); err != nil {
		_ = conn.Abort() // or it is closed already
		return tlsconn.Stream{}, err
	}
	a.page.In.Add(uint64(len(a.hello)))
	return conn, nil
}

// heard tells the health of a server what it says first after a handshake of TLS: that
// may be no to the handshake, which then counts as a connect that failed.
func (a *attempt) heard(err error) {
	a.unproven = false
	if dial.Rejected(err) {
		err = &dial.HandshakeError{Err: err}
	} else {
		err = nil
	}
	dial.Judge(a.server, a.loop.Now(), err, a.conf.Observe)
}

// failed gives up the place at a server that was not reached.
func (a *attempt) failed(err error) {
	result := upstream.Failure
	if !dial.Blames(err) {
		result = upstream.Neutral
	}
	a.report(upstream.Outcome{Result: result})
}

// end gives up the place at the server when the connection has ended.
func (a *attempt) end(how tunnel.End) {
	result := upstream.Success
	if a.unproven && how == tunnel.Closed {
		a.heard(nil) // it had nothing to say
	}
	switch how {
	case tunnel.Unanswered:
		result = upstream.Failure
	case tunnel.Aborted:
		result = upstream.Neutral
	}
	a.report(upstream.Outcome{Result: result, Latency: a.took})
}

func (a *attempt) report(o upstream.Outcome) {
	s := a.server
	a.server = nil
	o.Began = a.ask.Now
	if v := s.End(a.loop.Now(), o); v != (upstream.Verdict{}) {
		a.conf.Observe(s, v)
	}
}
