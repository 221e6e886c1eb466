package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// counted runs a raw server that counts the requests it got.
func counted(t *testing.T, n *atomic.Int64, answer func(c *net.TCPConn)) string {
	return rawServer(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			n.Add(1)
			answer(c)
		}
	})
}

func says(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) { io.WriteString(c, text) }
}

const (
	fine      = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
	busy      = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
	early     = "HTTP/1.1 425 Too Early\r\nContent-Length: 0\r\n\r\n"
	get1      = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	post1     = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	keyedPost = "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\nhi"
)

func TestRetries(t *testing.T) {
	cut := func(c *net.TCPConn) { c.Close() }
	hang := func(*net.TCPConn) {}
	tests := []struct {
		name    string
		first   func(*net.TCPConn) // what the first server does, and the second does not
		on      []proxy.RetryOn
		request string
		change  func(*proxy.Pool)
		status  int
		retried bool
	}{
		{name: "status, listed", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: get1, status: 200, retried: true},
		{name: "status, not listed", first: says(busy), on: []proxy.RetryOn{proxy.Retry502}, request: get1, status: 503},
		{name: "status, not repeatable", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: post1, status: 503},
		{name: "status, with a key", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: keyedPost, status: 200, retried: true},
		{name: "too early", first: says(early), on: []proxy.RetryOn{proxy.Retry425}, request: post1, status: 200, retried: true},
		{name: "status, no attempt left", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: get1, status: 503,
			change: func(p *proxy.Pool) { p.Retry.Attempts = 0 }},
		{name: "status, no other server", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: get1, status: 503,
			change: func(p *proxy.Pool) { p.Servers = p.Servers[:1] }},
		{name: "status, the pool has no place left but its own", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: get1, status: 503,
			change: func(p *proxy.Pool) { p.Limits.Connections, p.Limits.Queue = 1, 10 }},
		{name: "no answer, listed", first: cut, on: []proxy.RetryOn{proxy.RetryEmpty}, request: get1, status: 200, retried: true},
		{name: "no answer, not listed", first: cut, on: []proxy.RetryOn{proxy.RetryConnect, proxy.RetryReset}, request: get1, status: 502},
		{name: "no answer, not repeatable", first: cut, on: []proxy.RetryOn{proxy.RetryEmpty}, request: post1, status: 502},
		{name: "late, listed", first: hang, on: []proxy.RetryOn{proxy.RetryTimeout}, request: get1, status: 200, retried: true,
			change: func(p *proxy.Pool) { p.Timeouts.Response = 50 * time.Millisecond }},
		{name: "late, not listed", first: hang, request: get1, status: 504,
			change: func(p *proxy.Pool) { p.Timeouts.Response = 50 * time.Millisecond }},
		{name: "after a wait", first: says(busy), on: []proxy.RetryOn{proxy.Retry503}, request: get1, status: 200, retried: true,
			change: func(p *proxy.Pool) { p.Retry.Backoff = 20 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var first, second atomic.Int64
			p := newPool(t, with(t, func(p *proxy.Pool) {
				p.Retry = proxy.Retry{Attempts: 1, On: tt.on, Budget: 1}
				if tt.change != nil {
					tt.change(p)
				}
			}, counted(t, &first, tt.first), counted(t, &second, says(fine))), nil)
			r := startWith(t, generous(), p)
			c := r.dial(t)
			// The first server has the first turn of each pool: round robin.
			c.send(t, tt.request)
			res := c.response(t, http.MethodGet)
			if res.StatusCode != tt.status {
				t.Errorf("response = %s, want %d", res.Status, tt.status)
			}
			body(t, res)
			want := int64(0)
			if tt.retried {
				want = 1
			}
			if first.Load() != 1 || second.Load() != want {
				t.Errorf("the servers got %d and %d requests, want 1 and %d", first.Load(), second.Load(), want)
			}
			if got := r.logged(t, 1)[0]["retries"]; got != float64(want) {
				t.Errorf("%v retries in the access log, want %d", got, want)
			}
			for i := range p.Servers() {
				eventually(t, func() bool { return r.server(i).Active == 0 })
			}
			if tt.first != nil && r.server(0).Served != 1 {
				t.Errorf("status = %+v", r.server(0))
			}
		})
	}
}

// When everything is down, retries must not make it worse.
func TestRetryBudgetHolds(t *testing.T) {
	var hits atomic.Int64
	down := counted(t, &hits, says(busy))
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Retry = proxy.Retry{Attempts: 3, On: []proxy.RetryOn{proxy.Retry503}, Budget: 0.2}
	}, down, counted(t, &hits, says(busy)), counted(t, &hits, says(busy))), nil)
	r := startWith(t, generous(), p)
	const clients, each = 10, 50
	var wg sync.WaitGroup
	for range clients {
		c := r.dial(t)
		wg.Go(func() {
			for range each {
				fmt.Fprint(c, get1)
				res, err := http.ReadResponse(c.r, nil)
				if err != nil || res.StatusCode != 503 || res.Header.Get(reasonField) != "" {
					t.Errorf("response = %v, %v; want the server's own 503", res, err)
					return
				}
				io.Copy(io.Discard, res.Body)
			}
		})
	}
	wg.Wait()
	if n, most := hits.Load(), int64(clients*each*12/10+10); n < clients*each || n > most {
		t.Errorf("%d requests became %d, want %d at most", clients*each, n, most)
	}
	if st := p.Status(time.Now()); st.Retrying != 0 {
		t.Errorf("%d retries are still counted", st.Retrying)
	}
}

// A client that leaves while its request waits to be sent again is not served.
func TestClientLeavesDuringBackoff(t *testing.T) {
	var hits atomic.Int64
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Retry = proxy.Retry{Attempts: 1, On: []proxy.RetryOn{proxy.Retry503}, Budget: 1, Backoff: 1000 * time.Hour}
	}, counted(t, &hits, says(busy)), counted(t, &hits, says(fine))), nil)
	r := startWith(t, generous(), p)
	c := r.dial(t)
	c.send(t, get1)
	eventually(t, func() bool { return hits.Load() == 1 })
	c.Close()
	if line := r.logged(t, 1)[0]; line["status"] != 499.0 || line["reason"] != "client_abort" {
		t.Errorf("line = %v, want 499", line)
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests, want 1", hits.Load())
	}
	for i := range 2 {
		eventually(t, func() bool { return r.server(i).Active == 0 })
	}
}

// A server that sends the end of its answers is told apart from one that fails.
func TestOutcomesReachThePool(t *testing.T) {
	var hits atomic.Int64
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Outlier = proxy.Outlier{Consecutive: 2, Eject: time.Hour, MaxEjected: 1}
	}, counted(t, &hits, says(busy)), counted(t, &hits, says(fine))), nil)
	p.Activate(time.Now())
	r := startWith(t, generous(), p)
	changed := make(chan struct{}, 10)
	f := func() { changed <- struct{}{} }
	r.observe.Store(&f)
	c := r.dial(t)
	statuses := map[int]int{}
	for range 10 {
		c.send(t, get1)
		res := c.response(t, http.MethodGet)
		body(t, res)
		statuses[res.StatusCode]++
	}
	if statuses[503] != 2 || statuses[200] != 8 {
		t.Errorf("statuses = %v, want 2 failures before the server is ejected", statuses)
	}
	<-changed
	if st := r.server(0); st.Ejections != 1 || st.Health != upstream.Up {
		t.Errorf("status = %+v, want it ejected", st)
	}
}
