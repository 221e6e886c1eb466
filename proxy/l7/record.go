package l7

import (
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/http1"
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
	x.server.begin()
	x.body.received = 0
}

// log closes the books on an exchange that ended for c.
func (x *exchange) log(c cause) {
	r := &x.record
	if c == clientGone && r.status == 0 {
		r.status = statusClientGone
	}
	x.tell(reasonOf(c, x.phase))
}

// tell writes the request into the access log.
func (x *exchange) tell(why accesslog.Reason) {
	if x.access == nil || !x.conf.Log.Access {
		return
	}
	r, b := &x.record, x.conf.Backend
	e := accesslog.Entry{
		Start: r.start, Latency: x.loop.Now().Sub(r.start), Listener: x.conf.Listener.Name, Reason: why,
		Request: accesslog.Request{
			Client: x.client.RemoteAddrPort().Addr(), Method: x.req.MethodText(), Host: x.req.HostName(), Path: x.req.RawTarget(), Bytes: x.body.received,
		},
		Response: accesslog.Response{Status: r.status, Bytes: r.sent},
		Upstream: accesslog.Upstream{Pool: b.name, Connect: r.connect, FirstByte: r.firstByte},
	}
	if r.traced {
		e.Request.Client, e.Request.CorrelationID = x.origin.Client(), x.origin.ID()
		if x.conf.Log.Tenant != "" {
			e.Request.TenantID, _ = x.req.Lookup(x.conf.Log.Tenant)
		}
	}
	if n := len(x.server.tried); n > 0 {
		e.Upstream.Server, e.Upstream.Retries = b.links[x.server.tried[n-1]].name, x.server.attempts-1
	}
	x.access.Append(&e)
}

// reasonOf names what a cause in a phase means.
func reasonOf(c cause, p phase) accesslog.Reason {
	switch c {
	case noCause:
		return accesslog.OK
	case serverBroke:
		if p <= connect {
			return accesslog.ServerConnect
		}
		return accesslog.ServerReset
	case serverLate:
		return accesslog.ServerTimeout
	case serverBad:
		return accesslog.ServerBadResponse
	case noServer:
		return accesslog.NoServer
	case clientGone:
		return accesslog.ClientAbort
	case clientSlow:
		if p == stream {
			return accesslog.ClientSlowRead
		}
		return accesslog.ClientTimeoutBody
	case clientBad, clientTooBig:
		return accesslog.ClientError
	case shutDown:
		return accesslog.Shutdown
	}
	return accesslog.Internal
}

// refused counts what a client sent and is not carried, and shows it to who looks
// closely.
func (p *Proxy) refused(x *exchange, err error) {
	p.Refuse(string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "request refused"); c != nil {
		c.Write(zap.Stringer("client", x.client.RemoteAddrPort()), zap.Error(err), excerpt(x.in.b[:x.in.w]))
	}
}

// badResponse counts what a server sent and is not carried.
func (p *Proxy) badResponse(x *exchange, err error) {
	p.Refuse("response_" + string(http1.ReasonOf(err)))
	if c := p.log.Check(zap.DebugLevel, "response refused"); c != nil {
		c.Write(zap.Stringer("server", x.server.conn.link.server.Address()), zap.Error(err), excerpt(x.back.b[:x.back.w]))
	}
}

// excerpt is as much of a message as a log can bear.
func excerpt(b []byte) zap.Field {
	const most = 512
	return zap.ByteString("bytes", b[:min(len(b), most)])
}

// statusText is what a client is told in the body of a status of our own.
func statusText(status int, pool string) string {
	switch status {
	case statusServiceUnavailable:
		return "No healthy server in pool \"" + pool + "\""
	case statusBadGateway:
		return "The server could not be reached or did not answer properly"
	case statusGatewayTimeout:
		return "The server did not answer in time"
	}
	return http1.StatusText(status)
}
