package l4

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// backend runs handle for each connection to a server, and waits for them.
func backend(t testing.TB, handle func(*net.TCPConn)) string {
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
				c.SetDeadline(time.Now().Add(20 * time.Second))
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// refusing returns an address where nothing listens.
func refusing(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) }) // until then nobody else gets the port
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}

func pool(t testing.TB, servers ...string) *upstream.Pool {
	t.Helper()
	spec := proxy.Pool{Name: "db", Balance: proxy.RoundRobin}
	for _, s := range servers {
		spec.Servers = append(spec.Servers, proxy.Server{Name: s, Address: netip.MustParseAddrPort(s)})
	}
	return repool(t, spec)
}

func repool(t testing.TB, spec proxy.Pool) *upstream.Pool {
	t.Helper()
	p, err := upstream.NewPool(spec, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// running is a Proxy that serves a listener, on loops of its own.
type running struct {
	*Proxy
	config Config
	l      *net.TCPListener
	unbind func()
}

func start(t testing.TB, p *upstream.Pool) *running {
	t.Helper()
	loops, err := reactor.New(reactor.Options{Loops: 2, Panicked: func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = loops.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	r := &running{l: listen(t), config: Config{Pool: p, Observe: func(*upstream.Server, upstream.Verdict) {}}}
	r.Proxy = New(loops, r.config)
	f, err := r.l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.unbind, err = r.Listen(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.stop(t, ctx)
	})
	return r
}

func (r *running) stop(t testing.TB, ctx context.Context) {
	t.Helper()
	r.unbind()
	r.l.Close()
	r.Shutdown(ctx)
}

// use makes new connections go by a changed config.
func (r *running) use(change func(*Config)) {
	change(&r.config)
	r.Configure(r.config)
}

func (r *running) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// settle waits until the proxy's connections are gone, and returns its counters.
func (r *running) settle(t *testing.T) proxy.Traffic {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		tr := r.Traffic()
		if tr.Open == 0 {
			return tr
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("traffic = %+v, want no open connection", tr)
		}
	}
}

// reset closes c so that its peer gets a RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}

func TestBytesBothWays(t *testing.T) {
	const size = 8 << 20
	r := start(t, pool(t, backend(t, echo)))
	c := r.dial(t)
	sent := sha256.New()
	var wg sync.WaitGroup
	wg.Go(func() {
		source := io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
		if _, err := io.Copy(c, io.TeeReader(source, sent)); err != nil {
			t.Errorf("send: %v", err)
		}
		c.CloseWrite()
	})
	got := sha256.New()
	n, err := io.Copy(got, c)
	wg.Wait()
	if err != nil || n != size || !cmp.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Errorf("echo of %d bytes: %d came back (%v), equal: %v", size, n, err, cmp.Equal(got.Sum(nil), sent.Sum(nil)))
	}
	want := proxy.Traffic{Accepted: 1}
	if diff := cmp.Diff(want, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	status := r.config.Pool.Servers()[0].Status(time.Now())
	if status.Active != 0 || status.Served != 1 || status.Health != upstream.Up {
		t.Errorf("status = %+v, want up with one connection served", status)
	}
}

func TestClientHalfCloses(t *testing.T) {
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		request, err := io.ReadAll(c)
		fmt.Fprintf(c, "got %q, %v", request, err)
	})))
	c := r.dial(t)
	io.WriteString(c, "question")
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if want := `got "question", <nil>`; err != nil || string(got) != want {
		t.Errorf("answer = %q, %v; want %q", got, err, want)
	}
}

func TestServerHalfCloses(t *testing.T) {
	heard := make(chan string, 1)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.WriteString(c, "hello")
		c.CloseWrite()
		rest, err := io.ReadAll(c)
		heard <- fmt.Sprintf("%s, %v", rest, err)
	})))
	c := r.dial(t)
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Fatalf("greeting = %q, %v", got, err)
	}
	io.WriteString(c, "and a long goodbye")
	c.CloseWrite()
	if got, want := <-heard, "and a long goodbye, <nil>"; got != want {
		t.Errorf("server heard %q, want %q", got, want)
	}
}

func TestClientResetReachesServer(t *testing.T) {
	heard := make(chan error, 1)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.WriteString(c, "x")
		_, err := io.Copy(io.Discard, c)
		heard <- err
	})))
	c := r.dial(t)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	reset(c)
	if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("server saw %v, want a reset", err)
	}
}

func TestServerResetReachesClient(t *testing.T) {
	tests := []struct {
		name   string
		handle func(c *net.TCPConn)
		client func(c *net.TCPConn)
	}{
		{"while both are idle", func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			reset(c)
		}, func(*net.TCPConn) {}},
		{"while the client sends", func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			reset(c)
		}, func(c *net.TCPConn) {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		}},
		{"after the client's half-close", func(c *net.TCPConn) {
			io.Copy(io.Discard, c)
			reset(c)
		}, func(c *net.TCPConn) { c.CloseWrite() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, pool(t, backend(t, tt.handle)))
			for range 20 { // which copy hears of a reset first is a matter of luck
				c := r.dial(t)
				io.WriteString(c, "x")
				var wg sync.WaitGroup
				wg.Go(func() { tt.client(c) })
				_, err := io.Copy(io.Discard, c)
				wg.Wait()
				// A write that met the reset first was given its error, and left
				// the read with an end.
				if err == nil && tt.name != "while the client sends" {
					t.Fatal("client saw a clean end, want a reset")
				}
				if err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("client saw %v, want a reset", err)
				}
			}
			r.settle(t)
		})
	}
}

// A server that answers early and goes away with unread input resets; its answer
// must get through all the same.
func TestAnswerBeforeResetGetsThrough(t *testing.T) {
	const answer = "413 too much"
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		io.WriteString(c, answer)
	})))
	for range 20 {
		c := r.dial(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		})
		got := make([]byte, len(answer))
		_, err := io.ReadFull(c, got)
		wg.Wait()
		if err != nil || string(got) != answer {
			t.Fatalf("answer = %q, %v; want %q", got, err, answer)
		}
	}
}

func TestDeadServerIsPassedOver(t *testing.T) {
	alive := backend(t, echo)
	r := start(t, pool(t, refusing(t), alive))
	for range 5 {
		c := r.dial(t)
		io.WriteString(c, "ping")
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "ping" {
			t.Fatalf("echo = %q, %v", got, err)
		}
	}
	if diff := cmp.Diff(proxy.Traffic{Accepted: 5}, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	dead := r.config.Pool.Servers()[0].Status(time.Now())
	want := upstream.Status{Health: upstream.Down, Reason: "connect: connection refused", Failed: 3}
	if diff := cmp.Diff(want, dead, cmpopts.IgnoreFields(upstream.Status{}, "Since")); diff != "" {
		t.Errorf("status of the dead server (-want +got):\n%s", diff)
	}
}

func TestNoServerResetsClient(t *testing.T) {
	for name, servers := range map[string][]string{
		"pool is empty":    nil,
		"nobody answers":   {refusing(t), refusing(t)},
		"only one, refuse": {refusing(t)},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, pool(t, servers...))
			// The reset may even outrun the return of the connect.
			c, err := net.Dial("tcp", r.l.Addr().String())
			if err == nil {
				defer c.Close()
				_, err = io.ReadAll(c)
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("client saw %v, want a reset", err)
			}
			if diff := cmp.Diff(proxy.Traffic{Accepted: 1, Failed: 1}, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewConfigConcernsNewConnections(t *testing.T) {
	greet := func(name string) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			io.WriteString(c, name)
			echo(c)
		}
	}
	r := start(t, pool(t, backend(t, greet("a"))))
	read := func(c *net.TCPConn) string {
		t.Helper()
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := r.dial(t)
	if got := read(before); got != "a" {
		t.Fatalf("greeted by %q, want a", got)
	}
	r.use(func(c *Config) { c.Pool = pool(t, backend(t, greet("b"))) })
	if got := read(r.dial(t)); got != "b" {
		t.Errorf("new connection greeted by %q, want b", got)
	}
	io.WriteString(before, "!")
	if got := read(before); got != "!" {
		t.Errorf("old connection echoes %q, want !", got)
	}
}

func TestShutdown(t *testing.T) {
	t.Run("lets connections finish", func(t *testing.T) {
		r := start(t, pool(t, backend(t, echo)))
		c := r.dial(t)
		io.WriteString(c, "1")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			r.stop(t, context.Background())
		}()
		io.WriteString(c, "2")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("during the shutdown: %v", err)
		}
		select {
		case <-stopped:
			t.Error("Shutdown returned before the connection ended")
		default:
		}
		c.CloseWrite()
		if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
			t.Errorf("end = %q, %v", rest, err)
		}
		<-stopped
	})
	t.Run("resets what is left", func(t *testing.T) {
		heard := make(chan error, 1)
		r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
			io.WriteString(c, "x")
			_, err := io.Copy(io.Discard, c)
			heard <- err
		})))
		c := r.dial(t)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.stop(t, ctx)
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("client saw %v, want a reset", err)
		}
		if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("server saw %v, want a reset", err)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	const size = 1 << 20
	r := start(b, pool(b, backend(b, func(c *net.TCPConn) {
		c.SetDeadline(time.Time{})
		echo(c)
	})))
	c := r.dial(b)
	c.SetDeadline(time.Time{})
	out, in := make([]byte, size), make([]byte, size)
	b.SetBytes(2 * size)
	for b.Loop() {
		var wg sync.WaitGroup
		wg.Go(func() { c.Write(out) })
		if _, err := io.ReadFull(c, in); err != nil {
			b.Fatal(err)
		}
		wg.Wait()
	}
	c.CloseWrite()
}

func BenchmarkConnection(b *testing.B) {
	r := start(b, pool(b, backend(b, echo)))
	for b.Loop() {
		c := r.dial(b)
		io.WriteString(c, "ping")
		c.CloseWrite()
		if _, err := io.ReadAll(c); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
