package l7

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// gate runs a server that answers each request when it is let through.
type gate struct {
	address string
	came    chan string   // the path of each request
	let     chan struct{} // one for each answer
}

func newGate(t *testing.T) *gate {
	g := &gate{came: make(chan string, 100), let: make(chan struct{})}
	g.address = webServer(t, func(w http.ResponseWriter, r *http.Request) {
		g.came <- r.URL.Path
		select {
		case <-g.let:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, r.URL.Path)
	})
	return g
}

// narrow runs a proxy whose only server takes one request at a time.
func narrow(t *testing.T, change func(*proxy.Pool)) (*running, *gate) {
	t.Helper()
	g := newGate(t)
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Servers[0].MaxConnections = 1
		p.Limits.Queue, p.Limits.QueueTimeout = 10, patience
		change(p)
	}, g.address), nil)
	p.Activate(time.Now())
	return startWith(t, generous(), p), g
}

func (r *running) waiting(n int64) func() bool {
	p := r.config.Backends["web"].Pool
	return func() bool { return p.Status(time.Now()).Waiting == n }
}

func TestQueueIsServedInOrder(t *testing.T) {
	r, g := narrow(t, func(*proxy.Pool) {})
	var wg sync.WaitGroup
	ask := func(path string) {
		c := r.dial(t)
		c.send(t, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		wg.Go(func() {
			if res := c.response(t, http.MethodGet); res.StatusCode != 200 || body(t, res) != path {
				t.Errorf("%s: %s", path, res.Status)
			}
		})
	}
	ask("/0")
	<-g.came
	for i := 1; i <= 5; i++ {
		ask(fmt.Sprint("/", i))
		eventually(t, r.waiting(int64(i)))
	}
	for i := range 6 {
		if i > 0 {
			if got, want := <-g.came, fmt.Sprint("/", i); got != want {
				t.Errorf("the server got %s, want %s", got, want)
			}
		}
		g.let <- struct{}{}
	}
	wg.Wait()
	queued := 0
	for _, line := range r.logged(t, 6) {
		if ms, _ := line["queuedMs"].(float64); ms > 0 {
			queued++
		}
	}
	if queued != 5 {
		t.Errorf("%d lines say that they were queued, want 5", queued)
	}
	if !r.waiting(0)() || r.server(0).Active != 0 {
		t.Errorf("pool = %+v, server = %+v", r.config.Backends["web"].Pool.Status(time.Now()), r.server(0))
	}
}

func TestQueueEnds(t *testing.T) {
	full := func(p *proxy.Pool) { p.Limits.Queue = 1 }
	tests := []struct {
		name    string
		change  func(*proxy.Pool)
		timeout time.Duration // of the route
		before  int           // who wait already
		status  int
		reason  string // of the 503
		logged  string
	}{
		{"full", full, 0, 1, 503, "queue-full", "queue_full"},
		{"none", func(p *proxy.Pool) { p.Limits.Queue = 0 }, 0, 0, 503, "queue-full", "queue_full"},
		{"too long", func(p *proxy.Pool) { p.Limits.QueueTimeout = 50 * time.Millisecond }, 0, 0, 503, "queue-timeout", "queue_timeout"},
		{"the time of the route is up", func(*proxy.Pool) {}, 50 * time.Millisecond, 0, 504, "", "route_timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, g := narrow(t, tt.change)
			held := r.dial(t)
			held.send(t, get1)
			<-g.came
			for i := range tt.before {
				r.dial(t).send(t, get1)
				eventually(t, r.waiting(int64(i+1)))
			}
			r.config.Listener.Routes[0].Timeout = tt.timeout
			r.Configure(r.prepare(t))
			c := r.dial(t)
			c.send(t, get1)
			res := c.response(t, http.MethodGet)
			if res.StatusCode != tt.status || res.Header.Get(reasonField) != tt.reason || tt.status == 503 && res.Header.Get("Retry-After") != "1" {
				t.Errorf("response = %s, %v; want %d for %q", res.Status, res.Header, tt.status, tt.reason)
			}
			body(t, res)
			if got := r.logged(t, 1)[0]["reason"]; got != tt.logged {
				t.Errorf("reason = %v, want %s", got, tt.logged)
			}
			eventually(t, r.waiting(int64(tt.before)))
			for range tt.before + 1 {
				g.let <- struct{}{}
			}
		})
	}
}

func TestClientLeavesTheQueue(t *testing.T) {
	r, g := narrow(t, func(*proxy.Pool) {})
	held := r.dial(t)
	held.send(t, get1)
	<-g.came
	c := r.dial(t)
	c.send(t, get1)
	eventually(t, r.waiting(1))
	c.Close()
	eventually(t, r.waiting(0))
	if line := r.logged(t, 1)[0]; line["status"] != 499.0 || line["reason"] != "client_abort" {
		t.Errorf("line = %v, want 499", line)
	}
	g.let <- struct{}{}
	if res := held.response(t, http.MethodGet); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

func TestRouteTimeout(t *testing.T) {
	g := newGate(t)
	r := start(t, g.address)
	r.config.Listener.Routes[0].Timeout = 100 * time.Millisecond
	r.Configure(r.prepare(t))
	c := r.dial(t)
	c.send(t, get1)
	res := c.response(t, http.MethodGet)
	if b := body(t, res); res.StatusCode != 504 || !strings.Contains(b, "longer than it may") {
		t.Errorf("response = %s, %q", res.Status, b)
	}
	<-g.came
	t.Log("# the connection goes on, without the deadline")
	r.config.Listener.Routes[0].Timeout = 0
	r.Configure(r.prepare(t))
	c.send(t, get1)
	<-g.came
	g.let <- struct{}{}
	if res := c.response(t, http.MethodGet); res.StatusCode != 200 {
		t.Errorf("response = %s, want 200", res.Status)
	}
}

// A server that is replaced keeps nobody in the queue: not who has waited for it, and
// not who comes after them.
func TestOneWhoWaitsGoesToTheServerOfANewConfig(t *testing.T) {
	r, g := narrow(t, func(*proxy.Pool) {})
	c, first := r.dial(t), r.dial(t)
	first.send(t, get1)
	<-g.came
	c.send(t, get1)
	eventually(t, r.waiting(1))
	other := netip.MustParseAddrPort(webServer(t, echo))
	r.change(t, func(p *proxy.Pool) { p.Servers[0].Address, p.Servers[0].Name = other, "other" })
	if res := c.response(t, http.MethodGet); res.StatusCode != 200 {
		t.Errorf("the one who waited: %s", res.Status)
	}
	if res := get(t, r.url("/")); res.StatusCode != 200 {
		t.Errorf("one who came later: %s", res.Status)
	}
	g.let <- struct{}{}
	if res := first.response(t, http.MethodGet); res.StatusCode != 200 {
		t.Errorf("the one who was there before: %s", res.Status)
	}
}

// Nobody tells those who wait that the time of an ejection is over.
func TestOneWhoWaitsFindsAServerThatIsBack(t *testing.T) {
	g, other := newGate(t), webServer(t, echo)
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Outlier = proxy.Outlier{Consecutive: 1, Eject: time.Second, MaxEjected: 0.5}
		p.Servers[0].MaxConnections = 1
		p.Limits.Queue, p.Limits.QueueTimeout = 10, patience
	}, g.address, other), nil)
	p.Activate(time.Now())
	r := startWith(t, generous(), p)
	if !p.Again(p.Servers()[1], time.Now()) {
		t.Fatal("no place")
	}
	p.Servers()[1].End(time.Now(), upstream.Outcome{Result: upstream.Failure}) // it is ejected
	first, c := r.dial(t), r.dial(t)
	first.send(t, get1)
	<-g.came
	c.send(t, get1)
	if res := c.response(t, http.MethodGet); res.StatusCode != 200 {
		t.Errorf("the one who waited: %s", res.Status)
	}
	g.let <- struct{}{}
	first.response(t, http.MethodGet)
}

// The server that was tried before the wait may be gone with a reload: the log has its
// name nevertheless.
func TestAServerThatWasTriedAndIsGoneIsNamed(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	silent := rawServer(t, func(c *net.TCPConn, in *bufio.Reader) { _, _ = readHead(in) })
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Servers[0].Name, p.Servers[1].MaxConnections = "gone", 1
		p.Limits.Queue, p.Limits.QueueTimeout = 10, 2*time.Second
		p.Retry.On = []proxy.RetryOn{proxy.RetryEmpty}
	}, silent, g.address), nil)
	p.Activate(time.Now())
	r := startWith(t, generous(), p)
	first, c := r.dial(t), r.dial(t)
	first.send(t, get1)
	<-g.came
	c.send(t, get1) // to the one that says nothing, and then to the queue
	eventually(t, r.waiting(1))
	r.change(t, func(p *proxy.Pool) { p.Servers = p.Servers[1:] })
	if res := c.response(t, http.MethodGet); res.StatusCode != 502 {
		t.Errorf("response = %s, want 502", res.Status)
	}
	if line := r.logged(t, 1)[0]; line["server"] != "gone" {
		t.Errorf("line = %v, want the server that was tried", line)
	}
	g.let <- struct{}{}
	first.response(t, http.MethodGet)
}
