package l7

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/forward"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// exchange is one request and its response, and what one needs of memory to carry
// them. A connection has one for as long as it has something to say; while it idles,
// others use it.
//
// One coroutine walks the phases with it, on both sides:
//
//	read -> pick -> connect -> send -> head -> stream -> log
//
// A second one sends the body of the request while the first awaits the response,
// if the body did not come with the head.
type exchange struct {
	*local
	p      *Proxy
	conf   *Prepared // as of the request
	client tlsconn.Stream
	port   uint16 // that the client came to
	phase  retry.Phase

	req    http1.Request
	origin forward.Request
	in     flow.Buffer // what the client sent: the head, and what came behind it
	body   upload

	course
	server attempt
	waiting
	*answer // nil while nothing is written, and nothing has been answered

	record record
	scratch
}

// scratch is room for what is put together for a request.
type scratch struct {
	key    [256]byte // what is looked at and not kept
	target []byte    // of a rewritten request
	fields []http1.Addition
}

// waiting is what it takes to wait for a server.
type waiting struct {
	ask    upstream.Ask
	waiter *reactor.Waiter // nil until there was something to wait for
	wake   func()          // its Wake
}

// answer is what it takes to write, and to carry a response. An exchange has none
// while it waits for the server: those that are used are few then, and in the cache.
type answer struct {
	back    flow.Buffer // what the server sent
	res     http1.Response
	decoder http1.Decoder // of its body
	edit    http1.Edit
	out     []byte // what is being written
	unasked bool   // the server sent more than a response

	toClient sink
}

func newExchange(l *local) *exchange {
	return &exchange{local: l, in: flow.Buffer{B: make([]byte, flow.BufferSize)}}
}

// hold takes an answer, unless x has one.
func (x *exchange) hold() {
	if x.answer != nil {
		return
	}
	if n := len(x.answers); n > 0 {
		x.answer = x.answers[n-1]
		x.answers[n-1] = nil
		x.answers = x.answers[:n-1]
	} else {
		x.answer = &answer{back: flow.Buffer{B: make([]byte, flow.BufferSize)}}
	}
	x.back.Reset()
	x.unasked = false
}

// letGo gives the answer back, if x has one.
func (x *exchange) letGo() {
	if x.answer == nil {
		return
	}
	if len(x.answers) < maxBuffers {
		x.answers = append(x.answers, x.answer)
	}
	x.answer = nil
}

// serve carries the requests of a connection that has something to say. It is the
// handler of the reactor: true parks the connection until it has more to say.
func (p *Proxy) serve(c tlsconn.Stream, b *frontend.Bind) (keep bool) {
	x := p.engine.locals[c.Loop().ID()].take(p, c)
	x.port = b.PortOf(c.Conn)
	done := false
	defer func() {
		if !done { // it panics, and nobody knows what is in x
			x.dropServer()
			x.server.retryDone(x.to)
			x.record.books.Drop()
			p.panics.Add(1)
		}
	}()
	next := x.converse()
	var u *upgraded
	if next == tunnelling {
		u = x.upgraded()
	}
	x.dropServer()
	x.server.retryDone(x.to)
	x.letGo()
	x.put(x)
	done = true
	if u != nil {
		u.run()
	}
	return next == parking
}

// after says what becomes of a connection.
type after uint8

const (
	closing    after = iota // it is to be closed
	parking                 // it waits for the next request
	tunnelling              // it speaks another protocol now
	another                 // the next request is there
)

// converse carries one request after the other, until the client has said all.
func (x *exchange) converse() after {
	x.in.Reset()
	for {
		if next, ok := x.readRequest(); !ok {
			return next
		}
		if next := x.carry(); next != another {
			return next
		}
	}
}

// readRequest reads the head of the next request. Without ok there is none.
func (x *exchange) readRequest() (next after, ok bool) {
	x.conf = x.p.conf.Load()
	x.phase = retry.Read
	_ = x.client.SetReadDeadline(time.Time{}) // open, or the next read tells
	x.client.SetReadBudget(flow.Never)        // the last body has left one
	waits, start := false, x.loop.Now()
	for {
		if x.in.W > x.in.R {
			n, err := x.req.Parse(x.in.Unread(), &x.conf.limits)
			if err != nil {
				x.begin(start)
				return x.refuse(err), false
			}
			if n > 0 {
				x.begin(start)
				x.in.R += n
				return 0, true
			}
			if !x.in.Grow(x.conf.limits.Header + flow.BufferSize) {
				panic("l7: a head within its limit does not fit")
			}
			if !waits {
				// From the first byte on, whatever follows: one byte at a time
				// must not keep a connection.
				waits = true
				x.deadlineIn(x.conf.Listener.Timeouts.Header)
			}
		}
		n, err := x.readMore(waits)
		x.in.W += n
		switch {
		case err == nil:
		case err == reactor.ErrWouldBlock: //nolint:errorlint // never wrapped
			x.deadlineIn(x.conf.Listener.Timeouts.Idle)
			return parking, false
		case waits && errors.Is(err, os.ErrDeadlineExceeded):
			x.begin(start)
			x.req.Reset() // nothing of half a head is known for certain
			return x.reply(reply{status: statusRequestTimeout, reason: accesslog.ClientTimeoutHeader, close: true}), false
		default:
			if waits {
				x.p.Refuse("incomplete_head")
				x.req.Reset() // for others
			}
			return closing, false // it left
		}
	}
}

func (x *exchange) readMore(waits bool) (int, error) {
	if waits {
		return x.client.Read(x.in.Room())
	}
	return x.client.TryRead(x.in.Room())
}

// deadlineIn ends reads from the client in d; 0 means never.
func (x *exchange) deadlineIn(d time.Duration) {
	t := time.Time{}
	if d > 0 {
		t = x.loop.Now().Add(d)
	}
	_ = x.client.SetReadDeadline(t) // open, or the next read tells
}

// carry carries the request that was read.
func (x *exchange) carry() after {
	x.p.requests.Add(1)
	x.body.begin(x)
	if r, ok := x.judge(); !ok {
		return x.reply(r)
	}
	if c := x.body.prefetch(x); c != retry.None {
		return x.fail(retry.Failure{Phase: retry.Read, Cause: c})
	}
	if r, ok := x.direct(); !ok {
		return x.reply(r)
	}
	if x.client.PeerClosed() {
		// Whoever has waited for too long is known to have left when his turn comes: a
		// node that is behind with its work must not add to it what nobody wants, and
		// what costs a connection to a server each time.
		return x.fail(retry.Failure{Phase: retry.Pick, Cause: retry.ClientGone})
	}
	if c := x.pick(true); c != retry.None {
		return x.fail(retry.Failure{Phase: retry.Pick, Cause: c})
	}
	for {
		f := x.try()
		if f.Cause == retry.None {
			break
		}
		if x.again(&f) {
			continue
		}
		if f.Cause == retry.ServerStatus {
			break // that is what the client gets
		}
		x.endAttempt(&f)
		return x.fail(f)
	}
	if x.res.Status == statusSwitchingProtocols {
		return x.switchProtocols()
	}
	return x.respond()
}

// judge refuses what is well formed and not to be carried.
func (x *exchange) judge() (reply, bool) {
	if over := x.engine.options.Overloaded; over != nil && over() {
		return reply{status: statusServiceUnavailable, reason: accesslog.Overload, close: true}, false
	}
	switch x.req.Method {
	case http1.MethodConnect:
		return reply{status: statusMethodNotAllowed, reason: accesslog.ClientError, close: true}, false
	case http1.MethodTrace:
		return reply{status: statusMethodNotAllowed, reason: accesslog.ClientError, close: !x.req.Body.Empty()}, false
	}
	x.trace()
	x.record.span.Begin(x.traces, &x.req, x.origin.Trusted(), x.record.start)
	if x.origin.Loops() {
		return reply{status: statusLoopDetected, reason: accesslog.Loop, close: !x.req.Body.Empty()}, false
	}
	if most := x.conf.Listener.Limits.BodyBytes; most > 0 && x.req.Body.Kind == http1.Sized && x.req.Body.Length > most {
		return reply{status: statusContentTooLarge, reason: accesslog.ClientError, close: true}, false
	}
	return reply{}, true
}

// trace finds out where the request comes from, and takes out of it what is ours to
// say.
func (x *exchange) trace() {
	x.origin.Begin(&x.conf.policy, forward.Arrival{
		Peer: frontend.ClientOf(x.client.Conn).Addr(), Port: x.port, TLS: !x.client.Plain(), Minor: x.req.Minor, Host: x.req.Authority(),
	})
	fields := x.req.Fields()
	for i := range fields {
		f := &fields[i]
		if f.Known != http1.Unknown && !originFields.Has(f.Known) {
			continue
		}
		if x.origin.Take(x.req.Bytes(f.Name), x.req.Bytes(f.Value)) {
			f.Flags |= http1.Dropped
		}
	}
	x.origin.Finish(x.ids)
	x.record.traced = true
}

// originFields are the known fields that say where a request comes from. Which one
// is its identity, the config says; it may be one that is not known.
const originFields = http1.Set(1<<http1.Forwarded|1<<http1.XForwardedFor|1<<http1.XForwardedHost|1<<http1.XForwardedProto|
	1<<http1.XForwardedPort|1<<http1.XForwardedOther|1<<http1.XRealIP|1<<http1.XRequestID|1<<http1.Via) | http1.Certificate

// causeOf says what a failed read from the client, or write to it, means.
func (x *exchange) causeOf(err error) retry.Cause {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return x.late(retry.ClientSlow)
	}
	return retry.ClientGone
}

// serverCause says what a failed operation with the server means.
func (x *exchange) serverCause(err error) retry.Cause {
	switch {
	case x.server.conn != nil && x.server.conn.Drained():
		return retry.Drained
	case x.client.Closed(), errors.Is(err, net.ErrClosed):
		return retry.ShutDown
	case errors.Is(err, reactor.ErrHangup):
		return retry.ClientGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		return x.late(retry.ServerLate)
	}
	return retry.ServerBroke
}
