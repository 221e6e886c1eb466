package l7

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// refusing returns an address where nothing listens.
func refusing(t testing.TB) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// webServer runs an HTTP server.
func webServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// echo answers with the request's body while it comes.
func echo(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}

// rawServer runs handle for each connection to a server that it writes byte by
// byte.
func rawServer(t testing.TB, handle func(c *net.TCPConn, r *bufio.Reader)) string {
	t.Helper()
	l := listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				handle(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// answers returns a raw server that reads a request head, sends response and ends.
func answers(t testing.TB, response string) string {
	return rawServer(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			io.WriteString(c, response)
			c.CloseWrite()
			io.Copy(io.Discard, r) // a body left unread would reset the connection
		}
	})
}

// readHead reads a message head as it is on the wire.
func readHead(r *bufio.Reader) (string, error) {
	var head []byte
	for {
		line, err := r.ReadBytes('\n')
		head = append(head, line...)
		if err != nil || len(line) <= 2 {
			return string(head), err
		}
	}
}

func pool(t testing.TB, servers ...string) *upstream.Pool {
	t.Helper()
	spec := proxy.Pool{Name: "web", Balance: proxy.RoundRobin}
	for _, s := range servers {
		spec.Servers = append(spec.Servers, proxy.Server{Name: s, Address: netip.MustParseAddrPort(s)})
	}
	p, err := upstream.NewPool(spec, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func backend(t testing.TB, servers ...string) *Backend {
	t.Helper()
	b := NewBackend(pool(t, servers...), nil, &dial.Dialer{
		Timeout: patience,
		Observe: func(*upstream.Server, upstream.Verdict) {},
	})
	t.Cleanup(func() { b.Retire(nil) })
	return b
}

// running is a Proxy that serves a listener.
type running struct {
	*Proxy
	l    *net.TCPListener
	done chan error
}

func start(t testing.TB, servers ...string) *running {
	t.Helper()
	r := &running{Proxy: New(backend(t, servers...), zap.NewNop()), l: listen(t), done: make(chan error, 1)}
	go func() { r.done <- r.Serve(r.l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.stop(t, ctx)
	})
	return r
}

func (r *running) stop(t testing.TB, ctx context.Context) {
	t.Helper()
	r.l.Close()
	if r.done != nil {
		if err := <-r.done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}
	r.done = nil
	r.Shutdown(ctx)
}

func (r *running) url(path string) string { return "http://" + r.l.Addr().String() + path }

// client is an HTTP client that adds nothing of its own.
func client(t testing.TB) *http.Client {
	t.Helper()
	tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func get(t testing.TB, url string) *http.Response {
	t.Helper()
	res, err := client(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func body(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read body: %v", err)
	}
	return string(b)
}

// raw is a client connection that the test writes byte by byte.
type raw struct {
	*net.TCPConn
	r *bufio.Reader
}

func (r *running) dial(t testing.TB) raw {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, r.l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return raw{TCPConn: c, r: bufio.NewReader(c)}
}

func (c raw) send(t testing.TB, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatalf("send %q: %v", s, err)
	}
}

// response reads the head of the next response.
func (c raw) response(t testing.TB, method string) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	return res
}

// settle waits until no connection of the proxy is open, and returns its counters.
func (r *running) settle(t testing.TB) proxy.Traffic {
	t.Helper()
	eventually(t, func() bool { return r.Traffic().Open == 0 })
	return r.Traffic()
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("what should happen did not")
		}
	}
}

func (r *running) server(i int) upstream.Status {
	return r.backend.Load().pool.Servers()[i].Status(time.Now())
}
