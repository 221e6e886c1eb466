package l7

import (
	"errors"
	"slices"
	"time"

	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// continueTimeout is how long a request with "Expect: 100-continue" waits for the
// server's word before its body is sent regardless: RFC 9110, section 10.1.1, allows
// for servers that never say it.
const continueTimeout = time.Second

// attempt is the sending of a request to one server, and what is remembered of those
// before it.
type attempt struct {
	conn     *serverConn      // nil while there is none
	server   *upstream.Server // that has begun; nil when none has
	tried    []*upstream.Server
	cause    cause // of the newest failed connect
	raced    bool  // a reused connection has failed
	attempts int
	same     bool // the server of before is to be tried again
}

func (a *attempt) begin() {
	clear(a.tried)
	*a = attempt{tried: a.tried[:0]}
}

// again prepares another attempt.
func (a *attempt) again(same bool) {
	a.same, a.raced = same, a.raced || same
}

// try sends the request to the server whose turn it is, and reads the head of its
// response.
func (x *exchange) try() failure {
	a := &x.server
	now := x.loop.Now()
	b := x.conf.Backend
	var s *upstream.Server
	if a.same {
		s = a.tried[len(a.tried)-1]
	} else {
		x.phase = pick
		var ok bool
		if s, ok = b.pool.Pick(now, a.tried); !ok {
			if len(a.tried) > 0 {
				return failure{phase: connect, cause: a.cause, exhausted: true}
			}
			return failure{phase: pick, cause: noServer}
		}
		a.tried = append(a.tried, s)
	}
	s.Begin()
	a.server = s
	a.attempts++
	link := b.links[s]
	if !a.same {
		a.conn = link.take(x.loop.ID(), now, b.limits)
	}
	if a.conn == nil {
		x.phase = connect
		if c := x.connect(link); c != noCause {
			a.cause = c
			return failure{phase: connect, cause: c}
		}
	} else {
		a.conn.WatchHangup(x.client)
	}
	if f := x.send(link); f.cause != noCause {
		return f
	}
	return x.awaitHead()
}

// connect opens a connection.
func (x *exchange) connect(l *link) cause {
	timeout := x.conf.Backend.timeouts.Connect
	o := reactor.DialOptions{Watch: x.client}
	began := x.loop.Now()
	if timeout > 0 {
		o.Deadline = began.Add(timeout)
	}
	c, err := x.loop.Dial(l.server.Address(), o)
	now := x.loop.Now()
	x.record.connect += now.Sub(began)
	if err != nil && errors.Is(err, reactor.ErrHangup) {
		return x.serverCause(err)
	}
	dial.Judge(l.server, now, err, x.engine.options.Observe)
	if err != nil {
		return x.serverCause(err)
	}
	x.server.conn = &serverConn{Conn: c, link: l, born: now}
	return noCause
}

// send sends the head of the request, and what has come of its body.
func (x *exchange) send(l *link) failure {
	x.phase = send
	x.hold()
	c := x.server.conn
	e := &x.edit
	*e = http1.Edit{Lines: x.origin.Append(e.Lines[:0]), Trailers: x.req.TakesTrailers}
	if len(x.req.Authority()) == 0 {
		e.Host = l.host
	}
	if offer := x.req.UpgradeTo(); isWebSocket(offer) {
		e.Upgrade = offer
	}
	var err error
	if x.out, err = x.req.AppendHead(x.out[:0], e); err != nil {
		panic("l7: " + err.Error()) // what is added has been checked where it came from
	}
	c.SetWriteBudget(x.conf.sendIdle()) // not a deadline: the rest of the body may take its time
	n, err := x.body.sendFirst(x, c)
	if err != nil {
		f := x.failure(x.serverCause(err))
		f.unsent = n == 0
		return f
	}
	x.offer = e.Upgrade
	x.letGo()
	return failure{}
}

// failure describes a failure of the present attempt.
func (x *exchange) failure(c cause) failure {
	return failure{
		phase: x.phase, cause: c,
		reused: x.server.conn.reused, untouched: x.answer == nil || x.back.w == 0, raced: x.server.raced,
		whole: x.body.whole, repeatable: x.req.Method.Idempotent() || x.req.Has(http1.IdempotencyKey),
	}
}

// awaitHead reads the head of the response, and passes on those that come before it.
func (x *exchange) awaitHead() failure {
	x.phase = head
	x.server.conn.SetReadBudget(never) // the body of the response before has left one
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
		if x.back.w > x.back.r {
			n, err := x.res.Parse(x.back.unread(), &x.engine.limits)
			switch {
			case err != nil:
				x.p.badResponse(x, err)
				return x.failure(serverBad)
			case n > 0 && !x.res.Interim():
				x.back.r += n
				return x.gotHead()
			case n > 0:
				x.back.r += n
				if c := x.passInterim(); c != noCause {
					return x.failure(c)
				}
				continue
			}
			if !x.back.grow(x.engine.limits.Header + bufferSize) {
				panic("l7: a head within its limit does not fit")
			}
		}
		n, err := x.server.conn.Read(x.back.room())
		x.back.w += n
		if err != nil {
			if c, again := x.waitFailed(err); !again {
				return x.failure(c)
			}
		}
	}
}

// awaitResponse sets how long the head of the response may take: from the end of the
// request on.
func (x *exchange) awaitResponse() {
	timeout := x.conf.Backend.timeouts.Response
	t := time.Time{}
	switch {
	case x.body.held:
		t = x.loop.Now().Add(continueTimeout)
	case x.body.done && timeout > 0:
		t = x.loop.Now().Add(timeout)
	}
	_ = x.server.conn.SetReadDeadline(t) // open, or the read tells
}

// waitFailed says what the end of a wait for the response means, and whether to
// wait on.
func (x *exchange) waitFailed(err error) (c cause, again bool) {
	switch c = x.serverCause(err); {
	case x.body.cause != noCause:
		return x.body.cause, false // it has closed the connection
	case c == serverLate && x.body.held:
		x.body.release(x)
		x.awaitResponse()
		return noCause, true
	}
	return c, false
}

// gotHead judges the head of the final response.
func (x *exchange) gotHead() failure {
	_ = x.server.conn.SetReadDeadline(time.Time{}) // open, or the next read tells
	x.record.firstByte = x.loop.Now().Sub(x.record.start)
	// Not within a body: nobody would say where that ends.
	if x.res.Status == statusSwitchingProtocols && (x.offer == nil || !x.body.done || !x.res.SwitchesTo(x.offer)) {
		x.p.Refuse("unwanted_switch")
		return x.failure(serverBad)
	}
	return failure{}
}

// passInterim passes an interim response on (RFC 9110, section 15.2). One of 100
// lets the body go.
func (x *exchange) passInterim() cause {
	if x.res.Status == statusContinue && x.body.held {
		x.body.release(x)
		x.awaitResponse()
	}
	if x.req.Minor == 0 {
		return noCause
	}
	var err error
	if x.out, err = x.res.AppendHead(x.out[:0], &http1.Edit{}); err != nil {
		return serverBad
	}
	if _, err := x.client.Write(x.out); err != nil {
		return causeOf(err)
	}
	return noCause
}

// failed ends what try has begun.
func (a *attempt) failed(x *exchange, f failure) {
	x.body.stop(x)
	if a.conn != nil {
		_ = a.conn.Abort() // or it is closed already
		a.conn = nil
	}
	if a.server == nil {
		return
	}
	a.server.Abandon()
	blame := f.cause == serverBroke || f.cause == serverLate || f.cause == serverBad
	if f.phase > connect && blame && !keepAliveRace(f) {
		a.server.Broke()
	}
	a.server = nil
}

// dropServer gives up whatever is left of an attempt.
func (x *exchange) dropServer() {
	a := &x.server
	if a.conn != nil {
		_ = a.conn.Abort() // or it is closed already
		a.conn = nil
	}
	if a.server != nil {
		a.server.End()
		a.server = nil
	}
}

func isWebSocket(token []byte) bool {
	return len(token) == len("websocket") && slices.EqualFunc(token, []byte("websocket"), func(a, b byte) bool { return a|0x20 == b })
}
