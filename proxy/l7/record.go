package l7

import (
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/retry"
)

// record is what is told of an exchange when it is over.
type record struct {
	start     time.Time // when the first byte of the request was there
	connect   time.Duration
	firstByte time.Duration
	status    int
	sent      int64 // bytes of the response's body
	traced    bool  // it is known where the request came from
}

// begin starts the books on a request. Those on the one before, which may have been
// another client's, are closed.
func (x *exchange) begin(start time.Time) {
	x.record = record{start: start}
	x.server.retryDone(x.to)
	x.server.begin()
	if !x.deadline.IsZero() { // the last request has left one
		_ = x.client.SetWriteDeadline(time.Time{}) // open, or the next write tells
	}
	x.course = course{}
	x.body.received = 0
}

// log closes the books on an exchange that ended for c.
func (x *exchange) log(c retry.Cause) {
	r := &x.record
	if c == retry.ClientGone && r.status == 0 {
		r.status = statusClientGone
	}
	x.tell(reasonOf(c, x.phase))
}

// tell writes the request into the access log.
func (x *exchange) tell(why accesslog.Reason) {
	if x.access == nil || !x.conf.Log.Access {
		return
	}
	r := &x.record
	e := accesslog.Entry{
		Start: r.start, Latency: x.loop.Now().Sub(r.start), Listener: x.conf.Listener.Name, Reason: why,
		Request: accesslog.Request{
			Client: frontend.ClientOf(x.client).Addr(), Method: x.req.MethodText(), Host: x.req.HostName(), Path: x.req.RawTarget(), Bytes: x.body.received,
		},
		Response: accesslog.Response{Status: r.status, Bytes: r.sent},
		Upstream: accesslog.Upstream{Connect: r.connect, FirstByte: r.firstByte, Queued: x.queued},
	}
	if x.route != nil {
		e.Route = x.route.Number
	}
	if x.to != nil {
		e.Upstream.Pool = x.to.Name
	}
	if r.traced {
		e.Request.Client, e.Request.CorrelationID = x.origin.Client(), x.origin.ID()
		if x.conf.Log.Tenant != "" {
			e.Request.TenantID, _ = x.req.Lookup(x.conf.Log.Tenant)
		}
	}
	if n := len(x.server.tried); n > 0 {
		e.Upstream.Server, e.Upstream.Retries = x.to.Link(x.server.tried[n-1]).Name, max(x.server.attempts-1, 0)
	}
	x.access.Append(&e)
}

// reasonOf names what a cause in a phase means.
func reasonOf(c retry.Cause, p retry.Phase) accesslog.Reason {
	switch c {
	case retry.None:
		return accesslog.OK
	case retry.ServerBroke:
		if p <= retry.Connect {
			return accesslog.ServerConnect
		}
		return accesslog.ServerReset
	case retry.ServerLate:
		return accesslog.ServerTimeout
	case retry.ServerBad:
		return accesslog.ServerBadResponse
	case retry.ServerStatus:
		return accesslog.OK // it is passed on
	case retry.QueueFull:
		return accesslog.QueueFull
	case retry.QueueTimeout:
		return accesslog.QueueTimeout
	case retry.BreakerOpen:
		return accesslog.BreakerOpen
	case retry.RouteLate:
		return accesslog.RouteTimeout
	case retry.Drained:
		return accesslog.ServerDrained
	case retry.NoServer:
		return accesslog.NoServer
	case retry.ClientGone:
		return accesslog.ClientAbort
	case retry.ClientSlow:
		if p == retry.Stream {
			return accesslog.ClientSlowRead
		}
		return accesslog.ClientTimeoutBody
	case retry.ClientBad, retry.ClientTooBig:
		return accesslog.ClientError
	case retry.ShutDown:
		return accesslog.Shutdown
	}
	return accesslog.Internal
}

// refused counts what a client sent and is not carried, and shows it to who looks
// closely.
func (p *Proxy) refused(x *exchange, err error) {
	p.Refuse(string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "request refused"); c != nil {
		c.Write(zap.Stringer("client", frontend.ClientOf(x.client)), zap.Error(err), excerpt(x.in.b[:x.in.w]))
	}
}

// badResponse counts what a server sent and is not carried.
func (p *Proxy) badResponse(x *exchange, err error) {
	p.Refuse("response_" + string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "response refused"); c != nil {
		c.Write(zap.Stringer("server", x.server.conn.Link.Server.Address()), zap.Error(err), excerpt(x.back.b[:x.back.w]))
	}
}

// excerpt is as much of a message as a log can bear.
func excerpt(b []byte) zap.Field {
	const most = 512
	return zap.ByteString("bytes", b[:min(len(b), most)])
}
