package otlp

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/tandemlb/tandem/proxy/trace"
)

// service is the name that traces show for a node.
const service = "tandem"

// Resource says whose spans are sent.
type Resource struct {
	Instance string // name of the node; empty: it has none
	Version  string
}

func (r Resource) message() *resourcepb.Resource {
	a := attributes{}
	a.text("service.name", service)
	a.text("service.instance.id", r.Instance)
	a.text("service.version", r.Version)
	return &resourcepb.Resource{Attributes: a}
}

// spansOf returns how many spans encode makes of records.
func spansOf(records []*trace.Record) (n int) {
	for _, r := range records {
		n += 1 + len(r.Spans)
	}
	return n
}

// encode returns the spans of records as a receiver takes them.
func encode(records []*trace.Record, of Resource) *collectorpb.ExportTraceServiceRequest {
	spans := make([]*tracepb.Span, 0, spansOf(records))
	for _, r := range records {
		spans = append(spans, requestSpan(r))
		for i := range r.Spans {
			spans = append(spans, partSpan(r, &r.Spans[i]))
		}
	}
	scope := &commonpb.InstrumentationScope{Name: service, Version: of.Version}
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: of.message(), ScopeSpans: []*tracepb.ScopeSpans{{Scope: scope, Spans: spans}},
	}}}
}

// requestSpan is the span of a request as it was to the client.
func requestSpan(r *trace.Record) *tracepb.Span {
	q := &r.Request
	method := string(q.Method)
	s := newSpan(r, r.Span, r.Parent, methodOf(method), tracepb.Span_SPAN_KIND_SERVER)
	if r.Parent != (trace.SpanID{}) {
		s.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	s.StartTimeUnixNano, s.EndTimeUnixNano = at(r, r.Start), at(r, r.End)
	a := make(attributes, 0, 20)
	a.method(method)
	a.text("url.scheme", scheme(q.Secure))
	a.text("url.path", string(q.Path))
	a.text("server.address", string(q.Host))
	if q.Client.IsValid() {
		a.text("client.address", q.Client.WithZone("").String())
	}
	a.peer(q.Peer)
	a.text("network.protocol.version", "1."+strconv.Itoa(int(q.Minor)))
	a.text("tandem.listener", r.Listener)
	a.number("tandem.route", r.Route)
	a.text("tandem.pool", r.Pool)
	a.text("tandem.server", r.Server)
	a.number("tandem.retries", r.Retries)
	a.result(r.Result)
	s.Attributes, s.Status = a, status(r.Failed)
	return s
}

// partSpan is a span below that of a request.
func partSpan(r *trace.Record, p *trace.Span) *tracepb.Span {
	s := newSpan(r, p.ID, p.Parent, "", tracepb.Span_SPAN_KIND_INTERNAL)
	s.StartTimeUnixNano, s.EndTimeUnixNano = at(r, p.Start), at(r, p.End)
	a := make(attributes, 0, 12)
	switch p.Kind {
	case trace.Queue:
		s.Name = "queue"
		a.text("tandem.pool", r.Pool)
	case trace.Connect:
		s.Name = "connect"
		a.peer(p.Address)
		a.text("tandem.server", p.Server)
	case trace.Attempt:
		method := string(r.Request.Method)
		s.Name, s.Kind = methodOf(method), tracepb.Span_SPAN_KIND_CLIENT
		a.method(method)
		a.text("server.address", p.Address.Addr().WithZone("").String())
		a.number("server.port", int(p.Address.Port()))
		a.peer(p.Address)
		a.text("tandem.pool", r.Pool)
		a.text("tandem.server", p.Server)
		a.number("http.request.resend_count", p.Number-1)
	}
	a.result(p.Result)
	s.Attributes, s.Status = a, status(p.Failed)
	return s
}

func newSpan(r *trace.Record, id, parent trace.SpanID, name string, kind tracepb.Span_SpanKind) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: slices.Clone(r.Trace[:]), SpanId: id[:], Name: name, Kind: kind,
		Flags: uint32(r.Flags) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK),
	}
	if parent != (trace.SpanID{}) {
		s.ParentSpanId = parent[:]
	}
	return s
}

// at returns t in nanoseconds since the epoch. It counts from the start of the request,
// so that a clock that is set meanwhile tears nothing apart.
func at(r *trace.Record, t time.Time) uint64 {
	return uint64(r.Start.UnixNano() + int64(t.Sub(r.Start)))
}

func status(failed bool) *tracepb.Status {
	if failed {
		return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	return nil
}

func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}

// methods are those that have a meaning; any other could be the text of an attacker,
// and each would be a name of its own.
var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}

// methodOf returns the name of a span for a request.
func methodOf(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "HTTP"
}

// attributes are those of a span, named by the semantic conventions of OpenTelemetry.
type attributes []*commonpb.KeyValue

// text adds a text that is not empty.
func (a *attributes) text(key, value string) {
	if value != "" {
		v := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}}
		*a = append(*a, &commonpb.KeyValue{Key: key, Value: v})
	}
}

// number adds a number that is not zero.
func (a *attributes) number(key string, value int) {
	if value != 0 {
		v := &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(value)}}
		*a = append(*a, &commonpb.KeyValue{Key: key, Value: v})
	}
}

func (a *attributes) method(method string) {
	if slices.Contains(methods, method) {
		a.text("http.request.method", method)
		return
	}
	a.text("http.request.method", "_OTHER")
	a.text("http.request.method_original", method)
}

func (a *attributes) peer(p netip.AddrPort) {
	if p.IsValid() {
		a.text("network.peer.address", p.Addr().WithZone("").String())
		a.number("network.peer.port", int(p.Port()))
	}
}

// result adds how something ended.
func (a *attributes) result(r trace.Result) {
	a.number("http.response.status_code", r.Status)
	a.text("tandem.reason", r.Reason)
	switch {
	case r.Failed && r.Status >= 500:
		a.text("error.type", strconv.Itoa(r.Status))
	case r.Failed:
		a.text("error.type", r.Reason)
	}
}
