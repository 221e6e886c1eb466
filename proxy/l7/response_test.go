package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// scripted runs a server that gives the answers in turn, one for each request head,
// on whatever connection it comes. An answer that ends with "EOF" ends the
// connection.
func scripted(t testing.TB, answers ...string) (address string, connections *atomic.Int32) {
	var next atomic.Int32
	connections = &atomic.Int32{}
	return rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		connections.Add(1)
		for {
			if _, err := readHead(in); err != nil {
				return
			}
			n := int(next.Add(1)) - 1
			if n >= len(answers) {
				t.Errorf("request %d came, want %d", n+1, len(answers))
				return
			}
			answer, end := strings.CutSuffix(answers[n], "EOF")
			io.WriteString(c, answer)
			if end {
				return
			}
		}
	}), connections
}

const okNext = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"

// What one response leaves behind is not taken for a part of the next one, and the
// connection to the server is used again only when it is certain where it stands.
func TestResponsesAreToldApart(t *testing.T) {
	tests := []struct {
		name, method, sent string
		want               string // "" for 502
		fresh              bool   // the next request has a new connection
	}{
		{"R1 HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 ", false},
		{"R1 HEAD with a coding", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 ", false},
		{"R1 HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 ", true},
		{"R2 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 ", false},
		{"R2 204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "204 ", true},
		{"R2 304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 ", false},
		{"R2 205 with a body", "GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello", "205 ", true},
		{"R3 length and coding", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200 hello", true},
		{"R5 up to the end", "GET", "HTTP/1.1 200 OK\r\n\r\nhelloEOF", "200 hello", true},
		{"R5 HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nhelloEOF", "200 hello", true},
		{"HTTP/1.0 with a length closes", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 hello", true},
		{"HTTP/1.0 that is kept", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", "200 hello", false},
		{"close is said", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "200 hello", true},
		{"R7 bytes behind a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "200 hello", true},
		{"R7 bytes behind chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "200 hello", true},
		{"R7 bytes behind no body", "GET", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "204 ", true},
		{"chunks with extensions and trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n", "200 hello", false},
		{"R4 lengths that differ", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "", true},
		{"R4 coding that is not chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", "", true},
		{"R4 status of two digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", "", true},
		{"R4 another version", "GET", "HTTP/2.0 200 OK\r\n\r\n", "", true},
		{"R4 line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "", true},
		{"X3 interim response with a body", "GET", "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhello" + empty, "", true},
		{"U2 101 that nobody asked for", "GET", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "", true},
		{"X1 too many interim responses", "GET", strings.Repeat("HTTP/1.1 103 Hints\r\n\r\n", 17) + empty, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, connections := scripted(t, tt.sent, okNext)
			r := start(t, address)
			c := r.dial(t)
			c.send(t, tt.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
			res := c.response(t, tt.method)
			for res.StatusCode == http.StatusEarlyHints {
				res = c.response(t, tt.method)
			}
			got := fmt.Sprintf("%d %s", res.StatusCode, body(t, res))
			switch {
			case tt.want == "" && res.StatusCode != http.StatusBadGateway:
				t.Errorf("response = %q, want 502", got)
			case tt.want != "" && got != tt.want:
				t.Errorf("response = %q, want %q", got, tt.want)
			}
			if res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified {
				if te := res.TransferEncoding; len(te) > 0 {
					t.Errorf("response without a body has a coding: %q", te)
				}
			}
			if res.Close {
				t.Fatal("the client's connection is closed; want it kept")
			}
			c.send(t, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
			if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK || body(t, res) != "next" {
				t.Errorf("next response = %s, want 200 next", res.Status)
			}
			want := int32(1)
			if tt.fresh {
				want = 2
			}
			if got := connections.Load(); got != want {
				t.Errorf("%d connections to the server, want %d", got, want)
			}
		})
	}
}

// The same to clients of HTTP/1.0, that know neither chunks nor interim responses
// and are kept only when they ask for it.
func TestResponsesToHTTP10(t *testing.T) {
	const kept = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
	const plain = "GET / HTTP/1.0\r\nHost: a\r\n\r\n"
	tests := []struct {
		name, sent, answer, want string
	}{
		{"length, not kept", plain, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		{"length, kept", kept, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"chunks", kept, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX-T: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"},
		{"up to the end", kept, "HTTP/1.1 200 OK\r\n\r\nhelloEOF", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"},
		{"no body, kept", kept, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"},
		{"interim responses", plain, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + empty, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{
			"an upgrade is not offered", "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
			"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := scripted(t, tt.answer, okNext)
			c := start(t, address).dial(t)
			c.send(t, tt.sent)
			c.expect(t, tt.want)
			if strings.Contains(tt.want, "Connection: keep-alive") {
				c.send(t, plain)
				if res := c.response(t, http.MethodGet); body(t, res) != "next" {
					t.Errorf("next response = %s, want 200 next", res.Status)
				}
			}
			c.ends(t)
		})
	}
}

// R6: a client of HTTP/1.0, to which the end of the connection is that of the body,
// gets a reset when there was no end.
func TestBrokenResponseIsResetForHTTP10(t *testing.T) {
	for name, answer := range map[string]string{
		"chunks":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nEOF",
		"malformed chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := scripted(t, answer)
			c := start(t, address).dial(t)
			c.send(t, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			if got, err := io.ReadAll(c.r); err == nil {
				t.Errorf("response = %q with a clean end", got)
			}
		})
	}
}

// R7: bytes on a connection that waits for no response condemn it.
func TestUnsolicitedBytesOnIdleConnection(t *testing.T) {
	say := make(chan struct{})
	said := make(chan struct{})
	var connections atomic.Int32
	address := rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		mine := connections.Add(1) == 1
		for {
			if _, err := readHead(in); err != nil {
				return
			}
			io.WriteString(c, okNext)
			if mine {
				<-say
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
				close(said)
				io.Copy(io.Discard, in)
				return
			}
		}
	})
	r := start(t, address)
	c := r.dial(t)
	for i := range 2 {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := body(t, c.response(t, http.MethodGet)); got != "next" {
			t.Errorf("response %d = %q, want next", i, got)
		}
		if i == 0 {
			close(say)
			<-said
			eventually(t, func() bool { return r.server(0).Failed == 1 })
		}
	}
	if got := connections.Load(); got != 2 {
		t.Errorf("%d connections to the server, want a new one for the second request", got)
	}
}

// R8, R9: the response to a request that was not read to its end gets through,
// though the client goes on sending.
func TestEarlyResponseGetsThrough(t *testing.T) {
	for name, server := range map[string]func(c *net.TCPConn, in *bufio.Reader){
		"the server goes on reading": func(c *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
			io.Copy(io.Discard, in)
		},
		"the server reads nothing": func(c *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
			c.CloseWrite()
			pause(200 * time.Millisecond)
		},
	} {
		for _, head := range []string{"Content-Length: 50000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2faf080\r\n"} {
			t.Run(name+", "+head[:10], func(t *testing.T) {
				t.Parallel()
				r := start(t, rawServer(t, server))
				c := r.dial(t)
				c.send(t, "POST / HTTP/1.1\r\nHost: a\r\n"+head)
				c.send(t, strings.Repeat("x", 30_000)) // and more to come
				res := c.response(t, http.MethodPost)
				if got := body(t, res); res.StatusCode != http.StatusRequestEntityTooLarge || got != "large" || !res.Close {
					t.Errorf("response = %s %q, close %t; want 413 large and close", res.Status, got, res.Close)
				}
				c.Close()
				r.settle(t)
				eventually(t, func() bool { return r.server(0).Active == 0 })
				if st := r.server(0); st.Failed != 0 {
					t.Errorf("status = %+v, want no failure", st)
				}
			})
		}
	}
}

// R9: what refuses a request reaches the client, though it goes on sending.
func TestRefusalSurvivesWhatFollows(t *testing.T) {
	spec := generous()
	spec.Limits.BodyBytes = 10
	r := startWith(t, spec, pool(t, reactortest.Refusing(t)))
	for name, tt := range map[string]struct {
		sent   string
		status int
	}{
		"malformed":     {"GET / HTTP/9.9\r\n\r\n", 505},
		"too large":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 413},
		"too many":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", 413},
		"line too long": {"GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t)
			c.send(t, tt.sent+strings.Repeat("x", 40_000))
			res := c.response(t, http.MethodPost)
			if res.StatusCode != tt.status || !res.Close {
				t.Errorf("response = %s, close %t; want %d and close", res.Status, res.Close, tt.status)
			}
			body(t, res)
			c.ends(t)
		})
	}
	if st := r.server(0); st.Failed != 0 {
		t.Errorf("status = %+v, want a server that nobody asked", st)
	}
}

func TestContinueFallback(t *testing.T) {
	// A server that does not know Expect waits for the body all the same.
	t.Run("E1 the body is sent in the end", func(t *testing.T) {
		t.Parallel()
		rec := record200(t)
		c := start(t, rec.address).dial(t)
		c.send(t, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		began := time.Now()
		eventually(t, func() bool { return rec.connections() == 1 })
		c.send(t, "hello") // the client waits no longer than it likes either
		if res := c.response(t, http.MethodPost); body(t, res) != "/ahello" {
			t.Errorf("response = %s", res.Status)
		}
		if took := time.Since(began); took < continueTimeout*9/10 {
			t.Errorf("the body was sent after %v, want the server asked first", took)
		}
		c.send(t, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		if res := c.response(t, http.MethodGet); body(t, res) != "/next" {
			t.Errorf("next response = %s", res.Status)
		}
	})
	t.Run("E1 the time for the response begins behind the body", func(t *testing.T) {
		t.Parallel()
		rec := record200(t)
		r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Timeouts.Response = 200 * time.Millisecond }, rec.address), nil))
		c := r.dial(t)
		c.send(t, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
		eventually(t, func() bool { return rec.connections() == 1 })
		c.send(t, "5\r\nhello\r\n0\r\n\r\n")
		if res := c.response(t, http.MethodPost); body(t, res) != "/ahello" {
			t.Errorf("response = %s", res.Status)
		}
	})
	t.Run("E1 a body that came with the head is not held back", func(t *testing.T) {
		t.Parallel()
		rec := record200(t)
		c := start(t, rec.address).dial(t)
		c.send(t, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
		if res := c.response(t, http.MethodPost); body(t, res) != "/ahello" {
			t.Errorf("response = %s", res.Status)
		}
	})
	t.Run("E4 HTTP/1.0 does not know it", func(t *testing.T) {
		t.Parallel()
		rec := record200(t)
		c := start(t, rec.address).dial(t)
		c.send(t, "POST /a HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		c.send(t, "hello")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusOK || body(t, res) != "/ahello" {
			t.Errorf("response = %s", res.Status)
		}
		if got := rec.header().Get("Expect"); got != "" {
			t.Errorf("the server got Expect: %q", got)
		}
	})
	t.Run("E3 others are refused", func(t *testing.T) {
		t.Parallel()
		rec := record200(t)
		c := start(t, rec.address).dial(t)
		c.send(t, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: more\r\n\r\n")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusExpectationFailed || rec.connections() != 0 {
			t.Errorf("response = %s, %d connections to the server; want 417 and none", res.Status, rec.connections())
		}
	})
}

// A response whose first part fills the buffer has no room for the frame of a chunk
// behind it.
func TestResponsesThatFillTheBuffer(t *testing.T) {
	for framing, frame := range map[string]func(string) string{
		"up to the end": func(s string) string { return "HTTP/1.1 200 OK\r\n\r\n" + s + "EOF" },
		"length": func(s string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s), s)
		},
		"one chunk": func(s string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(s), s)
		},
		"small chunks": func(s string) string {
			var b strings.Builder
			for i := 0; i < len(s); i += 7 {
				p := s[i:min(i+7, len(s))]
				fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
			}
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b.String() + "0\r\n\r\n"
		},
	} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(framing+" "+version, func(t *testing.T) {
				t.Parallel()
				var sizes []int
				for near := flow.BufferSize - 100; near < flow.BufferSize+20; near++ {
					sizes = append(sizes, near)
				}
				var all []string
				for _, n := range sizes {
					all = append(all, frame(string(noise(n))))
				}
				address, _ := scripted(t, all...)
				r := start(t, address)
				for _, n := range sizes {
					c := r.dial(t)
					c.send(t, "GET / HTTP/"+version+"\r\nHost: a\r\nConnection: close\r\n\r\n")
					if got := body(t, c.response(t, http.MethodGet)); got != string(noise(n)) {
						t.Fatalf("body of %d bytes came as %d, or others", n, len(got))
					}
				}
			})
		}
	}
}
