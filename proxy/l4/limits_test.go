package l4

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// echoed checks that a connection is served.
func echoed(t *testing.T, c net.Conn) {
	t.Helper()
	io.WriteString(c, "ping")
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Fatalf("echo %q, %v", got, err)
	}
}

// isReset checks that a connection is, or was, reset.
func isReset(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // open, or the read tells
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v, want a reset", err)
	}
}

func TestConnectionsBeyondALimitAreReset(t *testing.T) {
	for reason, limits := range map[string]proxy.ListenerLimits{
		"connections":            {Connections: 2},
		"connections_per_client": {ConnectionsPerClient: 2},
	} {
		t.Run(reason, func(t *testing.T) {
			r := start(t, pool(t, backend(t, echo)))
			r.use(t, func(r *running) { r.listener.Limits = limits })
			first, second := r.dial(t), r.dial(t)
			echoed(t, first)
			echoed(t, second)
			// The reset may be there before the connect has returned.
			if c, err := net.Dial("tcp", r.l.Addr().String()); err == nil {
				isReset(t, c)
				c.Close()
			} else if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("dial: %v, want a reset", err)
			}
			echoed(t, first)

			t.Log("# a higher limit holds at once")
			limits.Connections, limits.ConnectionsPerClient = 2*limits.Connections, 2*limits.ConnectionsPerClient
			r.use(t, func(r *running) { r.listener.Limits = limits })
			third := r.dial(t)
			echoed(t, third)
			for _, c := range []*net.TCPConn{first, second, third} {
				c.Close()
			}
			want := proxy.Traffic{Accepted: 4, Refused: map[string]uint64{reason: 1}}
			if diff := cmp.Diff(want, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSilentConnectionsAreReset(t *testing.T) {
	heard := make(chan error, 1)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		heard <- err
	})))
	r.use(t, func(r *running) { r.listener.Timeouts.Tunnel = 100 * time.Millisecond })
	c := r.dial(t)
	echoed(t, c)
	isReset(t, c)
	if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v, want a reset", err)
	}
	eventually(t, "the end at the server", func() bool { return r.server(0).Active == 0 })
}

// unanswered returns an address to which connects get no answer.
func unanswered(t *testing.T) string {
	t.Helper()
	l := reactortest.Listen(t)
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // the queue takes one more than its length
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	return l.Addr().String()
}

func TestServerThatDoesNotAcceptIsPassedOver(t *testing.T) {
	p := pool(t, unanswered(t), backend(t, echo))
	spec := p.Spec()
	spec.Timeouts.Connect = 50 * time.Millisecond
	r := start(t, repool(t, spec))
	echoed(t, r.dial(t))
	if s := r.server(0); s.Failed != 1 || s.Active != 0 {
		t.Errorf("status %+v, want one failure", s)
	}

	t.Log("# when there is no other, the client learns it")
	alone := start(t, repool(t, proxy.Pool{Name: "db", Balance: proxy.RoundRobin, Servers: spec.Servers[:1], Retry: spec.Retry, Timeouts: spec.Timeouts}))
	isReset(t, alone.dial(t))
	if got := alone.settle(t); got.Failed != 1 {
		t.Errorf("traffic %+v, want one failure", got)
	}
}
