package worker

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// supervisor is the other end of a worker under test.
type supervisor struct {
	conn    *ipc.Conn[ipc.FromWorker, ipc.ToWorker]
	level   zap.AtomicLevel // of the worker's log
	cancel  context.CancelFunc
	result  chan error // of Run
	applied chan ipc.Applied
	pongs   chan ipc.Ping
	counts  chan ipc.Counts

	mu    sync.Mutex
	state ipc.WorkerState // newest

	generation uint64
}

func startWorker(t testing.TB) *supervisor {
	t.Helper()
	return startLogging(t, zap.NewNop(), io.Discard)
}

// startLogging is startWorker with its log and its access log.
func startLogging(t testing.TB, log *zap.Logger, access io.Writer) *supervisor {
	t.Helper()
	conn, file, err := ipc.Pair[ipc.FromWorker, ipc.ToWorker]("worker")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ipc.New[ipc.ToWorker, ipc.FromWorker](file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervisor{
		conn:    conn,
		level:   zap.NewAtomicLevel(),
		cancel:  cancel,
		result:  make(chan error, 1),
		applied: make(chan ipc.Applied, 16),
		pongs:   make(chan ipc.Ping, 16),
		counts:  make(chan ipc.Counts, 16),
	}
	go func() { s.result <- Run(ctx, theirs, Options{Log: log, Level: s.level, Access: access}) }()
	received := make(chan struct{})
	go func() {
		defer close(received)
		s.receive()
	}()
	t.Cleanup(func() {
		cancel()
		conn.Close()
		<-received
		if s.result != nil {
			s.ended(t)
		}
	})
	return s
}

func (s *supervisor) receive() {
	for {
		m, _, err := s.conn.Receive()
		switch {
		case err != nil:
			return
		case m.Applied != nil:
			s.applied <- *m.Applied
		case m.Pong != nil:
			s.pongs <- *m.Pong
		case m.Counts != nil:
			s.counts <- *m.Counts
		case m.State != nil:
			s.mu.Lock()
			s.state = *m.State
			s.mu.Unlock()
		}
	}
}

// ended waits for the end of Run, which must be a good one.
func (s *supervisor) ended(t testing.TB) {
	t.Helper()
	if err := await(t, s.result); err != nil {
		t.Errorf("Run = %v", err)
	}
	s.result = nil
}

func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("what should happen did not")
		panic("unreachable")
	}
}

func (s *supervisor) send(t testing.TB, m ipc.ToWorker, files ...*os.File) {
	t.Helper()
	if err := s.conn.Send(m, files...); err != nil {
		t.Fatal(err)
	}
}

// bind binds an address for a listener and hands the socket over. Only the worker
// holds it afterwards.
func (s *supervisor) bind(t testing.TB, listener string) netip.AddrPort {
	t.Helper()
	return s.bindAs(t, listener, netip.AddrPort{})
}

// bindAs is bind, with the socket handed over under another name than the address
// it is bound to.
func (s *supervisor) bindAs(t testing.TB, listener string, as netip.AddrPort) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	if !as.IsValid() {
		as = addr
	}
	s.send(t, ipc.ToWorker{Sockets: &ipc.Sockets{List: []ipc.Socket{{Listener: listener, Bind: as}}}}, f)
	return addr
}

// apply sends a config and returns the worker's error.
func (s *supervisor) apply(t testing.TB, spec proxy.Spec) string {
	t.Helper()
	return s.configure(t, ipc.WorkerConfig{Spec: spec})
}

// configure sends c in a new generation and returns the worker's error.
func (s *supervisor) configure(t testing.TB, c ipc.WorkerConfig) string {
	t.Helper()
	s.generation++
	c.Generation = s.generation
	s.send(t, ipc.ToWorker{Config: &c})
	a := await(t, s.applied)
	if a.Generation != s.generation {
		t.Fatalf("answer to generation %d, want %d", a.Generation, s.generation)
	}
	return a.Error
}

func (s *supervisor) mustApply(t testing.TB, spec proxy.Spec) {
	t.Helper()
	if err := s.apply(t, spec); err != "" {
		t.Fatalf("config refused: %s", err)
	}
}

// until waits for a state that satisfies ok.
func (s *supervisor) until(t testing.TB, ok func(ipc.WorkerState) bool) {
	t.Helper()
	eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok(s.state)
	})
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

// web runs an HTTP server.
func web(t testing.TB, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// says answers every request with its name.
func says(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }
}

// waits answers with 1, and with 2 when told.
func waits(next <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "1")
		w.(http.Flusher).Flush()
		select {
		case <-next:
			io.WriteString(w, "2")
		case <-r.Context().Done(): // else a test that failed would hang
		}
	}
}

// echoes runs a TCP server that echoes.
func echoes(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

func pools(pools ...proxy.Pool) []proxy.Pool { return pools }

func newSpecPool(name string, servers ...netip.AddrPort) proxy.Pool {
	p := proxy.Pool{Name: name, Balance: proxy.RoundRobin}
	for _, a := range servers {
		p.Servers = append(p.Servers, proxy.Server{Weight: 1, Name: a.String(), Address: a})
	}
	return p
}

func newSpecListener(name string, protocol proxy.Protocol, pool string, bind ...netip.AddrPort) proxy.Listener {
	return proxy.Listener{Name: name, Protocol: protocol, Routes: []proxy.Route{{Split: []proxy.Share{{Pool: pool, Weight: 1}}}}, Bind: bind}
}

// client is a connection to a listener.
type client struct {
	*net.TCPConn
	r *bufio.Reader
}

func connect(t testing.TB, addr netip.AddrPort) client {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return client{TCPConn: c, r: bufio.NewReader(c)}
}

// get sends a request and returns the head of the response.
func (c client) get(t testing.TB) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// ask sends a request and returns the body of the response.
func (c client) ask(t testing.TB) string {
	t.Helper()
	b, err := io.ReadAll(c.get(t).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// echo sends b and expects it back.
func (c client) echo(t testing.TB, s string) {
	t.Helper()
	io.WriteString(c, s)
	got := make([]byte, len(s))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != s {
		t.Fatalf("echo = %q, %v; want %q", got, err, s)
	}
}

// end expects the connection to end, and returns how.
func (c client) end(t testing.TB) error {
	t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connection goes on: %q, %v", rest, err)
	}
	return err
}

// refused waits until nothing listens on addr any more.
func refused(t testing.TB, addr netip.AddrPort) {
	t.Helper()
	eventually(t, func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}
