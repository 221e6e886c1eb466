package l7

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
)

// unaccepting returns an address that lets nobody in: its backlog is full.
func unaccepting(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 8 { // until the kernel answers no more
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("the kernel lets everybody in")
	return ""
}

// A client that leaves takes its server's connection along, is logged as that, and
// nobody else is blamed.
func TestAbortedByTheClient(t *testing.T) {
	// Each server says when the client is to leave, and when its connection is gone.
	type server func(left chan<- bool, gone chan<- struct{}) func(c *net.TCPConn, in *bufio.Reader)
	until := func(in *bufio.Reader, gone chan<- struct{}) {
		io.Copy(io.Discard, in)
		gone <- struct{}{}
	}
	waits := server(func(left chan<- bool, gone chan<- struct{}) func(*net.TCPConn, *bufio.Reader) {
		return func(_ *net.TCPConn, in *bufio.Reader) {
			readHead(in)
			left <- true
			until(in, gone)
		}
	})
	floods := func(head string) server {
		return func(left chan<- bool, gone chan<- struct{}) func(*net.TCPConn, *bufio.Reader) {
			return func(c *net.TCPConn, in *bufio.Reader) {
				readHead(in)
				io.WriteString(c, head)
				chunk := []byte("10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n")
				for i := 0; ; i++ {
					if _, err := c.Write(chunk); err != nil {
						gone <- struct{}{}
						return
					}
					if i == 10 {
						left <- true
					}
				}
			}
		}
	}
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	big := strings.Repeat("x", 100_000)
	tests := []struct {
		name   string
		server server
		sent   string
		status float64
	}{
		{"while the response is awaited", waits, get, 499},
		{"within a small body", waits, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", 499},
		{"within a large body", waits, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + big, 499},
		{"within a body in chunks", waits, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + big, 499},
		{"before a body that was to be asked for", waits, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", 499},
		{"while a response with a length comes", floods("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n"), get, 200},
		{"while chunks come", floods("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), get, 200},
		{"while a response without a length comes", floods("HTTP/1.1 200 OK\r\n\r\n"), get, 200},
	}
	for _, tt := range tests {
		for _, how := range []string{"close", "reset"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				left, gone := make(chan bool, 1), make(chan struct{}, 1)
				r := start(t, rawServer(t, tt.server(left, gone)))
				c := r.dial(t)
				c.send(t, tt.sent)
				<-left
				if how == "reset" {
					c.SetLinger(0)
				}
				c.Close()
				select {
				case <-gone:
				case <-time.After(patience / 2):
					t.Fatal("the server's connection lives on")
				}
				line := r.logged(t, 1)[0]
				if line["status"] != tt.status || line["reason"] != "client_abort" {
					t.Errorf("line = %v, want status %v and client_abort", line, tt.status)
				}
				if tr := r.settle(t); tr.Failed != 0 {
					t.Errorf("traffic = %+v, want no failure", tr)
				}
				eventually(t, func() bool { return r.server(0).Active == 0 })
				if st := r.server(0); st.Failed != 0 {
					t.Errorf("status = %+v, want no failure", st)
				}
			})
		}
	}
	t.Run("while the server is connected to", func(t *testing.T) {
		t.Parallel()
		r := start(t, unaccepting(t))
		c := r.dial(t)
		c.send(t, get)
		eventually(t, func() bool { return r.server(0).Active == 1 })
		c.Close()
		if line := r.logged(t, 1)[0]; line["status"] != 499.0 || line["reason"] != "client_abort" {
			t.Errorf("line = %v, want 499 client_abort", line)
		}
		r.settle(t)
		if st := r.server(0); st.Failed != 0 || st.Active != 0 {
			t.Errorf("status = %+v, want no trace", st)
		}
	})
}

// A request whose client has left before its turn came reaches no server.
func TestARequestThatNobodyWaitsForIsNotSentOn(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	hold := make(chan struct{})
	for _, l := range r.engine.reactor.Loops() {
		if err := l.Post(func() { <-hold }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		c := r.dial(t) // the kernel answers
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.Close()
	}
	close(hold)
	for _, line := range r.logged(t, 3) {
		if line["status"] != 499.0 || line["reason"] != "client_abort" || line["server"] != nil {
			t.Errorf("line = %v, want 499 client_abort, and no server", line)
		}
	}
	if tr := r.settle(t); tr.Failed != 0 || r.server(0).Served != 0 {
		t.Errorf("traffic = %+v, server %+v; want no failure, and nothing served", tr, r.server(0))
	}
}

// quick returns a listener that is patient in nothing but what change makes it.
func quick(change func(*proxy.Listener)) proxy.Listener {
	spec := generous()
	change(&spec)
	return spec
}

const tick = 150 * time.Millisecond // a timeout in tests

// A client that is late is told so once it has begun to speak, and else not
// answered.
func TestLateClients(t *testing.T) {
	tests := []struct {
		name   string
		change func(*proxy.Listener)
		talk   func(t *testing.T, c raw) // until the client is to be given up
		status int                       // 0: a silent end
	}{
		{"a new connection that says nothing", func(l *proxy.Listener) { l.Timeouts.Idle = tick }, func(*testing.T, raw) {}, 0},
		{"a new connection, by the time for a head", func(l *proxy.Listener) { l.Timeouts.Header = tick }, func(*testing.T, raw) {}, 0},
		{"an idle connection", func(l *proxy.Listener) { l.Timeouts.Idle = tick }, func(t *testing.T, c raw) {
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			body(t, c.response(t, http.MethodGet))
		}, 0},
		{"a head byte by byte", func(l *proxy.Listener) { l.Timeouts.Header = tick }, func(t *testing.T, c raw) {
			go drip(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 2000))
		}, 408},
		{"the second head byte by byte", func(l *proxy.Listener) { l.Timeouts.Header = tick }, func(t *testing.T, c raw) {
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET")
			body(t, c.response(t, http.MethodGet))
			go drip(c, " / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 2000))
		}, 408},
		{"empty lines", func(l *proxy.Listener) { l.Timeouts.Header = tick }, func(t *testing.T, c raw) { c.send(t, "\r\n") }, 408},
		{"a body that stops", func(l *proxy.Listener) { l.Timeouts.BodyIdle = tick }, func(t *testing.T, c raw) {
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
		}, 408},
		{"a body that never begins", func(l *proxy.Listener) { l.Timeouts.BodyIdle = tick }, func(t *testing.T, c raw) {
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		}, 408},
		{"a large body that stops", func(l *proxy.Listener) { l.Timeouts.BodyIdle = tick }, func(t *testing.T, c raw) {
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 300_000))
		}, 408},
		{"chunks that stop", func(l *proxy.Listener) { l.Timeouts.BodyIdle = tick }, func(t *testing.T, c raw) {
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1")
		}, 408},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := record200(t)
			r := startWith(t, quick(tt.change), pool(t, rec.address))
			c := r.dial(t)
			began := time.Now()
			tt.talk(t, c)
			if tt.status == 0 {
				c.ends(t)
			} else {
				res := c.response(t, http.MethodPost)
				if res.StatusCode != tt.status || !res.Close {
					t.Errorf("response = %s, close %t; want %d and close", res.Status, res.Close, tt.status)
				}
				io.Copy(io.Discard, c.r)
			}
			if took := time.Since(began); took < tick-tick/10 { // the loop may have read its clock before the client
				t.Errorf("given up after %v, want %v at least", took, tick)
			}
			for _, got := range rec.requests() {
				if strings.HasPrefix(got.Line, "POST") && got.Err == "" {
					t.Errorf("the server got %q, which looks complete", got)
				}
			}
			c.Close()
			r.settle(t)
			if st := r.server(0); st.Failed != 0 || st.Active != 0 {
				t.Errorf("status = %+v, want no failure", st)
			}
		})
	}
}

// drip sends a byte every now and then, until the connection ends.
func drip(c raw, s string) {
	for i := range len(s) {
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
		pause(10 * time.Millisecond)
	}
}

// A body that comes, or is taken, more slowly than the minimum rate is given up
// after the time of grace, however steadily it comes.
func TestMinimumRate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than the time of grace")
	}
	spec := quick(func(l *proxy.Listener) { l.Limits.MinRate = 100_000 })
	late := func(r *running, t *testing.T, status float64, reason string, began time.Time) {
		t.Helper()
		line := r.logged(t, 1)[0]
		if line["status"] != status || line["reason"] != reason {
			t.Errorf("line = %v, want %v and %s", line, status, reason)
		}
		if took := time.Since(began); took < proxy.MinRateGrace {
			t.Errorf("given up after %v, before the time of grace", took)
		}
		if st := r.server(0); st.Failed != 0 {
			t.Errorf("status = %+v, want no failure", st)
		}
	}
	for name, head := range map[string]string{
		"sized upload":   "Content-Length: 20000\r\n\r\n",
		"spliced upload": "Content-Length: 100000000\r\n\r\n",
		"chunked upload": "Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startWith(t, spec, pool(t, record200(t).address))
			c := r.dial(t)
			began := time.Now()
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\n"+head)
			go drip(c, strings.Repeat("x", 2000))
			if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusRequestTimeout || !res.Close {
				t.Errorf("response = %s, close %t; want 408 and close", res.Status, res.Close)
			}
			late(r, t, 408, "client_timeout_body", began)
		})
	}
	for name, head := range map[string]string{
		"sized response":   "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n",
		"chunked response": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2faf080\r\n",
		"unsized response": "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What the kernel holds for the client counts as taken; it is little then.
			spec := quick(func(l *proxy.Listener) { l.Limits.MinRate = 10_000_000 })
			r := startWith(t, spec, pool(t, answers(t, head+strings.Repeat("x", 50_000_000))))
			c := r.dial(t)
			c.SetReadBuffer(4 << 10)
			began := time.Now()
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			var end error
			eventually(t, func() bool { // it takes 20 KB/s
				var b [1 << 10]byte
				if end == nil {
					_, end = c.Read(b[:]) // what comes behind an error says nothing
				}
				pause(50 * time.Millisecond)
				return len(r.access.lines(t)) > 0
			})
			late(r, t, 200, "client_slow_read", began)
			if end == nil {
				_, end = io.Copy(io.Discard, c)
			}
			if !errors.Is(end, unix.ECONNRESET) {
				t.Errorf("end = %v, want a reset", end)
			}
		})
	}
	t.Run("fast enough", func(t *testing.T) {
		t.Parallel()
		r := startWith(t, quick(func(l *proxy.Listener) { l.Limits.MinRate = 1000 }), pool(t, record200(t).address))
		c := r.dial(t)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
		for range 30 {
			c.send(t, strings.Repeat("x", 1000))
			pause(proxy.MinRateGrace / 25)
		}
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusOK {
			t.Errorf("response = %s, want 200", res.Status)
		}
	})
}

// Servers that are late.
func TestLateServers(t *testing.T) {
	tests := []struct {
		name   string
		server string
		change func(*proxy.Pool)
		status int
		body   string
	}{
		{"no connection", unaccepting(t), func(p *proxy.Pool) { p.Timeouts.Connect = tick }, 504, ""},
		{"no response", answersLate(t, ""), func(p *proxy.Pool) { p.Timeouts.Response = tick }, 504, ""},
		{"half a head", answersLate(t, "HTTP/1.1 200 OK\r\nConte"), func(p *proxy.Pool) { p.Timeouts.Response = tick }, 504, ""},
		{"an interim response", answersLate(t, "HTTP/1.1 100 Continue\r\n\r\n"), func(p *proxy.Pool) { p.Timeouts.Response = tick }, 504, ""},
		{"a body that stops", answersLate(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), func(p *proxy.Pool) { p.Timeouts.BodyIdle = tick }, 200, "hello"},
		{"a large body that stops", answersLate(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello"), func(p *proxy.Pool) { p.Timeouts.BodyIdle = tick }, 200, "hello"},
		{"chunks that stop", answersLate(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), func(p *proxy.Pool) { p.Timeouts.BodyIdle = tick }, 200, "hello"},
		{"an end that never comes", answersLate(t, "HTTP/1.1 200 OK\r\n\r\nhello"), func(p *proxy.Pool) { p.Timeouts.BodyIdle = tick }, 200, "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := startWith(t, generous(), newPool(t, with(t, tt.change, tt.server), nil))
			c := r.dial(t)
			began := time.Now()
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res := c.response(t, http.MethodGet)
			if res.StatusCode == http.StatusContinue {
				res = c.response(t, http.MethodGet)
			}
			if res.StatusCode != tt.status {
				t.Errorf("response = %s, want %d", res.Status, tt.status)
			}
			if tt.status == http.StatusOK {
				if got, err := io.ReadAll(res.Body); err == nil || string(got) != tt.body {
					t.Errorf("body = %q, %v; want %q and no end", got, err, tt.body)
				}
			} else if res.Close {
				t.Error("the client's connection is closed; want it kept: the request is complete")
			}
			if took := time.Since(began); took < tick {
				t.Errorf("given up after %v, want %v at least", took, tick)
			}
			eventually(t, func() bool { return r.server(0).Active == 0 && r.server(0).Failed == 1 })
		})
	}
}

// answersLate is answers, but the end of the response never comes.
func answersLate(t testing.TB, response string) string {
	return rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, err := readHead(in); err == nil {
			io.WriteString(c, response)
			io.Copy(io.Discard, in)
		}
	})
}
