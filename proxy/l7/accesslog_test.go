package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// logged waits for n lines of the access log, and returns them.
func (r *running) logged(t testing.TB, n int) []map[string]any {
	t.Helper()
	eventually(t, func() bool { return len(r.access.lines(t)) >= n })
	lines := r.access.lines(t)
	if len(lines) != n {
		t.Fatalf("%d lines, want %d: %v", len(lines), n, lines)
	}
	return lines
}

// plausible checks the times of a line and takes them out, since they differ each
// time.
func plausible(t testing.TB, line map[string]any, began time.Time) {
	t.Helper()
	most := float64(time.Since(began)) / float64(time.Millisecond)
	latency, _ := line["latencyMs"].(float64)
	for _, key := range []string{"connectMs", "firstByteMs", "latencyMs"} {
		got, there := line[key]
		delete(line, key)
		ms, _ := got.(float64)
		if there && (ms < 0 || ms > latency || ms > most) || key == "latencyMs" && !there {
			t.Errorf("%s = %v with a latency of %v ms within %v ms", key, got, latency, most)
		}
	}
	at, err := time.Parse(time.RFC3339Nano, line["time"].(string))
	if err != nil || at.Before(began.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("time = %v, %v", line["time"], err)
	}
	delete(line, "time")
}

// logRow is a connection and the line that comes of it.
type logRow struct {
	name   string
	server string // what it answers; "" for a server that records, "refuse" for none
	sent   string
	then   func(t *testing.T, c raw) // nil: the response is read
	want   map[string]any            // of a line, beside what all have
	sized  bool                      // connectMs and firstByteMs are to be there
}

func logRows() []logRow {
	const get = "GET /p?q=1 HTTP/1.1\r\nHost: shop.example:80\r\nX-Request-Id: id-1\r\nX-Tenant: acme\r\n\r\n"
	known := func(more map[string]any) map[string]any {
		m := map[string]any{"method": "GET", "path": "/p?q=1", "host": "shop.example", "correlationId": "id-1", "tenantId": "acme"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	post := func(fields, body string) string {
		return "POST /p?q=1 HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: id-1\r\nX-Tenant: acme\r\n" + fields + "\r\n" + body
	}
	big := string(noise(300_000))
	gone := func(_ *testing.T, c raw) { c.Close() }
	return []logRow{
		{"ok", "", get, nil, known(map[string]any{"status": 200.0, "bytes": 6.0, "reason": "ok"}), true},
		{"head", "", "HEAD" + get[3:], nil, known(map[string]any{"method": "HEAD", "status": 200.0, "reason": "ok"}), true},
		{"sized body", "", post("Content-Length: 5\r\n", "hello"), nil, known(map[string]any{"method": "POST", "status": 200.0, "bytes": 11.0, "requestBytes": 5.0, "reason": "ok"}), true},
		{"chunked body", "", post("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX: 1\r\n\r\n"), nil, known(map[string]any{"method": "POST", "status": 200.0, "bytes": 11.0, "requestBytes": 5.0, "reason": "ok"}), true},
		{"large sized body", "", post("Content-Length: 300000\r\n", big), nil, known(map[string]any{"method": "POST", "status": 200.0, "bytes": 300006.0, "requestBytes": 300000.0, "reason": "ok"}), true},
		{"large chunked body", "", post("Transfer-Encoding: chunked\r\n", "493e0\r\n"+big+"\r\n0\r\n\r\n"), nil, known(map[string]any{"method": "POST", "status": 200.0, "bytes": 300006.0, "requestBytes": 300000.0, "reason": "ok"}), true},
		{"chunked response", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\n\r\n", get, nil, known(map[string]any{"status": 200.0, "bytes": 5.0, "reason": "ok"}), true},
		{"response up to the end", "HTTP/1.1 200 OK\r\n\r\nhello", get, nil, known(map[string]any{"status": 200.0, "bytes": 5.0, "reason": "ok"}), true},
		{"error of the server", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", get, nil, known(map[string]any{"status": 500.0, "reason": "ok"}), true},
		{"malformed", "", "GET /p HTTP/1.1\r\nHost: a\r\nX-Request-Id: id-1\r\nContent-Length: x\r\n\r\n", nil, map[string]any{"method": "GET", "path": "/p", "host": "a", "status": 400.0, "bytes": 16.0, "server": nil, "reason": "client_error"}, false},
		{"malformed body", "", post("Transfer-Encoding: chunked\r\n", "x\r\n"), nil, known(map[string]any{"method": "POST", "status": 400.0, "server": nil, "reason": "client_error"}), false},
		{"method that is not carried", "", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", nil, map[string]any{"method": "TRACE", "path": "/", "host": "a", "status": 405.0, "server": nil, "reason": "client_error"}, false},
		{"too large", "", post("Content-Length: 2000000\r\n", ""), nil, known(map[string]any{"method": "POST", "status": 413.0, "server": nil, "reason": "client_error"}), false},
		{"loop", "", strings.Replace(get, "X-Tenant", "Via: 1.1 tandem-test-shop\r\nX-Tenant", 1), nil, known(map[string]any{"status": 508.0, "server": nil, "reason": "loop"}), false},
		{"no connection", "refuse", get, nil, known(map[string]any{"status": 502.0, "reason": "server_connect"}), false},
		{"no response", "EOF", get, nil, known(map[string]any{"status": 502.0, "reason": "server_reset"}), false},
		{"bad response", "SSH\r\n\r\n", get, nil, known(map[string]any{"status": 502.0, "reason": "server_bad_response"}), false},
		{"late response", "LATE", get, nil, known(map[string]any{"status": 504.0, "reason": "server_timeout"}), false},
		{"broken response", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloEOF", get, nil, known(map[string]any{"status": 200.0, "bytes": 5.0, "reason": "server_reset"}), true},
		{"stalled response", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloLATE", get, nil, known(map[string]any{"status": 200.0, "bytes": 5.0, "reason": "server_timeout"}), true},
		{"malformed response", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx", get, nil, known(map[string]any{"status": 200.0, "bytes": 5.0, "reason": "server_bad_response"}), true},
		{"late head", "", get[:30], nil, map[string]any{"method": "", "path": "", "host": "", "status": 408.0, "server": nil, "reason": "client_timeout_header"}, false},
		{"late body", "", post("Content-Length: 5\r\n", "hel"), nil, known(map[string]any{"method": "POST", "status": 408.0, "requestBytes": 3.0, "reason": "client_timeout_body"}), false},
		{"client leaves", "WAIT", get, gone, known(map[string]any{"status": 499.0, "reason": "client_abort"}), false},
		{"upgrade", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi", strings.Replace(get, "X-Tenant", "Connection: upgrade\r\nUpgrade: websocket\r\nX-Tenant", 1), nil, known(map[string]any{"status": 101.0, "bytes": 2.0, "reason": "ok"}), true},
	}
}

// answering runs the server of a logRow.
func answering(t *testing.T, answer string) (address string, came <-chan struct{}) {
	ch := make(chan struct{}, 1)
	switch answer {
	case "":
		return record200(t).address, ch
	case "refuse":
		return reactortest.Refusing(t), ch
	}
	return rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, err := readHead(in); err != nil {
			return
		}
		ch <- struct{}{}
		text, end := strings.CutSuffix(answer, "EOF")
		text, late := strings.CutSuffix(text, "LATE")
		text, waits := strings.CutSuffix(text, "WAIT")
		io.WriteString(c, text)
		if !late && !waits && !end {
			c.CloseWrite()
		}
		if !end {
			io.Copy(io.Discard, in)
		}
	}), ch
}

func TestAccessLogLine(t *testing.T) {
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
			began := time.Now()
			c := r.dial(t)
			c.send(t, tt.sent)
			if tt.then != nil {
				<-came
				tt.then(t, c)
			} else {
				io.Copy(io.Discard, c.responseBody(t, tt.sent))
			}
			line := r.logged(t, 1)[0]
			if _, connected := line["connectMs"]; tt.sized && !connected {
				t.Error("no connectMs")
			}
			if _, answered := line["firstByteMs"]; tt.sized && !answered {
				t.Error("no firstByteMs")
			}
			plausible(t, line, began)
			want := map[string]any{"client": "127.0.0.1", "listener": "shop", "route": 1.0, "pool": "web", "server": address, "bytes": line["bytes"], "requestBytes": 0.0, "retries": 0.0}
			for k, v := range tt.want {
				if want[k] = v; v == nil {
					delete(want, k)
				}
			}
			if want["server"] == nil { // it was refused before its route was known
				delete(want, "route")
				delete(want, "pool")
			}
			if id, made := line["correlationId"].(string); made && want["correlationId"] == nil {
				delete(line, "correlationId") // one of our own
				if len(id) != 32 {
					t.Errorf("correlationId = %q, want 32 digits", id)
				}
			}
			if diff := cmp.Diff(want, line); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(line["reason"]); (r.Traffic().Failed > 0) != (strings.HasPrefix(got, "server_") || got == "loop") {
				t.Errorf("traffic = %+v with reason %s", r.Traffic(), got)
			}
			c.Close()
			r.settle(t)
			eventually(t, func() bool { return r.server(0).Active == 0 })
			r.logged(t, 1)
		})
	}
}

// responseBody returns what a response to the request that was sent holds.
func (c raw) responseBody(t *testing.T, sent string) io.Reader {
	t.Helper()
	method, _, _ := strings.Cut(sent, " ")
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return strings.NewReader("")
	}
	return res.Body
}

// The identity in the log is the one that the server saw, kept or made.
func TestCorrelationIDIsTheServers(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	c := r.dial(t)
	for i, fields := range []string{"", "X-Request-Id: mine\r\n", "X-Request-Id: a\r\nX-Request-Id: b\r\n", "X-Request-Id: \r\n"} {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
		body(t, c.response(t, http.MethodGet))
		line := r.logged(t, i+1)[i]
		got := rec.header()["X-Request-Id"]
		if len(got) != 1 || got[0] == "" || line["correlationId"] != got[0] {
			t.Errorf("%q: the server got %q, the log has %v", fields, got, line["correlationId"])
		}
		if i == 1 && got[0] != "mine" {
			t.Errorf("identity = %q, want the client's", got)
		}
	}
}

// The books on a request are its own, whatever happened to the one before.
func TestLogOfARefusedRequestHasNothingOfTheOneBefore(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	c := r.dial(t)
	c.send(t, "POST /a HTTP/1.1\r\nHost: a\r\nX-Tenant: acme\r\nContent-Length: 5\r\n\r\nhello")
	body(t, c.response(t, http.MethodPost))
	c.send(t, "GET /b HTTP/1.1\r\nHost: b\r\nBad Name: x\r\n\r\n")
	body(t, c.response(t, http.MethodGet))
	line := r.logged(t, 2)[1]
	plausible(t, line, time.Now().Add(-patience))
	want := map[string]any{
		"client": "127.0.0.1", "listener": "shop", "method": "GET", "path": "/b", "host": line["host"], "bytes": line["bytes"],
		"requestBytes": 0.0, "retries": 0.0, "status": 400.0, "reason": "client_error",
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestLogCountsRetries(t *testing.T) {
	rec := record200(t)
	r := start(t, reactortest.Refusing(t), reactortest.Refusing(t), rec.address)
	body(t, get(t, r.url("/")))
	line := r.logged(t, 1)[0]
	if line["retries"] != 2.0 || line["server"] != rec.address || line["reason"] != "ok" {
		t.Errorf("line = %v, want 2 retries and the server that answered", line)
	}
}

// What is refused is counted by its reason, and shown to who looks closely, though
// not all of it.
func TestRefusedMessagesAreCountedAndShown(t *testing.T) {
	r := start(t, answers(t, "HTTP/1.1 2 Bad\r\n"+strings.Repeat("X: 1\r\n", 1000)+"\r\n"))
	for _, sent := range []string{
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x00" + strings.Repeat("x", 5000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		c := r.dial(t)
		c.send(t, sent)
		body(t, c.response(t, http.MethodGet))
	}
	c := r.dial(t)
	c.send(t, "GET / HTTP/1.1\r\nHo")
	c.Close()
	want := map[string]uint64{"host_missing": 2, "control_character": 1, "response_status_line_invalid": 1, "incomplete_head": 1}
	eventually(t, func() bool { return len(r.Traffic().Refused) == len(want) })
	if diff := cmp.Diff(want, r.Traffic().Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if got := r.log.FilterMessage("request refused").Len(); got != 3 {
		t.Errorf("%d requests in the log, want 3", got)
	}
	if got := r.log.FilterMessage("response refused").Len(); got != 1 {
		t.Errorf("%d responses in the log, want 1", got)
	}
	for _, e := range r.log.All() {
		size := 0
		for _, v := range e.ContextMap() {
			size += len(fmt.Sprint(v))
		}
		if size > 4096 {
			t.Errorf("%q takes %d bytes", e.Message, size)
		}
	}
}
