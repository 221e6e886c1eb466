package otlp

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tandemlb/tandem/proxy/trace"
)

// describe writes a span in a form that is easily compared.
func describe(s *tracepb.Span) string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		m[a.Key] = strings.TrimPrefix(strings.ReplaceAll(fmt.Sprint(a.Value.GetValue()), "}", ""), "&{")
		if _, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			m[a.Key] += " (number)"
		}
	}
	text := fmt.Sprintf("%s %s %x/%x %03x %d-%d %s\n", s.Name, s.Kind, s.SpanId, s.ParentSpanId, s.Flags, s.StartTimeUnixNano, s.EndTimeUnixNano, s.Status.GetCode())
	for _, key := range slices.Sorted(maps.Keys(m)) {
		text += key + "=" + m[key] + "\n"
	}
	return text
}

func TestEncode(t *testing.T) {
	at := func(ns int64) time.Time { return time.Unix(1, ns) }
	address := netip.MustParseAddrPort("[fe80::1%eth0]:8080")
	r := &trace.Record{
		Context: trace.Context{Trace: trace.ID{15: 9}, Span: trace.SpanID{7: 1}, Flags: trace.Sampled}, Parent: trace.SpanID{7: 8},
		Start: at(0), End: at(100), Listener: "shop", Route: 2, Pool: "web", Server: "big", Retries: 1,
		Request: trace.Request{
			Method: []byte("BREW"), Host: []byte("a\xffb"), Path: []byte("/p"), Secure: true,
			Client: netip.MustParseAddr("2001:db8::1"), Peer: netip.MustParseAddrPort("192.0.2.1:1234"),
		},
		Result: trace.Result{Status: 200, Reason: "server_reset", Failed: true},
		Spans: []trace.Span{
			{ID: trace.SpanID{7: 2}, Parent: trace.SpanID{7: 1}, Kind: trace.Queue, Start: at(1), End: at(2), Result: trace.Result{Reason: "ok"}},
			{ID: trace.SpanID{7: 3}, Parent: trace.SpanID{7: 1}, Kind: trace.Attempt, Start: at(3), End: at(99), Server: "big", Address: address, Number: 2,
				Result: trace.Result{Status: 503, Reason: "ok", Failed: true}},
			{ID: trace.SpanID{7: 4}, Parent: trace.SpanID{7: 3}, Kind: trace.Connect, Start: at(4), End: at(5), Server: "big", Address: address,
				Result: trace.Result{Reason: "ok"}},
		},
	}
	m, n := encode([]*trace.Record{r}, Resource{Instance: "lb1"}), spansOf([]*trace.Record{r})
	if _, err := proto.Marshal(m); err != nil {
		t.Fatal(err)
	}
	spans := m.ResourceSpans[0].ScopeSpans[0].Spans
	if n != len(spans) {
		t.Errorf("%d spans are said to be %d", len(spans), n)
	}
	var got []string
	for _, s := range spans {
		if fmt.Sprintf("%x", s.TraceId) != "00000000000000000000000000000009" {
			t.Errorf("span %s is of trace %x", s.Name, s.TraceId)
		}
		got = append(got, describe(s))
	}
	want := []string{`HTTP SPAN_KIND_SERVER 0000000000000001/0000000000000008 301 1000000000-1000000100 STATUS_CODE_ERROR
client.address=2001:db8::1
error.type=server_reset
http.request.method=_OTHER
http.request.method_original=BREW
http.response.status_code=200 (number)
network.peer.address=192.0.2.1
network.peer.port=1234 (number)
network.protocol.version=1.0
server.address=a` + "\uFFFD" + `b
tandem.listener=shop
tandem.pool=web
tandem.reason=server_reset
tandem.retries=1 (number)
tandem.route=2 (number)
tandem.server=big
url.path=/p
url.scheme=https
`, `queue SPAN_KIND_INTERNAL 0000000000000002/0000000000000001 101 1000000001-1000000002 STATUS_CODE_UNSET
tandem.pool=web
tandem.reason=ok
`, `HTTP SPAN_KIND_CLIENT 0000000000000003/0000000000000001 101 1000000003-1000000099 STATUS_CODE_ERROR
error.type=503
http.request.method=_OTHER
http.request.method_original=BREW
http.request.resend_count=1 (number)
http.response.status_code=503 (number)
network.peer.address=fe80::1
network.peer.port=8080 (number)
server.address=fe80::1
server.port=8080 (number)
tandem.pool=web
tandem.reason=ok
tandem.server=big
`, `connect SPAN_KIND_INTERNAL 0000000000000004/0000000000000003 101 1000000004-1000000005 STATUS_CODE_UNSET
network.peer.address=fe80::1
network.peer.port=8080 (number)
tandem.reason=ok
tandem.server=big
`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	var names []string
	for _, a := range m.ResourceSpans[0].Resource.Attributes {
		names = append(names, a.Key+"="+a.Value.GetStringValue())
	}
	if diff := cmp.Diff([]string{"service.name=tandem", "service.instance.id=lb1"}, names); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
}

// The name of a span is one of few, whatever a client sends.
func TestNamesAreFew(t *testing.T) {
	for method, want := range map[string]string{"GET": "GET", "QUERY": "QUERY", "get": "HTTP", "": "HTTP", "BREW": "HTTP"} {
		if got := methodOf(method); got != want {
			t.Errorf("method %q: %q, want %q", method, got, want)
		}
	}
}
