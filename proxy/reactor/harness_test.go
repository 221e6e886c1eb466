package reactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	// Go's own poller opens descriptors with the first socket, and keeps them:
	// start must not find more than it has counted.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// until waits until condition holds.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// running is a Reactor that runs, and what it panicked with.
type running struct {
	*Reactor
	stop func() // and wait; may be called twice

	mu     sync.Mutex
	panics []string
}

// start runs a reactor until the end of the test, which fails if anything is left
// of it then.
func start(t testing.TB, loops int) *running {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), countDescriptors(t)
	r := &running{}
	var err error
	if r.Reactor, err = New(Options{Loops: loops, Panicked: r.panicked}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, "the end of Run", ended); err != nil {
			t.Errorf("Run: %v", err)
		}
		until(t, "the goroutines of the reactor end", func() bool { return runtime.NumGoroutine() <= goroutines })
		until(t, "the descriptors of the reactor are closed", func() bool { return countDescriptors(t) <= descriptors })
	})
	t.Cleanup(r.stop)
	return r
}

func (r *running) panicked(v any, stack []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics = append(r.panics, fmt.Sprint(v))
	if len(stack) == 0 {
		r.panics = append(r.panics, "without a stack")
	}
}

func (r *running) panicText() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.panics, "\n")
}

func countDescriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// do runs f on a coroutine of the loop and waits for its end.
func do(t testing.TB, l *Loop, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	if err := l.Post(func() { l.Go(func() { done <- f() }) }); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end of a task", done); err != nil {
		t.Fatal(err)
	}
}

// listen serves a TCP socket on loopback, and returns its address.
func (r *running) listen(t testing.TB, o ListenOptions) (*Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the reactor has its own
	ln, err := r.Listen(l.(*net.TCPListener), o)
	if err != nil {
		t.Fatal(err)
	}
	return ln, l.Addr().(*net.TCPAddr).AddrPort()
}

// connect is the client's side of a connection. It ends with the test.
func connectTo(t testing.TB, addr netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// server accepts connections in plain Go, for dials of the reactor.
func server(t testing.TB, handle func(*net.TCPConn)) netip.AddrPort {
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
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// echo sends back what there is, and parks.
func echo(c *Conn) bool {
	var b [4096]byte
	for {
		n, err := c.TryRead(b[:])
		if err != nil {
			return errors.Is(err, ErrWouldBlock)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
	}
}

// ask sends a message and wants it back.
func ask(c net.Conn, message string) error {
	if _, err := io.WriteString(c, message); err != nil {
		return err
	}
	b := make([]byte, len(message))
	if _, err := io.ReadFull(c, b); err != nil {
		return fmt.Errorf("read the echo of %q: %w", message, err)
	}
	if string(b) != message {
		return fmt.Errorf("sent %q and got %q", message, b)
	}
	return nil
}

// errReset is what a reset by the peer is, however it is wrapped.
const errReset = syscall.ECONNRESET
