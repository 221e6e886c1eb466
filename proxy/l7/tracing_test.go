package l7

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/trace"
)

// recorded waits for n records.
func (r *running) recorded(t testing.TB, n int) []*trace.Record {
	t.Helper()
	var all []*trace.Record
	eventually(t, func() bool {
		all = r.tracer.Collect(all, 1000)
		return len(all) >= n
	})
	if len(all) != n {
		t.Fatalf("%d records, want %d", len(all), n)
	}
	return all
}

// However a request ends, it is recorded once, as it is logged; and what is known of
// the client from the beginning of its head on.
func TestRecordAgreesWithTheLog(t *testing.T) {
	unrecorded := []string{"malformed", "method that is not carried", "late head"} // it is not known where they come from
	for _, tt := range logRows() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, came := answering(t, tt.server)
			spec := generous()
			spec.Limits.BodyBytes = 1 << 20
			spec.Timeouts.Header, spec.Timeouts.BodyIdle = 300*time.Millisecond, 300*time.Millisecond
			r := startWith(t, spec, newPool(t, with(t, func(p *proxy.Pool) {
				if strings.HasSuffix(tt.server, "LATE") {
					p.Timeouts.Response, p.Timeouts.BodyIdle = 200*time.Millisecond, 200*time.Millisecond
				}
			}, address), nil))
			r.tracer.Configure(true, 1)
			c := r.dial(t)
			c.send(t, tt.sent)
			if tt.then != nil {
				<-came
				tt.then(t, c)
			} else {
				io.Copy(io.Discard, c.responseBody(t, tt.sent))
			}
			line := r.logged(t, 1)[0]
			if slices.Contains(unrecorded, tt.name) {
				if got := r.tracer.Collect(nil, 1); len(got) != 0 || line["traceId"] != nil {
					t.Errorf("%d records, and %v in the log", len(got), line["traceId"])
				}
				return
			}
			got := r.recorded(t, 1)[0]
			for key, value := range map[string]any{
				"traceId": fmt.Sprintf("%x", got.Trace), "reason": got.Reason, "status": float64(got.Status), "method": string(got.Request.Method),
				"host": string(got.Request.Host), "listener": got.Listener, "client": got.Request.Client.String(), "retries": float64(got.Retries),
			} {
				if line[key] != value {
					t.Errorf("%s: %v is logged, and %v recorded", key, line[key], value)
				}
			}
			if server, _ := line["server"].(string); server != got.Server {
				t.Errorf("server: %q is logged, and %q recorded", server, got.Server)
			}
			if path, _, _ := strings.Cut(line["path"].(string), "?"); string(got.Request.Path) != path {
				t.Errorf("path %q is recorded, want %q", got.Request.Path, path)
			}
			for _, s := range got.Spans {
				if s.End.Before(s.Start) || s.Start.Before(got.Start) || s.End.After(got.End) || s.Reason == "" {
					t.Errorf("span %+v of %s to %s", s, got.Start, got.End)
				}
				if s.Kind == trace.Attempt && s.Reason != got.Reason {
					t.Errorf("the attempt ended for %s, the request for %s", s.Reason, got.Reason)
				}
			}
			if asked := tt.want["server"] != nil || len(got.Spans) > 0; asked == (got.Server == "") {
				t.Errorf("spans %+v of server %q", got.Spans, got.Server)
			}
		})
	}
}

// One record is not mixed up with the next on the same connection.
func TestRecordsOfOneConnection(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	r.tracer.Configure(true, 0)
	c := r.dial(t)
	const sampled = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
	for _, fields := range []string{sampled, "", sampled} {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
		body(t, c.response(t, http.MethodGet))
		if got := rec.header()["Traceparent"]; (len(got) == 1) != (fields != "") {
			t.Errorf("with %q the server got %q", fields, got)
		}
	}
	lines := r.logged(t, 3)
	for i, want := range []any{"0af7651916cd43dd8448eb211c80319c", nil, "0af7651916cd43dd8448eb211c80319c"} {
		if got := lines[i]["traceId"]; got != want {
			t.Errorf("line %d has the trace %v, want %v", i, got, want)
		}
	}
	records := r.recorded(t, 2)
	var connects []int
	for _, got := range records {
		n := 0
		for _, s := range got.Spans {
			if s.Kind == trace.Connect {
				n++
			}
		}
		connects = append(connects, n)
	}
	if !slices.Equal(connects, []int{1, 0}) {
		t.Errorf("%v connects, want one for the first", connects)
	}
}
