package l7

import (
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/ledger"
	"github.com/tandemlb/tandem/proxy/l7/outcome"
	"github.com/tandemlb/tandem/proxy/l7/spans"
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
	books     ledger.Entry
	span      spans.Request
}

// begin starts the books on a request. Those on the one before, which may have been
// another client's, are closed.
func (x *exchange) begin(start time.Time) {
	x.record = record{start: start, books: x.conf.pages.Open(x.loop.ID())}
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
	x.tell(outcome.Reason(c, x.phase))
}

// tell writes the request into the books, and into the access log, and ends what is
// recorded of it.
func (x *exchange) tell(why accesslog.Reason) {
	r := &x.record
	took := x.loop.Now().Sub(r.start)
	r.books.Close(ledger.End{Took: took, FirstByte: r.firstByte, Status: r.status, In: x.body.received, Out: r.sent, Reason: why})
	logged := x.access != nil && x.conf.Log.Access
	if !logged && !r.span.Recorded() {
		return
	}
	e := accesslog.Entry{
		Start: r.start, Latency: took, Listener: x.conf.Listener.Name, Reason: why,
		Request: accesslog.Request{
			Client: frontend.ClientOf(x.client.Conn).Addr(), Method: x.req.MethodText(), Host: x.req.HostName(), Path: x.req.RawTarget(), Bytes: x.body.received,
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
	e.Upstream.Server, e.Upstream.Retries = x.server.name, max(x.server.attempts-1, 0)
	if logged {
		e.Request.TraceID = r.span.AppendTrace(x.key[:0])
		x.access.Append(&e)
	}
	r.span.End(x.traces, &e, spans.Asked{
		Message: &x.req, Peer: frontend.ClientOf(x.client.Conn), HTTPS: x.origin.HTTPS(), Passed: x.phase == retry.Stream,
	})
}

// refused counts what a client sent and is not carried, and shows it to who looks
// closely.
func (p *Proxy) refused(x *exchange, err error) {
	p.Refuse(string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "request refused"); c != nil {
		c.Write(zap.Stringer("client", frontend.ClientOf(x.client.Conn)), zap.Error(err), excerpt(x.in.B[:x.in.W]))
	}
}

// badResponse counts what a server sent and is not carried.
func (p *Proxy) badResponse(x *exchange, err error) {
	p.Refuse("response_" + string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "response refused"); c != nil {
		c.Write(zap.Stringer("server", x.server.conn.Link.Server.Address()), zap.Error(err), excerpt(x.back.B[:x.back.W]))
	}
}

// excerpt is as much of a message as a log can bear.
func excerpt(b []byte) zap.Field {
	const most = 512
	return zap.ByteString("bytes", b[:min(len(b), most)])
}
