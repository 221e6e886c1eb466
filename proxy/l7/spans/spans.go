// Package spans notes of a request what is recorded for its trace, and tells the server
// which trace it belongs to.
package spans

import (
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/outcome"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/trace"
)

// Request is the place of a request in a trace. The zero Request is in none. What notes
// something does nothing while the request is not recorded.
type Request struct {
	parent trace.Context // that the client sent; zero: none that is valid
	record *trace.Record // nil: the request is not recorded
	drop   http1.Set     // what the client said of the trace and the server does not get
}

const fields = http1.Set(1<<http1.Traceparent | 1<<http1.Tracestate)

// Begin finds out which trace the request m belongs to, that began at start, and whether
// it is recorded. Who is trusted has every request recorded that it says is; others some.
// Without tracing in the config the fields pass as they are, between the client and the
// server. b may be nil.
func (r *Request) Begin(b *trace.Buffer, m *http1.Request, trusted bool, start time.Time) {
	if m.Has(http1.Traceparent) {
		r.parent = parent(m)
	}
	if b == nil || !b.On() {
		return
	}
	if trusted {
		r.record = b.Begin(r.parent, start)
	} else {
		r.record = b.BeginForStranger(r.parent, start)
	}
	switch {
	case !r.parent.Valid():
		r.drop = fields // there is no trace that they could belong to
	case r.record == nil: // who takes no part in a trace does not change its fields
	case m.Has(http1.Tracestate) && !stateIsValid(m):
		r.drop = fields
	default:
		r.drop = http1.SetOf(http1.Traceparent)
	}
}

// parent returns what the field traceparent of m says, if there is one only.
func parent(m *http1.Request) (found trace.Context) {
	seen := false
	for _, f := range m.Fields() {
		if f.Known != http1.Traceparent {
			continue
		}
		if seen {
			return trace.Context{}
		}
		seen = true
		found, _ = trace.Parse(m.Bytes(f.Value))
	}
	return found
}

// stateIsValid reports whether the fields tracestate of m may be passed on.
func stateIsValid(m *http1.Request) bool {
	var s trace.State
	for _, f := range m.Fields() {
		if f.Known == http1.Tracestate && !s.Take(m.Bytes(f.Value)) {
			return false
		}
	}
	return true
}

// Propagate puts into e what the server is told of the trace.
func (r *Request) Propagate(e *http1.Edit) {
	e.Drop |= r.drop
	if r.record != nil {
		e.Lines = append(r.record.Outgoing().Append(append(e.Lines, "traceparent: "...)), "\r\n"...)
	}
}

// Recorded reports whether the request is recorded.
func (r *Request) Recorded() bool { return r.record != nil }

// AppendTrace appends the ID of the trace that the request belongs to, if it does.
func (r *Request) AppendTrace(dst []byte) []byte {
	switch {
	case r.record != nil:
		return hex.AppendEncode(dst, r.record.Trace[:])
	case r.parent.Valid():
		return hex.AppendEncode(dst, r.parent.Trace[:])
	}
	return dst
}

// Queued notes that the request waited for a server from began until now, when that
// ended for c.
func (r *Request) Queued(began, now time.Time, c retry.Cause) {
	if r.record != nil {
		r.record.Add(trace.Span{Kind: trace.Queue, Start: began, End: now, Result: result(outcome.Reason(c, retry.Pick), 0)})
	}
}

// Attempt notes that the n-th attempt begins now, counted from 1.
func (r *Request) Attempt(n int, server string, address netip.AddrPort, now time.Time) {
	if r.record != nil {
		r.record.Begin(trace.Span{Start: now, Server: server, Address: address, Number: n})
	}
}

// Connected notes that the attempt has connected, or tried to, from began until now.
func (r *Request) Connected(began, now time.Time, c retry.Cause) {
	if r.record != nil {
		r.record.Add(trace.Span{Kind: trace.Connect, Start: began, End: now, Result: result(outcome.Reason(c, retry.Connect), 0)})
	}
}

// Failed notes that the attempt has failed.
func (r *Request) Failed(f *retry.Failure, now time.Time) {
	if r.record != nil {
		r.record.Finish(now, result(outcome.Reason(f.Cause, f.Phase), f.Status))
	}
}

// Asked is what the client asked, beside what is logged of it.
type Asked struct {
	Message *http1.Request
	Peer    netip.AddrPort // who sent it to us
	HTTPS   bool           // the client spoke TLS
	// Passed says that the response is that of the server.
	Passed bool
}

// End hands the record to b, if there is one. e is what is logged of the request.
func (r *Request) End(b *trace.Buffer, e *accesslog.Entry, a Asked) {
	s := r.record
	if s == nil {
		return
	}
	r.record = nil
	s.End = e.Start.Add(e.Latency)
	status := 0
	if a.Passed {
		status = e.Response.Status
	}
	s.Finish(s.End, result(e.Reason, status))
	s.Ask(trace.Request{
		Method: e.Request.Method, Host: e.Request.Host, Path: a.Message.Path(), Minor: a.Message.Minor, Secure: a.HTTPS,
		Client: e.Request.Client, Peer: a.Peer,
	})
	s.Listener, s.Route, s.Pool = e.Listener, e.Route, e.Upstream.Pool
	s.Server, s.Retries = e.Upstream.Server, e.Upstream.Retries
	s.Result = result(e.Reason, e.Response.Status)
	b.End(s)
}

// result is what is recorded of a part that ended for why, with a response of status.
func result(why accesslog.Reason, status int) trace.Result {
	return trace.Result{Status: status, Reason: string(why), Failed: why.Failure() || status >= 500}
}
