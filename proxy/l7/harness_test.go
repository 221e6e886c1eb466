package l7

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/trace"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

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
	l := reactortest.Listen(t)
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
	spec := proxy.Pool{
		Name: "web", Balance: proxy.RoundRobin,
		Timeouts: proxy.PoolTimeouts{Connect: patience, Response: patience, BodyIdle: patience, Idle: patience},
		Limits:   proxy.PoolLimits{Idle: 64},
		Retry:    proxy.Retry{Attempts: 5, On: []proxy.RetryOn{proxy.RetryConnect, proxy.RetryReset}, Budget: 1},
	}
	for _, s := range servers {
		s = overTLS(t, s)
		spec.Servers = append(spec.Servers, proxy.Server{Weight: 1, Name: s, Address: netip.MustParseAddrPort(s)})
	}
	return newPool(t, spec, nil)
}

func newPool(t testing.TB, spec proxy.Pool, old *upstream.Pool) *upstream.Pool {
	t.Helper()
	p, err := upstream.NewPool(spec, old, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// running is a Proxy that serves a listener, on loops of its own.
type running struct {
	*Proxy
	engine  *Engine
	config  Config
	l       *net.TCPListener
	unbind  func()   // nil once it has been called
	front   net.Addr // that clients without TLS come to
	log     *observer.ObservedLogs
	access  *accessLog
	tracer  *trace.Tracer          // takes no part until it is told to
	observe atomic.Pointer[func()] // called when a server's health changes

	overloaded atomic.Bool
}

// accessLog collects lines.
type accessLog struct {
	mu   sync.Mutex
	text []byte
}

func (a *accessLog) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = append(a.text, b...)
	return len(b), nil
}

// lines returns what has been logged.
func (a *accessLog) lines(t testing.TB) []map[string]any {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(a.text), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("access log line %q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

// generous lets nothing end by itself.
func generous() proxy.Listener {
	return proxy.Listener{
		Name: "shop", Protocol: proxy.HTTP, Routes: []proxy.Route{{Split: []proxy.Share{{Pool: "web", Weight: 1}}}},
		Limits:   proxy.ListenerLimits{LineBytes: 8 << 10, HeaderBytes: 32 << 10, Headers: 100},
		Timeouts: proxy.ListenerTimeouts{Header: patience, BodyIdle: patience, Idle: patience, Tunnel: patience, WriteIdle: patience},
	}
}

func start(t testing.TB, servers ...string) *running {
	t.Helper()
	return startWith(t, generous(), pool(t, servers...))
}

func startWith(t testing.TB, spec proxy.Listener, servers *upstream.Pool) *running {
	t.Helper()
	loops := reactortest.Start(t, 2, "as a bug would")
	core, logs := observer.New(zap.DebugLevel)
	r := &running{l: reactortest.Listen(t), log: logs, access: &accessLog{}, tracer: trace.New()}
	access := accesslog.New(r.access)
	access.Configure(true, 1)
	logCtx, stopLog := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = access.Run(logCtx) })
	t.Cleanup(func() {
		stopLog()
		wg.Wait()
	})
	r.engine = NewEngine(loops, Options{Observe: r.observed, Access: access, Overloaded: r.overloaded.Load, Tracer: r.tracer})
	r.config = Config{
		Listener: spec, Backends: map[string]*backend.Backend{"web": backend.New(r.engine.reactor.Loops(), servers, nil, options(t))},
		Log:       proxy.Log{Access: true, Sample: 1, RequestID: "x-request-id", Tenant: "x-tenant"},
		Pseudonym: "tandem-test",
	}
	r.front = r.l.Addr()
	if clientsOverTLS.Load() {
		s := newSecured(t, &r.config.Listener, proxy.ClientAuthNone)
		r.config.Terms = s.terms
		r.front = bridge(t, r.l.Addr().String(), s.client())
	}
	r.Proxy = r.engine.New(r.prepare(t), zap.New(core))
	r.bind(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.stop(t, ctx)
	})
	return r
}

func (r *running) observed(*upstream.Server, upstream.Verdict) {
	if f := r.observe.Load(); f != nil {
		(*f)()
	}
}

func (r *running) bind(t testing.TB) {
	t.Helper()
	f, err := r.l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.unbind, err = r.Listen(f); err != nil {
		t.Fatal(err)
	}
}

func (r *running) stop(t testing.TB, ctx context.Context) {
	t.Helper()
	if r.unbind != nil {
		r.unbind()
		r.unbind = nil
	}
	r.l.Close()
	r.Shutdown(ctx)
}

// use makes requests go to other servers.
func (r *running) use(t testing.TB, b *backend.Backend) {
	t.Helper()
	r.config.Backends = map[string]*backend.Backend{"web": b}
	r.Configure(r.prepare(t))
}

func (r *running) prepare(t testing.TB) *Prepared {
	t.Helper()
	p, err := r.engine.Prepare(r.config, r.Proxy, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (r *running) backend(t testing.TB, servers ...string) *backend.Backend {
	t.Helper()
	return backend.New(r.engine.reactor.Loops(), pool(t, servers...), nil, options(t))
}

func (r *running) url(path string) string { return "http://" + r.front.String() + path }

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
	c, err := net.DialTCP("tcp", nil, r.front.(*net.TCPAddr))
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
	all := r.Traffic()
	all.TLS = proxy.TLSTraffic{} // the rest is the same with it and without
	return all
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
	return r.config.Backends["web"].Pool.Servers()[i].Status(time.Now())
}
