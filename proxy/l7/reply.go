package l7

import (
	"errors"
	"strconv"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// The answers to connections beyond a limit.
const (
	tooManyOpen      = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
	tooManyOfAClient = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
)

// turnAway answers a connection beyond a limit.
func turnAway(c *reactor.Conn, l frontend.Limit) {
	answer := tooManyOpen
	if l == frontend.ConnectionsPerClient {
		answer = tooManyOfAClient
	}
	_ = c.SetWriteDeadline(c.Loop().Now().Add(lingerFor))
	_, _ = c.Write([]byte(answer)) // a new connection takes this much at once
	_ = c.CloseWrite()
	var b [4096]byte
	for range 16 { // unread bytes would make a reset of the close
		if _, err := c.TryRead(b[:]); err != nil {
			return
		}
	}
}

// reply is an answer of the proxy itself.
type reply struct {
	status int
	text   string // of the body; "" for what goes with the status
	reason accesslog.Reason
	close  bool // the connection cannot carry another request
}

// retryAfter is what a client is told whose request may succeed soon.
var retryAfter = []http1.Addition{{Name: "Retry-After", Value: []byte("1")}}

// reply answers the client.
func (x *exchange) reply(r reply) after {
	x.hold()
	keep := !r.close && x.req.KeepAlive && x.body.done && !x.p.Draining()
	text := r.text
	if text == "" {
		text = statusText(r.status, x.conf.Backend.name)
	}
	a := http1.Reply{
		Status: r.status, Body: strconv.Itoa(r.status) + " " + text + "\n",
		Head: x.req.Method == http1.MethodHead, Close: !keep, Keep: keep && x.req.Minor == 0,
	}
	if r.status == statusServiceUnavailable {
		a.Fields = retryAfter
	}
	var err error
	if x.out, err = http1.AppendReply(x.out[:0], &a); err != nil {
		panic("l7: " + err.Error()) // all of it is ours
	}
	x.record.status = r.status
	if r.reason.Failure() {
		x.p.failed.Add(1) // before the client can ask
	}
	s := x.sink()
	c := s.write(x.out)
	if c == noCause && !a.Head {
		x.record.sent = int64(len(a.Body))
	}
	x.tell(r.reason)
	switch {
	case c != noCause:
		return closing
	case keep:
		x.letGo()
		x.in.compact()
		return another
	}
	x.linger()
	return closing
}

// refuse answers a request that is not well formed. Where it ends, nobody knows.
func (x *exchange) refuse(err error) after {
	x.p.refused(x, err)
	e, ok := errors.AsType[*http1.Error](err)
	if !ok {
		panic("l7: " + err.Error()) // the codec has no other
	}
	x.req.KeepAlive = false
	return x.reply(reply{status: e.Status, reason: accesslog.ClientError, close: true})
}

// fail ends an exchange that got no response.
func (x *exchange) fail(f failure) after {
	a := decide(f)
	why := reasonOf(f.cause, f.phase)
	if a.status == 0 {
		x.log(f.cause)
		_ = x.client.Abort() // or it is closed already
		return closing
	}
	switch f.cause {
	case clientSlow, clientBad, clientTooBig:
		return x.reply(reply{status: a.status, reason: why, close: true})
	}
	return x.reply(reply{status: a.status, reason: why})
}
