package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/l7/flow"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// U1, U2: only a change to websocket is offered, and only what was offered is
// accepted.
func TestOnlyWebSocketIsOffered(t *testing.T) {
	tests := []struct {
		name, fields, answer string
		status               int
	}{
		{"websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\n", switching, 101},
		{"in another case", "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n", switching, 101},
		{"h2c before it", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", switching, 101},
		{"not listed by Connection", "Upgrade: websocket\r\n", switching, 502},
		{"nothing", "", switching, 502},
		{"h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", strings.Replace(switching, "websocket", "h2c", 1), 502},
		{"something else", "Connection: Upgrade\r\nUpgrade: spdy\r\n", strings.Replace(switching, "websocket", "spdy", 1), 502},
		{"another answer", "Connection: Upgrade\r\nUpgrade: websocket\r\n", strings.Replace(switching, "websocket", "h2c", 1), 502},
		{"an answer without Upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "HTTP/1.1 101 Switching\r\n\r\n", 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, answersLate(t, tt.answer))
			c := r.dial(t)
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n"+tt.fields+"\r\n")
			if res := c.response(t, http.MethodGet); res.StatusCode != tt.status {
				t.Errorf("response = %s, want %d", res.Status, tt.status)
			}
			if unasked := r.Traffic().Refused["unwanted_switch"]; (unasked > 0) != (tt.status != 101) {
				t.Errorf("%d unwanted switches counted", unasked)
			}
		})
	}
}

// U3: what either side sent along with its last bytes of HTTP comes first.
func TestBytesAroundTheSwitchKeepTheirOrder(t *testing.T) {
	for _, size := range []int{1, 5000, flow.BufferSize - 500, 300_000} {
		early := string(noise(size))
		got := make(chan string, 1)
		r := start(t, rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			go io.WriteString(c, switching+early+"server")
			b, _ := io.ReadAll(in)
			got <- string(b)
		}))
		c := r.dial(t)
		switched := make(chan struct{})
		go func() {
			io.WriteString(c, upgrade+early+"client")
			<-switched // who ends before the response is taken for gone
			c.CloseWrite()
		}()
		c.response(t, http.MethodGet)
		close(switched)
		if b, err := io.ReadAll(c.r); err != nil || string(b) != early+"server" {
			t.Errorf("size %d: the client got %d bytes, %v; want %d, the same", size, len(b), err, size+len("server"))
		}
		if b := <-got; b != early+"client" {
			t.Errorf("size %d: the server got %d bytes; want %d, the same", size, len(b), size+len("client"))
		}
	}
}

// U4: each side ends by itself, and a silence of both ends both.
func TestTunnelEnds(t *testing.T) {
	t.Run("the server first", func(t *testing.T) {
		t.Parallel()
		got := make(chan string, 1)
		r := start(t, rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			io.WriteString(c, switching+"bye")
			c.CloseWrite()
			b, _ := io.ReadAll(in)
			got <- string(b)
		}))
		c := r.dial(t)
		c.send(t, upgrade)
		c.response(t, http.MethodGet)
		if b, err := io.ReadAll(c.r); err != nil || string(b) != "bye" {
			t.Errorf("the client got %q, %v; want bye", b, err)
		}
		c.send(t, "and more")
		c.CloseWrite()
		if b := <-got; b != "and more" {
			t.Errorf("the server got %q, want what came behind its end", b)
		}
		r.settle(t)
		eventually(t, func() bool { return r.server(0).Active == 0 })
		if st := r.server(0); st.Failed != 0 || st.Served != 1 {
			t.Errorf("status = %+v, want a request served", st)
		}
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		gone := make(chan struct{})
		r := startWith(t, quick(func(l *proxy.Listener) { l.Timeouts.Tunnel = 2 * tick }), pool(t, rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			io.WriteString(c, switching)
			io.Copy(c, in)
			close(gone)
		})))
		c := r.dial(t)
		c.send(t, upgrade)
		c.response(t, http.MethodGet)
		began := time.Now()
		for range 5 { // one side that speaks keeps both
			c.send(t, "ping")
			c.expect(t, "ping")
			pause(tick)
		}
		io.Copy(io.Discard, c.r)
		if took := time.Since(began); took < 6*tick {
			t.Errorf("ended after %v, though there was something said until %v", took, 4*tick)
		}
		<-gone
		r.settle(t)
	})
}

// A request whose body is on its way cannot become a tunnel: where the body ends,
// nobody would say.
func TestSwitchWithinABody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1000000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"} {
		r := start(t, answersLate(t, switching+"evil"))
		c := r.dial(t)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+framing)
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusBadGateway || !res.Close {
			t.Errorf("response = %s, close %t; want 502 and close", res.Status, res.Close)
		}
		c.Close()
		if tr := r.settle(t); tr.Panics != 0 {
			t.Errorf("traffic = %+v, want no panic", tr)
		}
	}
}
