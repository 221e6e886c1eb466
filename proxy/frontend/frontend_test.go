package frontend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// bench is a frontend that echoes lines, and turns away with the name of the limit.
type bench struct {
	*Frontend
	addr string
	stop func()
}

// start serves address, which has no port.
func start(t *testing.T, address string, o Options) *bench {
	t.Helper()
	loops := reactortest.Start(t, 2)
	if o.Serve == nil {
		o.Serve = echo
	}
	if o.TurnAway == nil {
		o.TurnAway = func(c *reactor.Conn, l Limit) { _, _ = io.WriteString(c, "no: "+string(l)) }
	}
	b := &bench{Frontend: New(loops, o)}
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skip(err) // a host without that address
	}
	defer l.Close()
	b.addr = l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b.stop, err = b.Listen(f); err != nil {
		t.Fatal(err)
	}
	return b
}

// echo sends back what there is, and parks.
func echo(c tlsconn.Stream, _ *Bind) bool {
	var b [64]byte
	n, err := c.TryRead(b[:])
	if errors.Is(err, reactor.ErrWouldBlock) {
		return true
	}
	if err != nil {
		return false
	}
	_, err = c.Write(b[:n])
	return err == nil
}

// dial connects from a local address, which may be empty.
func (b *bench) dial(t *testing.T, from string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// served checks that the connection is served.
func served(t *testing.T, c *net.TCPConn) {
	t.Helper()
	got := make([]byte, 4)
	if _, err := io.WriteString(c, "ping"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Fatalf("echo %q, %v", got, err)
	}
}

// said returns all that the connection is told until its end.
func said(t *testing.T, c *net.TCPConn) string {
	t.Helper()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return string(all)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (b *bench) hasOpen(t *testing.T, n int64) {
	t.Helper()
	eventually(t, "the number of open connections", func() bool { return b.Traffic().Open == n })
}

func TestConnectionsBeyondALimitAreTurnedAway(t *testing.T) {
	for _, tc := range []struct {
		limit  Limit
		limits proxy.ListenerLimits
	}{
		{Connections, proxy.ListenerLimits{Connections: 2}},
		{ConnectionsPerClient, proxy.ListenerLimits{Connections: 10, ConnectionsPerClient: 2}},
	} {
		for name, atOnce := range map[string]bool{"": false, ", served at once": true} {
			t.Run(string(tc.limit)+name, func(t *testing.T) {
				b := start(t, "127.0.0.1", Options{AtOnce: atOnce})
				b.Limit(tc.limits)
				first := b.dial(t, "")
				b.dial(t, "") // says nothing, and counts
				b.hasOpen(t, 2)

				t.Log("# it need not say anything to be turned away")
				if got, want := said(t, b.dial(t, "")), "no: "+string(tc.limit); got != want {
					t.Errorf("told %q, want %q", got, want)
				}
				served(t, first)
				b.hasOpen(t, 2)
				want := proxy.Traffic{Open: 2, Accepted: 3, Refused: map[string]uint64{string(tc.limit): 1}}
				if diff := cmp.Diff(want, b.Traffic()); diff != "" {
					t.Errorf("traffic (-want +got):\n%s", diff)
				}

				t.Log("# one that ends makes room, whoever ends it")
				first.Close()
				b.hasOpen(t, 1)
				served(t, b.dial(t, ""))
			})
		}
	}
}

func TestSomeBeyondTheLimitMayAskFirst(t *testing.T) {
	const most = 16
	b := start(t, "127.0.0.1", Options{})
	b.Limit(proxy.ListenerLimits{Connections: most})
	for range most {
		b.dial(t, "")
	}
	b.hasOpen(t, most)
	waits := []*net.TCPConn{b.dial(t, ""), b.dial(t, "")}
	b.hasOpen(t, most+2)
	if got := said(t, b.dial(t, "")); got != "no: connections" {
		t.Errorf("one more was told %q", got)
	}
	if n := b.Traffic().Refused[string(Connections)]; n != 1 {
		t.Errorf("%d were turned away, want 1", n)
	}
	for _, c := range waits {
		io.WriteString(c, "ping")
		got := make([]byte, 64)
		if n, err := io.ReadFull(c, got); string(got[:n]) != "no: connections" {
			t.Errorf("told %q, %v", got[:n], err)
		}
	}
}

func TestALimitHoldsForConnectionsThatComeAfterIt(t *testing.T) {
	b := start(t, "127.0.0.1", Options{})
	early := []*net.TCPConn{b.dial(t, ""), b.dial(t, ""), b.dial(t, "")}
	for _, c := range early {
		served(t, c) // it has come to its loop
	}
	b.Limit(proxy.ListenerLimits{ConnectionsPerClient: 1})
	served(t, b.dial(t, "")) // those of before were not counted
	if got := said(t, b.dial(t, "")); got != "no: connections_per_client" {
		t.Errorf("told %q", got)
	}
	for _, c := range early {
		served(t, c)
	}
	b.Limit(proxy.ListenerLimits{})
	served(t, b.dial(t, ""))
	served(t, b.dial(t, ""))
}

func TestEachClientHasItsOwnLimit(t *testing.T) {
	for _, tc := range []struct {
		name, listen, one, other string
	}{
		{"IPv4", "127.0.0.1", "127.0.0.2", "127.0.0.3"},
		{"IPv4 on a socket for both families", "", "127.0.0.2", "127.0.0.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, tc.listen, Options{})
			_, port, _ := net.SplitHostPort(b.addr)
			b.addr = net.JoinHostPort("127.0.0.1", port)
			b.Limit(proxy.ListenerLimits{ConnectionsPerClient: 1})
			served(t, b.dial(t, tc.one))
			if got := said(t, b.dial(t, tc.one)); got != "no: connections_per_client" {
				t.Errorf("told %q", got)
			}
			served(t, b.dial(t, tc.other))
		})
	}
	t.Run("IPv6", func(t *testing.T) {
		b := start(t, "::1", Options{})
		b.Limit(proxy.ListenerLimits{ConnectionsPerClient: 1})
		served(t, b.dial(t, ""))
		if got := said(t, b.dial(t, "")); got != "no: connections_per_client" {
			t.Errorf("told %q", got)
		}
	})
}

func TestABindKnowsItsPort(t *testing.T) {
	ports := make(chan uint16, 1)
	b := start(t, "127.0.0.1", Options{AtOnce: true, Serve: func(_ tlsconn.Stream, b *Bind) bool {
		ports <- b.Port
		return false
	}})
	b.dial(t, "")
	if got, want := <-ports, netip.MustParseAddrPort(b.addr).Port(); got != want {
		t.Errorf("port %d, want %d", got, want)
	}
}

func TestNoConnectionIsAcceptedAfterStop(t *testing.T) {
	for range 20 {
		b := start(t, "127.0.0.1", Options{})
		open := b.dial(t, "")
		served(t, open)
		b.stop()
		if c, err := net.Dial("tcp", b.addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("connected after the stop: %v, %v", c, err)
		}
		served(t, open)
		b.stop() // once more does nothing
	}
}

// shutDown begins a Shutdown, and returns what ends with it.
func (b *bench) shutDown(ctx context.Context) <-chan struct{} {
	b.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Shutdown(ctx)
	}()
	return done
}

func ends(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Shutdown does not end")
	}
}

func TestShutdownClosesIdleConnections(t *testing.T) {
	for name, n := range map[string]int{"none": 0, "one": 1, "some": 20} {
		t.Run(name, func(t *testing.T) {
			b := start(t, "127.0.0.1", Options{})
			var all []*net.TCPConn
			for range n {
				c := b.dial(t, "")
				served(t, c)
				all = append(all, c)
			}
			if b.Draining() {
				t.Error("draining already")
			}
			ends(t, b.shutDown(t.Context()))
			if !b.Draining() {
				t.Error("not draining")
			}
			for _, c := range all {
				if got := said(t, c); got != "" {
					t.Errorf("told %q", got)
				}
			}
		})
	}
}

// holding serves with a word when it is released.
type holding struct {
	release chan struct{}
	begun   chan struct{}
}

func (h holding) serve(c tlsconn.Stream, _ *Bind) bool {
	var b [64]byte
	if _, err := c.Read(b[:]); err != nil {
		return false
	}
	h.begun <- struct{}{}
	c.Loop().Await(func() { <-h.release })
	_, err := io.WriteString(c, "done")
	return err == nil
}

func TestShutdownWaitsForThoseThatAreServed(t *testing.T) {
	h := holding{make(chan struct{}), make(chan struct{}, 1)}
	b := start(t, "127.0.0.1", Options{Serve: h.serve})
	c := b.dial(t, "")
	io.WriteString(c, "question")
	<-h.begun
	done := b.shutDown(t.Context())
	eventually(t, "draining", b.Draining)
	select {
	case <-done:
		t.Error("Shutdown did not wait")
	default:
	}
	close(h.release)
	ends(t, done)
	if got := said(t, c); got != "done" {
		t.Errorf("told %q", got)
	}
}

func TestShutdownResetsWhatIsLeftAtItsDeadline(t *testing.T) {
	h := holding{make(chan struct{}), make(chan struct{}, 1)}
	defer close(h.release)
	b := start(t, "127.0.0.1", Options{Serve: h.serve})
	c := b.dial(t, "")
	io.WriteString(c, "question")
	<-h.begun
	ctx, cancel := context.WithCancel(t.Context())
	done := b.shutDown(ctx)
	eventually(t, "draining", b.Draining)
	cancel()
	ends(t, done)
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v, want a reset", err)
	}
}

// One that has just connected is about to ask: its question is answered.
func TestShutdownServesNewConnections(t *testing.T) {
	b := start(t, "127.0.0.1", Options{})
	c := b.dial(t, "")
	b.hasOpen(t, 1)
	done := b.shutDown(t.Context())
	eventually(t, "draining", b.Draining)
	served(t, c)
	if got := said(t, c); got != "" {
		t.Errorf("told %q", got)
	}
	ends(t, done)
}

func TestANewConnectionMayNotBeSilentForEver(t *testing.T) {
	b := start(t, "127.0.0.1", Options{Timeout: 20 * time.Millisecond})
	if got := said(t, b.dial(t, "")); got != "" {
		t.Errorf("told %q", got)
	}
	b.hasOpen(t, 0)
}
