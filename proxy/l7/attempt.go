package l7

import (
	"slices"
	"time"

	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// continueTimeout is how long a request with "Expect: 100-continue" waits for the
// server's word before its body is sent regardless: RFC 9110, section 10.1.1, allows
// for servers that never say it.
const continueTimeout = time.Second

// attempt is the sending of a request to one server, and what is remembered of those
// before it.
type attempt struct {
	conn   *backend.Conn    // nil while there is none
	server *upstream.Server // that a place is taken at; nil: none
	next   *upstream.Server // that a place is taken at for the next attempt; nil: none
	tried  []*upstream.Server
	name   string // of the newest of them, whose pool may have been replaced since
	began  time.Time
	result upstream.Outcome // so far
	offer  []byte           // the protocol that the server may change to; part of the request

	attempts int
	fresh    bool // only a new connection will do
	raced    bool // a reused connection has failed
	retrying bool // it is in the pool's count of retries
}

func (a *attempt) begin() {
	clear(a.tried)
	*a = attempt{tried: a.tried[:0]}
}

// retryDone takes the attempt out of the count of retries.
func (a *attempt) retryDone(b *backend.Backend) {
	if a.retrying {
		a.retrying = false
		b.Pool.RetryDone()
	}
}

// try sends the request to the server that was picked, and reads the head of its
// response.
func (x *exchange) try() retry.Failure {
	a := &x.server
	a.server, a.next = a.next, nil
	a.began = x.loop.Now()
	a.result = upstream.Outcome{Result: upstream.Neutral, Began: a.began}
	a.attempts++
	link := x.to.Link(a.server)
	a.name = link.Name
	x.record.span.Attempt(a.attempts, link.Name, a.server.Address(), a.began)
	if !a.fresh {
		a.conn = link.Take(x.loop.ID(), a.began, x.to.Limits)
	}
	if a.conn == nil {
		if c := x.connect(link); c != retry.None {
			return x.failure(c)
		}
	} else {
		a.conn.WatchHangup(x.client.Conn)
	}
	if f := x.send(link); f.Cause != retry.None {
		return f
	}
	return x.awaitHead()
}

// connect opens a connection.
func (x *exchange) connect(l *backend.Link) retry.Cause {
	x.phase = retry.Connect
	began := x.loop.Now()
	w := dial.Way{Address: l.Server.Address(), Watch: x.client.Conn, Deadline: x.by(x.to.Timeouts.Connect), TLS: l.TLS}
	if l.TLS != nil {
		w.Preface = x.introduction(nil)
	}
	c, err := dial.Open(x.loop, w)
	now := x.loop.Now()
	x.record.connect += now.Sub(began)
	cause := retry.None
	if err != nil {
		cause = x.serverCause(err)
	}
	if cause == retry.None && l.TLS == nil || cause.Blames() {
		dial.Judge(l.Server, now, err, x.engine.options.Observe)
	}
	if err == nil {
		x.record.books.Connected(now.Sub(began))
		x.server.conn = l.NewConn(c, now)
	}
	x.record.span.Connected(began, now, cause)
	return cause
}

// send sends the head of the request, and what has come of its body.
func (x *exchange) send(l *backend.Link) retry.Failure {
	x.phase = retry.Send
	x.hold()
	c := x.server.conn
	e := &x.edit
	*e = http1.Edit{Lines: x.origin.Append(e.Lines[:0]), Trailers: x.req.TakesTrailers}
	if v := frontend.VisitorOf(x.client.Conn); v != nil {
		e.Lines = append(e.Lines, v.Lines...)
	}
	x.rewrite(e, l)
	x.record.span.Propagate(e)
	if offer := x.req.UpgradeTo(); isWebSocket(offer) {
		e.Upgrade = offer
	}
	var err error
	if x.out, err = x.req.AppendHead(x.preface(), e); err != nil {
		panic("l7: " + err.Error()) // what is added has been checked where it came from
	}
	_ = c.SetWriteDeadline(x.deadline) // open, or the write tells
	c.SetWriteBudget(sendIdle(x.to))   // not a deadline: the rest of the body may take its time
	n, err := x.body.sendFirst(x, c)
	if err != nil {
		f := x.failure(x.serverCause(err))
		f.Unsent = n == 0
		return f
	}
	x.server.offer = e.Upgrade
	x.letGo()
	return retry.Failure{}
}

// failure describes a failure of the present attempt.
func (x *exchange) failure(c retry.Cause) retry.Failure {
	a := &x.server
	f := retry.Failure{
		Phase: x.phase, Cause: c, Untouched: x.answer == nil || x.back.W == 0,
		Method: safety(x.req.Method), Keyed: x.req.Has(http1.IdempotencyKey), Whole: x.body.whole, Told: x.told,
		Left: x.to.Retry.Attempts + 1 - a.attempts, Raced: a.raced,
	}
	if a.conn != nil {
		f.Reused = a.conn.Reused
	}
	return f
}

func safety(m http1.Method) retry.Safety {
	switch {
	case m.Safe():
		return retry.Safe
	case m.Idempotent():
		return retry.Idempotent
	}
	return retry.Unsafe
}

// awaitHead reads the head of the response, and passes on those that come before it.
func (x *exchange) awaitHead() retry.Failure {
	x.phase = retry.Head
	x.server.conn.SetReadBudget(flow.Never) // the body of the response before has left one
	x.awaitResponse()
	for {
		err := x.server.conn.WaitReadable()
		if err == nil {
			break
		}
		if c, again := x.waitFailed(err); !again {
			return x.failure(c)
		}
	}
	x.hold()
	x.res.Reset(&x.req)
	for {
		if x.back.W > x.back.R {
			n, err := x.res.Parse(x.back.Unread(), &x.engine.limits)
			switch {
			case err != nil:
				x.p.badResponse(x, err)
				return x.failure(retry.ServerBad)
			case n > 0 && !x.res.Interim():
				x.back.R += n
				return x.gotHead()
			case n > 0:
				x.back.R += n
				if c := x.passInterim(); c != retry.None {
					return x.failure(c)
				}
				continue
			}
			if !x.back.Grow(x.engine.limits.Header + flow.BufferSize) {
				panic("l7: a head within its limit does not fit")
			}
		}
		n, err := x.server.conn.Read(x.back.Room())
		x.back.W += n
		if x.server.conn.Unproven && x.rejected(err) {
			return x.failure(retry.ServerBroke)
		}
		if err != nil {
			if c, again := x.waitFailed(err); !again {
				return x.failure(c)
			}
		}
	}
}

// rejected tells the server's health what it says first after a handshake of TLS: that may
// be no to the handshake, which then counts as a connect that failed.
func (x *exchange) rejected(err error) (no bool) {
	x.server.conn.Unproven = false
	if no = dial.Rejected(err); no {
		x.phase, err = retry.Connect, &dial.HandshakeError{Err: err}
	} else {
		err = nil
	}
	dial.Judge(x.server.server, x.loop.Now(), err, x.engine.options.Observe)
	return no
}

// awaitResponse sets how long the head of the response may take: from the end of the
// request on.
func (x *exchange) awaitResponse() {
	t := x.deadline
	switch {
	case x.body.held:
		t = x.by(continueTimeout)
	case x.body.done:
		t = x.by(x.to.Timeouts.Response)
	}
	_ = x.server.conn.SetReadDeadline(t) // open, or the read tells
}

// waitFailed says what the end of a wait for the response means, and whether to
// wait on.
func (x *exchange) waitFailed(err error) (c retry.Cause, again bool) {
	switch c = x.serverCause(err); {
	case x.body.cause != retry.None:
		return x.body.cause, false // it has closed the connection
	case c == retry.ServerLate && x.body.held:
		x.body.release(x)
		x.awaitResponse()
		return retry.None, true
	}
	return c, false
}

// gotHead judges the head of the final response.
func (x *exchange) gotHead() retry.Failure {
	_ = x.server.conn.SetReadDeadline(x.deadline) // open, or the next read tells
	now := x.loop.Now()
	x.record.firstByte = now.Sub(x.record.start)
	status := x.res.Status
	x.server.conn.Link.Stats.Respond(x.loop.ID(), status)
	// Not within a body: nobody would say where that ends.
	if status == statusSwitchingProtocols && (x.server.offer == nil || !x.body.done || !x.res.SwitchesTo(x.server.offer)) {
		x.p.Refuse("unwanted_switch")
		return x.failure(retry.ServerBad)
	}
	x.server.result = upstream.Outcome{Result: upstream.Success, Latency: now.Sub(x.server.began), Began: x.server.began}
	if status == statusBadGateway || status == statusServiceUnavailable || status == statusGatewayTimeout {
		x.server.result.Result = upstream.Failure
	}
	if x.to.On.Status(status) {
		f := x.failure(retry.ServerStatus)
		f.Status = status
		return f
	}
	return retry.Failure{}
}

// passInterim passes an interim response on (RFC 9110, section 15.2). One of 100
// lets the body go.
func (x *exchange) passInterim() retry.Cause {
	if x.res.Status == statusContinue && x.body.held {
		x.body.release(x)
		x.awaitResponse()
	}
	if x.req.Minor == 0 {
		return retry.None
	}
	var err error
	if x.out, err = x.res.AppendHead(x.out[:0], &http1.Edit{}); err != nil {
		return retry.ServerBad
	}
	x.told = true
	if _, err := x.client.Write(x.out); err != nil {
		return x.causeOf(err)
	}
	return retry.None
}

// endAttempt ends an attempt that failed.
func (x *exchange) endAttempt(f *retry.Failure) {
	a := &x.server
	if a.server == nil {
		return
	}
	x.body.stop(x)
	switch {
	case f.Race():
		a.result.Result = upstream.Neutral
	case f.Cause.Blames():
		a.result.Result = upstream.Failure
		if f.Phase > retry.Connect && f.Cause != retry.ServerStatus {
			a.server.Broke()
		}
	}
	x.record.span.Failed(f, x.loop.Now())
	x.dropServer()
}

// dropServer gives up whatever is left of an attempt.
func (x *exchange) dropServer() {
	a := &x.server
	if a.conn != nil {
		_ = a.conn.Abort() // or it is closed already
		a.conn = nil
	}
	if a.server == nil {
		return
	}
	if v := a.server.End(x.loop.Now(), a.result); v != (upstream.Verdict{}) {
		x.engine.options.Observe(a.server, v)
	}
	a.server = nil
}

func isWebSocket(token []byte) bool {
	return len(token) == len("websocket") && slices.EqualFunc(token, []byte("websocket"), func(a, b byte) bool { return a|0x20 == b })
}
