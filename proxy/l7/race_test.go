package l7

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// deaf runs a server that answers the first request of a connection, and takes the
// second one, and any for /die, only to close: as if both had crossed on the way.
func deaf(t *testing.T) (address string, heads func() []string) {
	var mu sync.Mutex
	var seen []string
	address = rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		for i := range 2 {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			line := req.Method + " " + req.RequestURI
			mu.Lock()
			seen = append(seen, line)
			mu.Unlock()
			if i == 0 && !strings.Contains(line, "/die") {
				io.WriteString(c, empty)
			} else {
				return
			}
		}
	})
	return address, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), seen...)
	}
}

// The race of a request with the close of an idle connection (RFC 9112, section
// 9.3.1): what may be repeated is, once, on a new connection.
func TestIdleConnectionClosedUnderARequest(t *testing.T) {
	big := strings.Repeat("x", 200_000)
	tests := []struct {
		name, sent string
		status     int
		times      int // the server saw it
	}{
		{"GET", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2},
		{"HEAD", "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2},
		{"PUT", "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200, 2},
		{"PUT in chunks", "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, 2},
		{"PUT that is too large to keep", "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + big, 502, 1},
		{"POST", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 502, 1},
		{"POST without a body", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, 1},
		{"PATCH", "PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 502, 1},
		{"a method that nobody knows", "FROB /x HTTP/1.1\r\nHost: a\r\n\r\n", 502, 1},
		{"POST that may be repeated", "POST /x HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 5\r\n\r\nhello", 200, 2},
		{"GET that is not answered twice", "GET /die HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, heads := deaf(t)
			r := start(t, address)
			c := r.dial(t)
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // makes the connection that is idle then
			body(t, c.response(t, http.MethodGet))
			c.send(t, tt.sent)
			method, _, _ := strings.Cut(tt.sent, " ")
			res := c.response(t, method)
			if res.StatusCode != tt.status {
				t.Errorf("response = %s, want %d", res.Status, tt.status)
			}
			if seen := heads(); len(seen) != 1+tt.times {
				t.Errorf("the server saw %q; want the request %d times", seen, tt.times)
			}
		})
	}
	// On a connection of its own a request that got no answer may have been served.
	for _, method := range []string{"GET", "PUT", "POST"} {
		t.Run(method+" on a new connection", func(t *testing.T) {
			address, heads := deaf(t)
			r := start(t, address, untouched(t))
			c := r.dial(t)
			c.send(t, method+" /die HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if res := c.response(t, method); res.StatusCode != http.StatusBadGateway {
				t.Errorf("response = %s, want 502", res.Status)
			}
			if seen := heads(); len(seen) != 1 {
				t.Errorf("the server saw %q, want it once", seen)
			}
		})
	}
}

// untouched returns another server, which nothing may come to.
func untouched(t *testing.T) string {
	return rawServer(t, func(_ *net.TCPConn, in *bufio.Reader) {
		if head, err := readHead(in); err == nil {
			t.Errorf("another server got %q", head)
		}
	})
}

// Servers that close whenever they like never see a request twice that must not be
// repeated, and see every request that was answered.
func TestNothingIsRepeatedThatMustNotBe(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	fickle := func() string {
		return rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
			for {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, req.Body)
				mu.Lock()
				seen[req.Method+" "+req.URL.Path]++
				mu.Unlock()
				if err != nil || rand.IntN(10) == 0 {
					return // without an answer
				}
				io.WriteString(c, empty)
				if rand.IntN(4) == 0 {
					if rand.IntN(2) == 0 {
						c.SetLinger(0)
					}
					return // though it was kept
				}
			}
		})
	}
	r := start(t, fickle(), fickle())
	var wg sync.WaitGroup
	methods := []string{"GET", "POST", "PUT", "PATCH"}
	var answered atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			c := r.dial(t)
			for k := range 150 {
				method := methods[(i+k)%len(methods)]
				fmt.Fprintf(c, "%s /%d/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", method, i, k)
				res, err := http.ReadResponse(c.r, &http.Request{Method: method})
				if err != nil {
					t.Errorf("%s /%d/%d: %v", method, i, k, err)
					return
				}
				io.Copy(io.Discard, res.Body)
				mu.Lock()
				times := seen[fmt.Sprintf("%s /%d/%d", method, i, k)]
				mu.Unlock()
				repeatable := method == "GET" || method == "PUT"
				switch {
				case times > 2, times > 1 && !repeatable:
					t.Errorf("%s /%d/%d came %d times", method, i, k, times)
				case res.StatusCode == http.StatusOK && times == 0:
					t.Errorf("%s /%d/%d was answered by nobody", method, i, k)
				case res.StatusCode == http.StatusOK:
					answered.Add(1)
				case res.StatusCode != http.StatusBadGateway:
					t.Errorf("%s /%d/%d: %s", method, i, k, res.Status)
				}
			}
		})
	}
	wg.Wait()
	if got := answered.Load(); got < 600 {
		t.Errorf("%d requests of 1200 were answered, want most", got)
	}
}

// A server that closes idle connections early is no reason for a request to fail.
func TestIdleConnectionsThatEndAreNoticed(t *testing.T) {
	for _, how := range []string{"close", "reset"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := start(t, rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
				for {
					if _, err := readHead(in); err != nil {
						if how == "reset" {
							c.SetLinger(0)
						}
						return
					}
					io.WriteString(c, empty)
					c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(4)) * time.Millisecond))
				}
			}))
			c := r.dial(t)
			for i := range 200 {
				c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK {
					t.Fatalf("response %d = %s, want 200", i, res.Status)
				}
				pause(time.Duration(rand.IntN(4)) * time.Millisecond)
			}
		})
	}
}

// The pool keeps as many connections as it may, and not longer.
func TestPoolLimits(t *testing.T) {
	tests := []struct {
		name   string
		change func(*proxy.Pool)
		pause  time.Duration
		want   int // connections that two requests in turn take
	}{
		{"kept", func(*proxy.Pool) {}, 0, 1},
		{"none are kept", func(p *proxy.Pool) { p.Limits.Idle = 0 }, 0, 2},
		{"idle for too long", func(p *proxy.Pool) { p.Timeouts.Idle = tick }, 3 * tick, 2},
		{"idle, and not too long", func(p *proxy.Pool) { p.Timeouts.Idle = 10 * tick }, tick, 1},
		{"too old", func(p *proxy.Pool) { p.Limits.Age = tick }, 2 * tick, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := record200(t)
			r := startWith(t, generous(), newPool(t, with(t, tt.change, rec.address), nil))
			c := r.dial(t)
			for range 2 {
				c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				body(t, c.response(t, http.MethodGet))
				pause(tt.pause)
			}
			if got := rec.connections(); got != tt.want {
				t.Errorf("%d connections, want %d", got, tt.want)
			}
		})
	}
}
