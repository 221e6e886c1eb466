package l7

import (
	"errors"
	"strconv"
	"time"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/outcome"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/retry"
)

// The answers to connections beyond a limit.
const (
	tooManyOpen      = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nX-Tandem-Reason: connections\r\nConnection: close\r\n\r\n"
	tooManyOfAClient = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\nX-Tandem-Reason: connections-per-client\r\nConnection: close\r\n\r\n"
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
	kind   string // of the text, if it is fixed
	fixed  bool   // text is the whole body, whatever the status
	reason accesslog.Reason
	after  time.Duration // in which the client may come back; 0: as a second will do, or never
	close  bool          // the connection cannot carry another request

	location []byte // of a redirect
}

// reasonField is the name of the field that tells the 503s and 429s of a proxy from those
// of servers.
const reasonField = "x-tandem-reason"

// reasons are what clients are told of why they are not served.
var reasons = map[accesslog.Reason]string{
	accesslog.NoServer:      "no-server",
	accesslog.QueueFull:     "queue-full",
	accesslog.QueueTimeout:  "queue-timeout",
	accesslog.BreakerOpen:   "breaker-open",
	accesslog.Overload:      "overload",
	accesslog.ServerDrained: "server-drained",
	accesslog.RateLimited:   "rate-limit",
}

// fieldsOf returns the fields of an answer, beside those that frame it.
func (x *exchange) fieldsOf(r *reply) []http1.Addition {
	f := x.fields[:0]
	if x.route != nil && x.to == nil && r.reason == accesslog.OK { // not of our errors
		f = append(f, x.route.Response.Add...)
	}
	if r.location != nil {
		f = append(f, http1.Addition{Name: "Location", Value: r.location})
	}
	if r.status == statusServiceUnavailable && r.reason != accesslog.OK || r.status == statusTooManyRequests {
		f = append(f, http1.Addition{Name: "Retry-After", Value: seconds(nil, r.after)})
	}
	if why := reasons[r.reason]; why != "" && (r.status == statusServiceUnavailable || r.status == statusTooManyRequests) {
		f = append(f, http1.Addition{Name: reasonField, Value: []byte(why)})
	}
	x.fields = f
	return f
}

// reply answers the client.
func (x *exchange) reply(r reply) after {
	x.hold()
	keep := !r.close && x.req.KeepAlive && x.body.done && !x.p.Draining()
	a := http1.Reply{
		Status: r.status, Body: r.text, Type: r.kind, Fields: x.fieldsOf(&r),
		Head: x.req.Method == http1.MethodHead, Close: !keep, Keep: keep && x.req.Minor == 0,
	}
	if !r.fixed {
		if a.Body == "" {
			a.Body = x.statusText(r.status, r.reason)
		}
		a.Body = strconv.Itoa(r.status) + " " + a.Body + "\n"
	}
	var err error
	if x.out, err = http1.AppendReply(x.out[:0], &a); err != nil {
		panic("l7: " + err.Error()) // all of it is ours, or has been tried
	}
	x.record.status = r.status
	if r.reason.Failure() {
		x.p.failed.Add(1) // before the client can ask
	}
	if x.late(retry.None) != retry.None {
		_ = x.client.SetWriteDeadline(time.Time{}) // or the answer that says so would come too late
	}
	s := x.sink()
	c := s.write(x.out)
	if c == retry.None && !a.Head {
		x.record.sent = int64(len(a.Body))
	}
	x.tell(r.reason)
	switch {
	case c != retry.None:
		return closing
	case keep:
		x.letGo()
		x.in.Compact()
		return another
	}
	x.linger()
	return closing
}

// statusText is what a client is told in the body of a status of our own.
func (x *exchange) statusText(status int, why accesslog.Reason) string {
	switch why {
	case accesslog.NoServer:
		return "No healthy server in pool " + strconv.Quote(x.to.Name)
	case accesslog.QueueFull:
		return "All servers of pool " + strconv.Quote(x.to.Name) + " are busy, and too many requests wait for them"
	case accesslog.QueueTimeout:
		return "All servers of pool " + strconv.Quote(x.to.Name) + " are busy"
	case accesslog.BreakerOpen:
		return "Too many requests to pool " + strconv.Quote(x.to.Name) + " have failed of late"
	case accesslog.RouteTimeout:
		return "The request took longer than it may"
	case accesslog.NoRoute:
		return "No route matches the request"
	}
	switch status {
	case statusBadGateway:
		return "The server could not be reached or did not answer properly"
	case statusGatewayTimeout:
		return "The server did not answer in time"
	}
	return http1.StatusText(status)
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
func (x *exchange) fail(f retry.Failure) after {
	a := retry.Decide(f, 0, nil) // it is decided that it is not sent again
	why := outcome.Reason(f.Cause, f.Phase)
	if a.Status == 0 {
		x.log(f.Cause)
		_ = x.client.Abort() // or it is closed already
		return closing
	}
	switch f.Cause {
	case retry.ClientSlow, retry.ClientBad, retry.ClientTooBig:
		return x.reply(reply{status: a.Status, reason: why, close: true})
	}
	return x.reply(reply{status: a.Status, reason: why})
}
