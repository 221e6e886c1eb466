package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// pages is what is written to an access log. While shut is not nil, and open, nothing is
// taken.
type pages struct {
	shut <-chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pages) Write(b []byte) (int, error) {
	if p.shut != nil {
		<-p.shut
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// lines returns the lines, which are JSON each.
func (p *pages) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.text.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		all = append(all, l)
	}
	return all
}

// loggedSpec is a config with one listener of HTTP.
func loggedSpec(t *testing.T, s *supervisor, log proxy.Log) proxy.Spec {
	t.Helper()
	return proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "pool", s.bind(t, "web"))},
		Pools:     pools(newSpecPool("pool", web(t, says("a")))),
		Log:       log,
	}
}

func TestRequestsAreLogged(t *testing.T) {
	out := &pages{}
	s := startLogging(t, zap.NewNop(), out)
	spec := loggedSpec(t, s, proxy.Log{Access: true, Sample: 1, RequestID: "x-request-id", Tenant: "x-tenant"})
	s.mustApply(t, spec)
	bind := spec.Listeners[0].Bind[0]
	c := connect(t, bind)
	io.WriteString(c, "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nX-Request-ID: mine\r\nX-Tenant: blue\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	io.Copy(io.Discard, res.Body)
	bad := connect(t, bind)
	io.WriteString(bad, "GET / HTTP/1.1\r\n\r\n")
	if res, err := http.ReadResponse(bad.r, nil); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Fatal(res, err)
	}
	eventually(t, func() bool { return len(out.lines(t)) == 2 })
	lines := out.lines(t)
	for i, want := range []map[string]any{
		{"client": "127.0.0.1", "listener": "web", "pool": "pool", "server": spec.Pools[0].Servers[0].Name, "method": "GET", "host": "shop.example",
			"path": "/a?b=c", "status": 200.0, "bytes": 1.0, "correlationId": "mine", "tenantId": "blue", "reason": "ok"},
		{"client": "127.0.0.1", "listener": "web", "method": "GET", "path": "/", "status": 400.0, "reason": "client_error"},
	} {
		got := map[string]any{}
		for k := range want {
			got[k] = lines[i][k]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", i, diff)
		}
	}

	t.Log("# a reload ends it, also for connections that are open")
	spec.Log = proxy.Log{}
	s.mustApply(t, spec)
	c.ask(t)
	s.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: patience}})
	s.ended(t) // with all that was to be written
	if n := len(out.lines(t)); n != 2 {
		t.Errorf("%d lines, want no more than the two of before", n)
	}
}

func TestLinesThatAreLostAreCounted(t *testing.T) {
	open := make(chan struct{})
	out := &pages{shut: open}
	s := startLogging(t, zap.NewNop(), out)
	spec := loggedSpec(t, s, proxy.Log{Access: true, Sample: 1})
	s.mustApply(t, spec)
	c := connect(t, spec.Listeners[0].Bind[0])
	// One loop's buffers are 4 MiB.
	path := strings.Repeat("a", 4<<10)
	dropped := func() uint64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.state.LogDropped
	}
	for end := time.Now().Add(patience); dropped() == 0; {
		for range 100 {
			fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
		}
		if time.Now().After(end) {
			t.Fatal("nothing is dropped, or it is not told")
		}
	}
	close(open)
	eventually(t, func() bool { return len(out.lines(t)) > 0 })
}

// A panic ends one connection; it is in the log and in the state.
func TestPanicIsToldAndEndsOneConnection(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	var once sync.Once
	log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		if e.Message == "server health changed" { // in the middle of a request
			once.Do(func() { panic("oops") })
		}
		return nil
	}))
	s := startLogging(t, log, io.Discard)
	spec := loggedSpec(t, s, proxy.Log{})
	s.mustApply(t, spec)
	bind := spec.Listeners[0].Bind[0]
	unlucky := connect(t, bind)
	io.WriteString(unlucky, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	unlucky.end(t)
	if got := connect(t, bind).ask(t); got != "a" {
		t.Errorf("the next was answered by %q", got)
	}
	s.until(t, func(st ipc.WorkerState) bool { return st.Panics == 1 })
	found := logs.FilterMessage("handler panicked").All()
	if len(found) != 1 {
		t.Fatalf("%d panics are logged: %v", len(found), logs.All())
	}
	fields := found[0].ContextMap()
	if stack := fmt.Sprint(fields["stack"]); fields["panic"] != "oops" || !strings.Contains(stack, "observe") {
		t.Errorf("logged %v", fields)
	}
}
