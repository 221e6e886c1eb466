package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func TestDeadServerIsPassedOver(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 100_000)
	alive := webServer(t, echo)
	tests := []struct {
		name   string
		method string
		body   func() io.Reader
		want   []byte
	}{
		{"get", http.MethodGet, func() io.Reader { return nil }, nil},
		{"post with a length", http.MethodPost, func() io.Reader { return bytes.NewReader(payload) }, payload},
		{"post in chunks", http.MethodPost, func() io.Reader { return io.MultiReader(bytes.NewReader(payload)) }, payload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, reactortest.Refusing(t), reactortest.Refusing(t), alive)
			for range 4 {
				req, err := http.NewRequest(tt.method, r.url("/"), tt.body())
				if err != nil {
					t.Fatal(err)
				}
				res, err := client(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if got := body(t, res); res.StatusCode != http.StatusOK || got != string(tt.want) {
					t.Errorf("response = %s with %d bytes, want 200 with %d", res.Status, len(got), len(tt.want))
				}
			}
			if tr := r.Traffic(); tr.Failed != 0 {
				t.Errorf("traffic = %+v, want no failure", tr)
			}
			if st := r.server(0); st.Health != upstream.Down || st.Reason != "connect: connection refused" {
				t.Errorf("status of a dead server = %+v, want down", st)
			}
		})
	}
}

// An attempt that was cut after something was sent is not repeated.
func TestNothingSentTwice(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			requests := make(chan string, 4)
			cut := func(c *net.TCPConn, r *bufio.Reader) {
				head, _ := readHead(r)
				requests <- head
			}
			r := start(t, rawServer(t, cut), rawServer(t, cut))
			c := r.dial(t)
			c.send(t, method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if res := c.response(t, method); res.StatusCode != http.StatusBadGateway {
				t.Errorf("response = %s, want 502", res.Status)
			}
			if n := len(requests); n != 1 {
				t.Errorf("servers saw %d requests, want 1", n)
			}
			if st := r.server(0); st.Failed != 1 || st.Active != 0 || st.Served != 1 {
				t.Errorf("status = %+v, want one failure", st)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	tests := []struct {
		name    string
		servers []string
		status  int
		retry   string
		body    string
	}{
		{"none in the pool", nil, 503, "1", "503 No healthy server in pool \"web\"\n"},
		{"none answers", []string{reactortest.Refusing(t), reactortest.Refusing(t)}, 502, "", "502 The server could not be reached or did not answer properly\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.servers...)
			res := get(t, r.url("/"))
			if res.StatusCode != tt.status || res.Header.Get("Retry-After") != tt.retry {
				t.Errorf("response = %s, Retry-After %q; want %d, %q", res.Status, res.Header.Get("Retry-After"), tt.status, tt.retry)
			}
			if got := body(t, res); got != tt.body {
				t.Errorf("body = %q, want %q", got, tt.body)
			}
			want := proxy.Traffic{Open: 1, Accepted: 1, Requests: 1, Failed: 1}
			if diff := cmp.Diff(want, r.Traffic()); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllServersDown(t *testing.T) {
	r := start(t, webServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a server that is down got a request") }))
	for range 3 {
		r.config.Backends["web"].Pool.Servers()[0].ConnectFailed(time.Now(), "refused")
	}
	c := r.dial(t)
	c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	res := c.response(t, http.MethodPost)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
		t.Errorf("response = %s, %v; want 503 with Retry-After", res.Status, res.Header)
	}
}

func TestConnectTimeout(t *testing.T) {
	spec := pool(t, webServer(t, func(http.ResponseWriter, *http.Request) {})).Spec()
	spec.Timeouts.Connect = time.Nanosecond
	r := startWith(t, generous(), newPool(t, spec, nil))
	if res := get(t, r.url("/")); res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("response = %s, want 504", res.Status)
	}
}

func TestBadResponses(t *testing.T) {
	tests := []struct{ name, response string }{
		{"nothing", ""},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"},
		{"no status", "HTTP/1.1\r\n\r\n"},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi"},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
		{"oversized head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*responseLimits().Header) + "\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, answers(t, tt.response))
			if res := get(t, r.url("/")); res.StatusCode != http.StatusBadGateway {
				t.Errorf("response = %s, want 502", res.Status)
			}
			if tr := r.Traffic(); tr.Failed != 1 {
				t.Errorf("traffic = %+v, want one failure", tr)
			}
		})
	}
}

// I5: malformed requests are answered clearly, change nothing, and reach no
// server.
func TestMalformedRequests(t *testing.T) {
	tests := []struct {
		name string
		sent string
		want int
	}{
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400},
		{"no version", "GET /\r\n\r\n", 400},
		{"bad version", "GET / HTTP/x.1\r\nHost: a\r\n\r\n", 400},
		{"other version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"bad target", "GET a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
		{"bad name", "GET / HTTP/1.1\r\nHost: a\r\nX[]: 1\r\n\r\n", 400},
		{"nul in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", 400},
		{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
		{"length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nh", 400},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
		{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 200-ok\r\n\r\nh", 417},
		{"oversized head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431},
		{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
		{"trace", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, webServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a server got it") }))
			c := r.dial(t)
			c.send(t, tt.sent)
			res := c.response(t, http.MethodGet)
			if res.StatusCode != tt.want {
				t.Errorf("response = %s, want %d", res.Status, tt.want)
			}
			io.Copy(io.Discard, res.Body)
			if rest, err := io.ReadAll(c.r); len(rest) != 0 {
				t.Errorf("behind the response: %q, %v; want its end", rest, err)
			}
			if st := r.server(0); st.Failed != 0 {
				t.Errorf("status = %+v, want no failure", st)
			}
		})
	}
}

// What a server gets of a malformed body must not look complete, and the blame is
// the client's. When it is there from the start, no server gets anything.
func TestMalformedBody(t *testing.T) {
	for name, chunk := range map[string]string{
		"bad size":       "0x5\r\nhello\r\n0\r\n\r\n",
		"missing end":    "5\r\nhelloX0\r\n\r\n",
		"bad trailer":    "5\r\nhello\r\n0\r\nX\r\n\r\n",
		"oversized size": strings.Repeat("f", 17) + "\r\n",
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %t", name, late), func(t *testing.T) {
				came, got := make(chan struct{}, 1), make(chan error, 1)
				r := start(t, webServer(t, func(_ http.ResponseWriter, r *http.Request) {
					came <- struct{}{}
					_, err := io.Copy(io.Discard, r.Body)
					got <- err
				}))
				c := r.dial(t)
				c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				if late {
					c.send(t, "3\r\nabc\r\n")
					<-came
				}
				c.send(t, chunk)
				res := c.response(t, http.MethodPost)
				if res.StatusCode != http.StatusBadRequest || !res.Close {
					t.Errorf("response = %s, close %v; want 400 and close", res.Status, res.Close)
				}
				if late {
					select {
					case err := <-got:
						if err == nil {
							t.Error("the server got a complete body")
						}
					case <-time.After(patience):
						t.Error("the server still waits for the body")
					}
				}
				if st := r.server(0); st.Failed != 0 || st.Active != 0 {
					t.Errorf("status = %+v, want no failure", st)
				}
				if refused := r.Traffic().Refused; len(refused) != 1 {
					t.Errorf("refused %v, want one reason", refused)
				}
			})
		}
	}
}

func TestPanicIsContained(t *testing.T) {
	r := start(t, webServer(t, func(http.ResponseWriter, *http.Request) {}))
	bug := func() { panic("as a bug would") }
	r.observe.Store(&bug)
	if _, err := client(t).Get(r.url("/")); err == nil {
		t.Error("a panic was answered, want the connection cut")
	}
	if res := get(t, r.url("/")); res.StatusCode != http.StatusOK {
		t.Errorf("after the panic: %s", res.Status)
	}
	if tr := r.Traffic(); tr.Panics != 1 {
		t.Errorf("traffic = %+v, want one panic", tr)
	}
	eventually(t, func() bool { return r.server(0).Active == 0 })
}

func TestAPanicInARetryIsNoRetryForEver(t *testing.T) {
	spec := with(t, func(p *proxy.Pool) {
		p.Retry = proxy.Retry{Attempts: 1, On: []proxy.RetryOn{proxy.RetryConnect}, Budget: 1}
	}, reactortest.Refusing(t), webServer(t, func(http.ResponseWriter, *http.Request) {}))
	p := newPool(t, spec, nil)
	r := startWith(t, generous(), p)
	var retried atomic.Bool
	bug := func() {
		if p.Status(time.Now()).Retrying > 0 {
			retried.Store(true)
			panic("as a bug would")
		}
	}
	r.observe.Store(&bug)
	if _, err := client(t).Get(r.url("/")); err == nil || !retried.Load() {
		t.Fatalf("no panic in a retry (%v)", err)
	}
	eventually(t, func() bool { return p.Status(time.Now()).Retrying == 0 && p.Status(time.Now()).Active == 0 })
}

func BenchmarkKeepAliveRequest(b *testing.B) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer web.Close()
	r := start(b, web.Listener.Addr().String())
	c := r.dial(b)
	c.SetDeadline(time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		c.send(b, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res := c.response(b, http.MethodGet)
		io.Copy(io.Discard, res.Body)
	}
}
