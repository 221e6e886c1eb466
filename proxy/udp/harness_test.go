package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

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

// server is a server in plain Go.
type server struct {
	*net.UDPConn
	addr     netip.AddrPort
	received atomic.Int64
}

// serve runs handle for each datagram that comes.
func serve(t testing.TB, ip string, handle func(s *server, from netip.AddrPort, b []byte)) *server {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	s := &server{UDPConn: c, addr: c.LocalAddr().(*net.UDPAddr).AddrPort()}
	_ = c.SetReadBuffer(4 << 20)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			s.received.Add(1)
			handle(s, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), b[:n])
		}
	})
	t.Cleanup(func() {
		c.Close()
		wg.Wait()
	})
	return s
}

// named answers with a name and what it was asked.
func named(name string) func(*server, netip.AddrPort, []byte) {
	return func(s *server, from netip.AddrPort, b []byte) {
		s.WriteToUDPAddrPort(append([]byte(name+" "), b...), from)
	}
}

// closed returns an address where nobody is.
func closed(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// bench is a proxy that runs.
type bench struct {
	*Proxy
	config Config
	addr   netip.AddrPort // of its first socket
	socket *net.UDPConn
	stop   func()

	verdicts atomic.Int64
}

// pool returns a pool of the servers at addrs.
func pool(t testing.TB, old *upstream.Pool, change func(*proxy.Pool), addrs ...netip.AddrPort) *upstream.Pool {
	t.Helper()
	spec := proxy.Pool{Name: "p", Balance: proxy.RoundRobin}
	for _, a := range addrs {
		spec.Servers = append(spec.Servers, proxy.Server{Name: a.String(), Address: a, Weight: 1})
	}
	if change != nil {
		change(&spec)
	}
	p, err := upstream.NewPool(spec, old, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if p != old {
		p.Activate(time.Now())
	}
	return p
}

// start runs a proxy in front of p on bind, until the end of the test.
func start(t testing.TB, bind string, p *upstream.Pool, change ...func(*proxy.Listener)) *bench {
	t.Helper()
	r := reactortest.Start(t, 2)
	l := proxy.Listener{Name: "dns", Protocol: proxy.UDP, Timeouts: proxy.ListenerTimeouts{Idle: time.Minute}}
	for _, f := range change {
		f(&l)
	}
	b := &bench{}
	b.config = Config{
		Listener: l,
		Pools:    []Share{{Pool: p, Weight: 1}},
		Observe:  func(*upstream.Server, upstream.Verdict) { b.verdicts.Add(1) },
	}
	b.Proxy = NewEngine(r).New(b.config)
	b.socket, b.addr = bound(t, bind)
	var err error
	if b.stop, err = b.Listen(b.socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(b.Proxy, b.stop)
		if n := b.Traffic().Open; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		b.socket.Close()
	})
	return b
}

// end ends a proxy and its sessions at once.
func end(p *Proxy, stop func()) {
	stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Shutdown(ctx)
}

// listenFree binds an address that the host need not have.
func listenFree(bind netip.AddrPort) (*net.UDPConn, error) {
	network := "udp"
	if bind.Addr().Is4() {
		network = "udp4"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) }), err)
	}}
	c, err := lc.ListenPacket(context.Background(), network, bind.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// bound returns a socket as it is handed over.
func bound(t testing.TB, bind string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := listenFree(netip.MustParseAddrPort(bind))
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// client is a socket connected to the proxy: it hears the address that it speaks to, and
// no other.
type client struct {
	*net.UDPConn
	t testing.TB
}

func (b *bench) client(t testing.TB) *client { return newClient(t, b.addr) }

func newClient(t testing.TB, to netip.AddrPort) *client {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	_ = c.SetReadBuffer(4 << 20)
	return &client{c, t}
}

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear() string {
	c.t.Helper()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

// ask returns the answer to text.
func (c *client) ask(text string) string {
	c.t.Helper()
	c.say(text)
	return c.hear()
}

// counted waits for a count of dropped datagrams.
func (b *bench) counted(t testing.TB, why string, n uint64) {
	t.Helper()
	until(t, fmt.Sprintf("%d datagrams dropped for %s", n, why), func() bool { return b.Traffic().Refused[why] == n })
}
