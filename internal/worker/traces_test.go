package worker

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// receiver takes traces, as OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	owner string // service.name, service.instance.id and service.version of the newest
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := r.take(q); err != nil {
			t.Error(err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(q *http.Request) error {
	if q.Method != "POST" || q.URL.Path != "/v1/traces" || q.Header.Get("Content-Type") != "application/x-protobuf" || q.Header.Get("Content-Encoding") != "gzip" {
		return fmt.Errorf("%s %s with %v", q.Method, q.URL, q.Header)
	}
	z, err := gzip.NewReader(q.Body)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	var m collectorpb.ExportTraceServiceRequest
	if err := (proto.UnmarshalOptions{}).Unmarshal(text, &m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range m.ResourceSpans {
		a := attributes(of.Resource.Attributes)
		r.owner = a["service.name"] + " " + a["service.instance.id"] + " " + a["service.version"]
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	return nil
}

// got waits for n spans, and returns them: each behind the one above it, and those of
// one in the order in which they began.
func (r *receiver) got(t *testing.T, n int) []*tracepb.Span {
	t.Helper()
	eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.spans) >= n
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*tracepb.Span
	var walk func(parent []byte)
	walk = func(parent []byte) {
		var below []*tracepb.Span
		for _, s := range r.spans {
			if bytes.Equal(s.ParentSpanId, parent) {
				below = append(below, s)
			}
		}
		slices.SortStableFunc(below, func(a, b *tracepb.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
		for _, s := range below {
			all = append(all, s)
			walk(s.SpanId)
		}
	}
	for _, s := range r.spans {
		if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
			all = append(all, s)
			walk(s.SpanId)
		}
	}
	if len(r.spans) != n || len(all) != n {
		t.Fatalf("%d spans came, %d of them belong to a request; want %d: %v", len(r.spans), len(all), n, r.spans)
	}
	return all
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		if n, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			m[a.Key] = fmt.Sprint(n.IntValue)
		} else {
			m[a.Key] = a.Value.GetStringValue()
		}
	}
	return m
}

// traced is a worker that records every request, and sends it to a receiver.
type traced struct {
	*supervisor
	*receiver
	bind netip.AddrPort
	spec proxy.Spec
}

func startTraced(t *testing.T, p proxy.Pool) *traced {
	t.Helper()
	w := &traced{supervisor: startWorker(t), receiver: startReceiver(t)}
	w.bind = w.supervisor.bind(t, "shop")
	w.spec = proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("shop", proxy.HTTP, p.Name, w.bind)}, Pools: pools(p),
		Tracing: proxy.Tracing{OTLP: w.URL, Sample: 1},
	}
	if err := w.configure(t, ipc.WorkerConfig{Spec: w.spec, Node: "lb1", Version: "1.2.3"}); err != "" {
		t.Fatal(err)
	}
	return w
}

// request sends a request with fields, and returns the status of its response.
func (w *traced) request(t *testing.T, fields string) int {
	t.Helper()
	c := connect(t, w.bind)
	io.WriteString(c, "GET /cart?secret=1 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n"+fields+"\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// tells answers and tells what it was asked with.
func tells(t *testing.T) (netip.AddrPort, <-chan http.Header) {
	asked := make(chan http.Header, 16)
	return web(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header }), asked
}

const (
	traceOfClient = "0af7651916cd43dd8448eb211c80319c"
	spanOfClient  = "b7ad6b7169203331"
)

// checkTree checks that each span lies within the one above it.
func checkTree(t *testing.T, spans []*tracepb.Span) {
	t.Helper()
	byID := map[string]*tracepb.Span{}
	for _, s := range spans {
		byID[string(s.SpanId)] = s
		if s.StartTimeUnixNano > s.EndTimeUnixNano || time.Since(time.Unix(0, int64(s.StartTimeUnixNano))).Abs() > time.Minute {
			t.Errorf("span %s from %d to %d", s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano)
		}
		if above := byID[string(s.ParentSpanId)]; above != nil && (s.StartTimeUnixNano < above.StartTimeUnixNano || s.EndTimeUnixNano > above.EndTimeUnixNano) {
			t.Errorf("span %s is not within %s", s.Name, above.Name)
		}
		if !bytes.Equal(s.TraceId, spans[0].TraceId) {
			t.Errorf("span %s is of another trace", s.Name)
		}
	}
	if len(byID) != len(spans) {
		t.Errorf("%d IDs for %d spans", len(byID), len(spans))
	}
}

func failed(s *tracepb.Span) bool { return s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR }

// has checks some of the attributes of a span; "" stands for one that is not there.
func has(t *testing.T, s *tracepb.Span, want map[string]string) {
	t.Helper()
	got := attributes(s.Attributes)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s of span %s = %q, want %q", key, s.Name, got[key], value)
		}
	}
}

func TestTraceWithARetry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	good, asked := tells(t)
	p := newSpecPool("web", refusing, good)
	p.Servers[1].Backup = true
	p.Retry = proxy.Retry{Attempts: 1, On: []proxy.RetryOn{proxy.RetryConnect}, Budget: 1}
	w := startTraced(t, p)
	if got := w.request(t, "traceparent: 00-"+traceOfClient+"-"+spanOfClient+"-01\r\ntracestate: a=1,b=2\r\n"); got != 200 {
		t.Fatalf("status %d", got)
	}

	spans := w.got(t, 5)
	checkTree(t, spans)
	var shape []string
	for _, s := range spans {
		shape = append(shape, fmt.Sprintf("%s %s %v", s.Name, strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), failed(s)))
	}
	want := []string{"GET SERVER false", "GET CLIENT true", "connect INTERNAL true", "GET CLIENT false", "connect INTERNAL false"}
	if !slices.Equal(shape, want) {
		t.Errorf("spans %q, want %q", shape, want)
	}
	if got := fmt.Sprintf("%x %x", spans[0].TraceId, spans[0].ParentSpanId); got != traceOfClient+" "+spanOfClient {
		t.Errorf("the request's span is in %s", got)
	}
	for i, above := range map[int]int{1: 0, 2: 1, 3: 0, 4: 3} {
		if !bytes.Equal(spans[i].ParentSpanId, spans[above].SpanId) {
			t.Errorf("span %d is not below span %d", i, above)
		}
	}
	has(t, spans[0], map[string]string{
		"http.request.method": "GET", "url.path": "/cart", "url.query": "", "url.scheme": "http", "server.address": "shop.example", "client.address": "127.0.0.1",
		"network.peer.address": "127.0.0.1", "network.protocol.version": "1.1", "http.response.status_code": "200", "tandem.listener": "shop", "tandem.route": "1",
		"tandem.pool": "web", "tandem.server": good.String(), "tandem.retries": "1", "tandem.reason": "ok", "error.type": "",
	})
	has(t, spans[1], map[string]string{"tandem.server": refusing.String(), "error.type": "server_connect", "http.request.resend_count": ""})
	has(t, spans[2], map[string]string{"network.peer.port": fmt.Sprint(refusing.Port()), "tandem.reason": "server_connect"})
	has(t, spans[3], map[string]string{
		"tandem.server": good.String(), "server.port": fmt.Sprint(good.Port()), "http.request.resend_count": "1", "http.response.status_code": "200", "error.type": "",
	})
	if w.owner != "tandem lb1 1.2.3" {
		t.Errorf("the spans are of %q", w.owner)
	}

	got := await(t, asked)
	if parent, want := got.Values("traceparent"), fmt.Sprintf("00-%s-%x-01", traceOfClient, spans[3].SpanId); len(parent) != 1 || parent[0] != want {
		t.Errorf("the server was sent traceparent %q, want %q", parent, want)
	}
	if state := got.Values("tracestate"); len(state) != 1 || state[0] != "a=1,b=2" {
		t.Errorf("the server was sent tracestate %q", state)
	}
	w.until(t, func(st ipc.WorkerState) bool {
		return st.Traces == ipc.Traces{Receiver: w.URL, Sent: 5}
	})
}

func TestTraceWithAQueue(t *testing.T) {
	holdC := make(chan struct{})
	var asked atomic.Int64
	server := web(t, func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			select {
			case <-holdC:
			case <-r.Context().Done():
			}
		}
	})
	p := newSpecPool("web", server)
	p.Limits = proxy.PoolLimits{Connections: 1, Queue: 1, QueueTimeout: time.Hour}
	w := startTraced(t, p)
	first, second := make(chan int, 1), make(chan int, 1)
	go func() { first <- w.request(t, "") }()
	eventually(t, func() bool { return asked.Load() == 1 })
	go func() { second <- w.request(t, "") }()
	w.until(t, func(st ipc.WorkerState) bool { return st.Pools[0].Waiting == 1 })
	if got := w.request(t, ""); got != 503 {
		t.Errorf("status %d with a full queue, want 503", got)
	}
	close(holdC)
	if a, b := await(t, first), await(t, second); a != 200 || b != 200 {
		t.Errorf("status %d and %d", a, b)
	}
	var requests [][]*tracepb.Span
	for _, s := range w.got(t, 3+4+1) {
		if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
			requests = append(requests, nil)
		}
		last := len(requests) - 1
		requests[last] = append(requests[last], s)
	}
	queued := 0
	for _, spans := range requests {
		checkTree(t, spans)
		if len(spans[0].ParentSpanId) != 0 {
			t.Error("a trace that begins here has a span above")
		}
		for _, s := range spans {
			if s.Name == "queue" {
				queued++
				has(t, s, map[string]string{"tandem.pool": "web", "tandem.reason": "ok"})
			}
		}
		if len(spans) == 1 {
			has(t, spans[0], map[string]string{"http.response.status_code": "503", "error.type": "503", "tandem.reason": "queue_full"})
			if !failed(spans[0]) {
				t.Error("a request that was turned away is no error")
			}
		}
	}
	if queued != 1 {
		t.Errorf("%d spans of a queue, want 1", queued)
	}
}

// What is not recorded is not sent, and a reload changes both where to and how many.
func TestTracesFollowTheConfig(t *testing.T) {
	server, asked := tells(t)
	w := startTraced(t, newSpecPool("web", server))
	w.request(t, "")
	w.got(t, 3)
	await(t, asked)

	t.Log("# only what belongs to a trace that is recorded, and to another receiver")
	other := startReceiver(t)
	w.spec.Tracing = proxy.Tracing{OTLP: other.URL, Sample: 0}
	w.mustApply(t, w.spec)
	unsampled := "00-" + traceOfClient + "-" + spanOfClient + "-00"
	for _, tt := range []struct{ sent, want string }{{"", ""}, {"traceparent: " + unsampled + "\r\n", unsampled}} {
		w.request(t, tt.sent)
		if got := await(t, asked).Get("traceparent"); got != tt.want {
			t.Errorf("with %q the server was sent %q, want %q", tt.sent, got, tt.want)
		}
	}
	w.request(t, "traceparent: 00-"+traceOfClient+"-"+spanOfClient+"-01\r\n")
	await(t, asked)
	other.got(t, 3)

	t.Log("# nothing")
	w.spec.Tracing = proxy.Tracing{}
	w.mustApply(t, w.spec)
	sampled := "00-" + traceOfClient + "-" + spanOfClient + "-01"
	w.request(t, "traceparent: "+sampled+"\r\n")
	if got := await(t, asked).Get("traceparent"); got != sampled {
		t.Errorf("the server was sent %q, want what the client sent", got)
	}
	w.until(t, func(st ipc.WorkerState) bool { return st.Traces == ipc.Traces{Sent: 6} })
}

// A receiver that hangs stops neither requests nor the end of the worker.
func TestReceiverHangs(t *testing.T) {
	server, asked := tells(t)
	w := startTraced(t, newSpecPool("web", server))
	calledC, freeC := make(chan struct{}, 16), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calledC <- struct{}{}
		<-freeC
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(freeC) })
	w.spec.Tracing.OTLP = hanging.URL
	w.mustApply(t, w.spec)
	for n := range 3 {
		if got := w.request(t, ""); got != 200 {
			t.Errorf("status %d", got)
		}
		await(t, asked)
		if n == 0 {
			await(t, calledC)
		}
	}
	w.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
	w.ended(t)
}

// What was recorded just before the worker ends is sent.
func TestTracesAreSentAtTheEnd(t *testing.T) {
	server, _ := tells(t)
	w := startTraced(t, newSpecPool("web", server))
	w.request(t, "")
	w.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
	w.ended(t)
	w.got(t, 3)
}
