package spans

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/trace"
)

// parse returns a request with fields, which end with a CRLF each.
func parse(t testing.TB, fields string) *http1.Request {
	t.Helper()
	text := "GET /p?q=1 HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"
	limits := http1.DefaultLimits()
	var m http1.Request
	m.Reset()
	if n, err := m.Parse([]byte(text), &limits); err != nil || n != len(text) {
		t.Fatalf("Parse = %d, %v", n, err)
	}
	return &m
}

// sent returns the fields traceparent and tracestate that a server gets.
func sent(t *testing.T, r *Request, m *http1.Request) (parents, states []string) {
	t.Helper()
	e := &http1.Edit{Lines: []byte("Via: 1.1 x\r\n")}
	r.Propagate(e)
	head, err := m.AppendHead(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(head), "\r\nVia: 1.1 x\r\n") {
		t.Errorf("another field is lost: %q", head)
	}
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch strings.ToLower(name) {
		case "traceparent":
			parents = append(parents, value)
		case "tracestate":
			states = append(states, value)
		}
	}
	return parents, states
}

const (
	id   = "0af7651916cd43dd8448eb211c80319c"
	span = "b7ad6b7169203331"
	on   = "traceparent: 00-" + id + "-" + span + "-01\r\n"
	out  = "traceparent: 00-" + id + "-" + span + "-00\r\n"
	bad  = "traceparent: 00-" + id + "-" + span + "-1\r\n"
)

// A stranger has some of its requests recorded as it says; in the traces of the others the
// proxy takes no part.
func TestStrangersHaveSomeRequestsRecorded(t *testing.T) {
	tracer := trace.New()
	b := tracer.NewBuffer(rand.NewPCG(1, 2))
	tracer.Configure(true, 1)
	recorded := func(trusted bool, fields string, second int64) (n int) {
		for range 1000 {
			m := parse(t, fields)
			var r Request
			r.Begin(b, m, trusted, time.Unix(second, 0))
			if r.Recorded() {
				n++
			} else if parents, states := sent(t, &r, m); len(parents) != 1 || len(states) != 1 || "traceparent: "+parents[0]+"\r\n" != on {
				t.Fatalf("of one that is not recorded the server gets %q, %q", parents, states)
			}
		}
		return n
	}
	const state = "tracestate: a=1\r\n"
	first := recorded(false, on+state, 1)
	if first == 0 || first > 200 {
		t.Errorf("%d of a stranger's requests are recorded in a second", first)
	}
	if n := recorded(false, on+state, 1); n != 0 {
		t.Errorf("%d more in the same second", n)
	}
	if n := recorded(true, on+state, 1); n != 1000 {
		t.Errorf("%d of those who are trusted", n)
	}
	if n := recorded(false, "", 1); n != 1000 {
		t.Errorf("%d of those that say nothing, and are chosen", n)
	}
	if n := recorded(false, on+state, 2); n != first {
		t.Errorf("%d in the next second, %d in the first", n, first)
	}
}

// What becomes of the fields of a client, by what the config asks for.
func TestPropagation(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("a=1,", 33), ",")
	const (
		off = -1 // no tracing in the config
		// What the server gets.
		own    = "own"    // of this proxy's, in the client's trace
		fresh  = "fresh"  // of this proxy's, in a trace of its own
		kept   = "kept"   // what the client sent
		absent = "absent" // nothing
	)
	tests := []struct {
		name        string
		share       float64
		fields      string
		parent      string
		state       string // what the server gets; "" for nothing
		loggedTrace bool   // that of the client
	}{
		{"off, none", off, "", absent, "", false},
		{"off, recorded", off, on + "tracestate: a=1\r\n", kept, "a=1", true},
		{"off, invalid", off, bad + "tracestate: a=1\r\n", kept, "a=1", false},
		{"off, state alone", off, "tracestate: a=1\r\n", absent, "a=1", false},
		{"not chosen, none", 0, "", absent, "", false},
		{"not chosen, recorded", 0, on + "tracestate: a=1\r\n", own, "a=1", true},
		{"not chosen, unrecorded", 0, out + "tracestate: a=1\r\n", kept, "a=1", true},
		{"not chosen, invalid", 0, bad + "tracestate: a=1\r\n", absent, "", false},
		{"not chosen, state alone", 0, "tracestate: a=1\r\n", absent, "", false},
		{"chosen, none", 1, "", fresh, "", false},
		{"chosen, recorded", 1, on, own, "", true},
		{"chosen, unrecorded", 1, out + "tracestate: a=1\r\n", kept, "a=1", true},
		{"chosen, invalid", 1, bad + "tracestate: a=1\r\n", fresh, "", false},
		{"chosen, state alone", 1, "tracestate: a=1\r\n", fresh, "", false},
		{"chosen, twice", 1, on + on, fresh, "", false},
		{"chosen, twice, of which one is invalid", 1, on + bad, fresh, "", false},
		{"chosen, several states", 1, on + "tracestate: a=1\r\ntracestate: b=2\r\n", own, "a=1|b=2", true},
		{"chosen, empty state", 1, on + "tracestate: \r\n", own, "", true},
		{"chosen, malformed state", 1, on + "tracestate: a=1\r\ntracestate: B=2\r\n", own, "", true},
		{"chosen, too long a state", 1, on + "tracestate: " + many + "\r\n", own, "", true},
		{"chosen, other case", 1, strings.Replace(on, "traceparent", "TraceParent", 1) + "TRACESTATE: a=1\r\n", own, "a=1", true},
		{"chosen, listed by Connection", 1, on + "tracestate: a=1\r\nConnection: traceparent, tracestate\r\n", own, "a=1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracer := trace.New()
			b := tracer.NewBuffer(rand.NewPCG(1, 2))
			tracer.Configure(tt.share != off, tt.share)
			m := parse(t, tt.fields)
			var r Request
			r.Begin(b, m, true, time.Unix(1, 0))
			parents, states := sent(t, &r, m)
			if got := strings.Join(states, "|"); got != tt.state {
				t.Errorf("tracestate %q, want %q", got, tt.state)
			}
			logged := string(r.AppendTrace(nil))
			if tt.loggedTrace && logged != id || !tt.loggedTrace && (logged == id || (logged != "") != (tt.parent == fresh)) {
				t.Errorf("logged as %q", logged)
			}
			if tt.parent == kept || tt.parent == absent {
				want := ""
				if tt.parent == kept {
					want = strings.TrimSuffix(strings.TrimPrefix(strings.SplitAfter(tt.fields, "\r\n")[0], "traceparent: "), "\r\n")
				}
				if got := strings.Join(parents, "|"); got != want {
					t.Errorf("traceparent %q, want %q", got, want)
				}
				if r.Recorded() {
					t.Error("it is recorded")
				}
				return
			}
			if len(parents) != 1 || !r.Recorded() {
				t.Fatalf("traceparent %q, recorded: %v", parents, r.Recorded())
			}
			c, ok := trace.Parse([]byte(parents[0]))
			if !ok || c.Flags&trace.Sampled == 0 || c.Span == r.parent.Span || (fmt.Sprintf("%x", c.Trace) == id) != (tt.parent == own) {
				t.Errorf("traceparent %q", parents[0])
			}
		})
	}
}

// Each attempt is told to its server as the one above what that does.
func TestAttempts(t *testing.T) {
	tracer := trace.New()
	b := tracer.NewBuffer(rand.NewPCG(1, 2))
	tracer.Configure(true, 1)
	m := parse(t, "")
	at := func(ms int) time.Time { return time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond) }
	var r Request
	r.Begin(b, m, true, at(0))
	r.Queued(at(1), at(2), retry.None)
	var told [2]string
	for n := range told {
		r.Attempt(n+1, "s", netip.MustParseAddrPort("127.0.0.1:80"), at(10*n+3))
		r.Connected(at(10*n+3), at(10*n+4), retry.None)
		parents, _ := sent(t, &r, m)
		told[n] = parents[0]
		if n == 0 {
			r.Failed(&retry.Failure{Phase: retry.Head, Cause: retry.ServerStatus, Status: 503}, at(9))
		}
	}
	e := &accesslog.Entry{Start: at(0), Latency: 20 * time.Millisecond, Reason: accesslog.ServerReset, Response: accesslog.Response{Status: 200}}
	r.End(b, e, Asked{Message: m, Passed: true})
	r.End(b, e, Asked{Message: m, Passed: true}) // once is enough
	records := tracer.Collect(nil, 10)
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	got := records[0]
	if string(got.Request.Path) != "/p" || !got.Failed || got.Status != 200 || got.Reason != "server_reset" || !got.End.Equal(at(20)) {
		t.Errorf("record %+v", got)
	}
	var parts []string
	for _, s := range got.Spans {
		parts = append(parts, fmt.Sprintf("%d %d-%d %d %s %v", s.Kind, s.Start.Sub(at(0)).Milliseconds(), s.End.Sub(at(0)).Milliseconds(), s.Status, s.Reason, s.Failed))
	}
	want := []string{"0 1-2 0 ok false", "2 3-9 503 ok true", "1 3-4 0 ok false", "2 13-20 200 server_reset true", "1 13-14 0 ok false"}
	if strings.Join(parts, "\n") != strings.Join(want, "\n") {
		t.Errorf("spans %q, want %q", parts, want)
	}
	for n, i := range []int{1, 3} {
		if c, _ := trace.Parse([]byte(told[n])); c.Span != got.Spans[i].ID || c.Trace != got.Trace {
			t.Errorf("attempt %d was told as %q", n+1, told[n])
		}
		if got.Spans[i].Parent != got.Span || got.Spans[i+1].Parent != got.Spans[i].ID {
			t.Errorf("attempt %d hangs elsewhere", n+1)
		}
	}
}

// A request that is not recorded costs no memory.
func TestUnrecordedAllocatesNothing(t *testing.T) {
	for name, fields := range map[string]string{"none": "", "unrecorded": out + "tracestate: a=1\r\n"} {
		tracer := trace.New()
		b := tracer.NewBuffer(rand.NewPCG(1, 2))
		tracer.Configure(true, 0.000001)
		m := parse(t, fields)
		e := &accesslog.Entry{}
		if n := testing.AllocsPerRun(1000, func() { unrecorded(b, m, e) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func unrecorded(b *trace.Buffer, m *http1.Request, e *accesslog.Entry) {
	var r Request
	var edit http1.Edit
	r.Begin(b, m, true, time.Time{})
	r.Attempt(1, "s", netip.AddrPort{}, time.Time{})
	r.Propagate(&edit)
	r.End(b, e, Asked{})
}

func BenchmarkUnrecorded(b *testing.B) {
	for _, bm := range []struct {
		name, fields string
		on           bool
	}{{"none, off", "", false}, {"none", "", true}, {"unrecorded, off", out, false}, {"unrecorded", out, true}} {
		b.Run(bm.name, func(b *testing.B) {
			tracer := trace.New()
			buffer := tracer.NewBuffer(rand.NewPCG(1, 2))
			tracer.Configure(bm.on, 0)
			m := parse(b, bm.fields)
			e := &accesslog.Entry{}
			b.ReportAllocs()
			for b.Loop() {
				unrecorded(buffer, m, e)
			}
		})
	}
}

func BenchmarkRecorded(b *testing.B) {
	tracer := trace.New()
	buffer := tracer.NewBuffer(rand.NewPCG(1, 2))
	tracer.Configure(true, 1)
	m := parse(b, "")
	e := &accesslog.Entry{Start: time.Unix(1, 0), Reason: accesslog.OK}
	var records []*trace.Record
	b.ReportAllocs()
	for b.Loop() {
		var r Request
		edit := http1.Edit{Lines: make([]byte, 0, 64)}
		r.Begin(buffer, m, true, e.Start)
		r.Attempt(1, "s", netip.AddrPort{}, e.Start)
		r.Propagate(&edit)
		r.End(buffer, e, Asked{Message: m, Passed: true})
		records = tracer.Collect(records[:0], 1)
		tracer.Release(records)
	}
}
