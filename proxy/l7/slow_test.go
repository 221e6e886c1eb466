package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// noise returns n bytes that do not repeat: one that is lost or doubled shows.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// with returns a pool of servers whose spec was changed.
func with(t testing.TB, change func(*proxy.Pool), servers ...string) proxy.Pool {
	t.Helper()
	spec := pool(t, servers...).Spec()
	change(&spec)
	return spec
}

// pause is for peers that are slow on purpose: it is not there to wait for anything
// to have happened.
func pause(d time.Duration) { <-time.After(d) }

// A client that pauses for longer than it may is cut; what it got until then is the
// start of the response, and not a byte is missing in between.
func TestSlowReaderGetsNoGaps(t *testing.T) {
	payload := noise(24 << 20)
	server := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(payload)))
		w.Write(payload)
	})
	spec := generous()
	spec.Timeouts.WriteIdle = 250 * time.Millisecond
	r := startWith(t, spec, pool(t, server))
	for _, slow := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(slow.String(), func(t *testing.T) {
			t.Parallel()
			c := r.dial(t)
			c.SetReadBuffer(64 << 10)
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res := c.response(t, http.MethodGet)
			part := make([]byte, 3<<20)
			for at := 0; at < len(payload); {
				n, err := io.ReadFull(res.Body, part[:min(len(part), len(payload)-at)])
				if !bytes.Equal(part[:n], payload[at:at+n]) {
					t.Fatalf("within the %d bytes from %d on something is missing", n, at)
				}
				at += n
				if err != nil {
					if slow < spec.Timeouts.WriteIdle {
						t.Errorf("cut after %d bytes, %v, though its pauses are short enough", at, err)
					}
					return
				}
				pause(slow)
			}
		})
	}
}

// The same in the other direction: the server pauses.
func TestSlowServerGetsNoGaps(t *testing.T) {
	payload := noise(24 << 20)
	for _, slow := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(slow.String(), func(t *testing.T) {
			t.Parallel()
			checked := make(chan error, 1)
			server := rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
				c.SetReadBuffer(64 << 10)
				readHead(in)
				part := make([]byte, 3<<20)
				for at := 0; at < len(payload); {
					n, err := io.ReadFull(in, part[:min(len(part), len(payload)-at)])
					if !bytes.Equal(part[:n], payload[at:at+n]) {
						checked <- fmt.Errorf("within the %d bytes from %d on something is missing", n, at)
						return
					}
					if at += n; err != nil {
						checked <- nil // cut, which is as good
						return
					}
					pause(slow)
				}
				checked <- nil
				io.WriteString(c, empty)
			})
			r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Timeouts.Response = 250 * time.Millisecond }, server), nil))
			req, err := http.NewRequest(http.MethodPost, r.url("/"), bytes.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			res, err := client(t).Do(req)
			if err := <-checked; err != nil {
				t.Error(err)
			}
			if slow < 250*time.Millisecond && (err != nil || res.StatusCode != http.StatusOK) {
				t.Errorf("response = %v, %v; want 200: the server is slow, and not too slow", res, err)
			}
		})
	}
}

// The time for a response's head is for that alone: neither a long upload before it
// nor a body that came on the connection before takes of it.
func TestTimeoutsBeginAnew(t *testing.T) {
	t.Run("an upload may take longer than a response", func(t *testing.T) {
		t.Parallel()
		for _, chunked := range []bool{false, true} {
			r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Timeouts.Response = 200 * time.Millisecond }, webServer(t, echo)), nil))
			sent, say := io.Pipe()
			req, err := http.NewRequest(http.MethodPost, r.url("/"), sent)
			if err != nil {
				t.Fatal(err)
			}
			if !chunked {
				req.ContentLength = 5 * 100_000
			}
			go func() {
				for range 5 {
					pause(100 * time.Millisecond)
					say.Write(make([]byte, 100_000))
				}
				say.Close()
			}()
			res, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := body(t, res); res.StatusCode != http.StatusOK || len(got) != 500_000 {
				t.Errorf("chunked %t: response = %s with %d bytes, want 200 with all of the request", chunked, res.Status, len(got))
			}
		}
	})
	t.Run("a head is not timed like a body", func(t *testing.T) {
		t.Parallel()
		server := webServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				pause(300 * time.Millisecond)
			}
			w.(http.Flusher).Flush()
			pause(20 * time.Millisecond)
			io.WriteString(w, "hello")
		})
		r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Timeouts.BodyIdle = 100 * time.Millisecond }, server), nil))
		c := r.dial(t)
		for _, path := range []string{"/", "/late"} {
			c.send(t, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
			if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK || body(t, res) != "hello" {
				t.Errorf("%s: response = %s, want 200", path, res.Status)
			}
		}
	})
	t.Run("the next head is not timed like a body", func(t *testing.T) {
		t.Parallel()
		spec := generous()
		spec.Timeouts.BodyIdle = 100 * time.Millisecond
		c := startWith(t, spec, pool(t, webServer(t, echo))).dial(t)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
		pause(50 * time.Millisecond)
		c.send(t, "world")
		body(t, c.response(t, http.MethodPost))
		c.send(t, "GET / HTTP/1.1\r\n")
		pause(300 * time.Millisecond)
		c.send(t, "Host: a\r\nConnection: close\r\n\r\n")
		if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK {
			t.Errorf("response = %s, want 200", res.Status)
		}
	})
}

// A server that takes no more of a request than a part is given up, and the client
// learns it.
func TestServerThatStopsReading(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %t", chunked), func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			server := rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
				readHead(in)
				<-gone
			})
			r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Timeouts.Response = 100 * time.Millisecond }, server), nil))
			t.Cleanup(func() { close(gone) })
			c := r.dial(t)
			head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"
			if chunked {
				head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5f5e100\r\n"
			}
			go func() { io.WriteString(c, head+strings.Repeat("x", 64<<20)) }()
			if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusGatewayTimeout || !res.Close {
				t.Errorf("response = %s, close %t; want 504 and close", res.Status, res.Close)
			}
			eventually(t, func() bool { return r.server(0).Failed == 1 })
		})
	}
}
