package worker

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// bindUDP is bindAs for datagrams.
func (s *supervisor) bindUDP(t *testing.T, listener string, as netip.AddrPort) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	if !as.IsValid() {
		as = addr
	}
	s.send(t, ipc.ToWorker{Sockets: &ipc.Sockets{List: []ipc.Socket{{Listener: listener, Bind: as, UDP: true}}}}, f)
	return addr
}

// parrot answers each datagram with its name and what came.
func parrot(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var b [1500]byte
		for {
			n, from, err := c.ReadFromUDPAddrPort(b[:])
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(append([]byte(name+" "), b[:n]...), from)
		}
	})
	t.Cleanup(func() {
		c.Close()
		wg.Wait()
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func speaker(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func answered(t *testing.T, c *net.UDPConn, text, want string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	var b [1500]byte
	n, err := c.Read(b[:])
	if got := string(b[:n]); err != nil || got != want {
		t.Errorf("answer %q, %v; want %q", got, err, want)
	}
}

func TestDatagramsAreServedOverReloads(t *testing.T) {
	s := startWorker(t)
	bind := s.bindUDP(t, "dns", netip.AddrPort{})
	spec := func(server netip.AddrPort) proxy.Spec {
		l := newSpecListener("dns", proxy.UDP, "dns", bind)
		l.Timeouts.Idle = time.Minute
		return proxy.Spec{Listeners: []proxy.Listener{l}, Pools: pools(newSpecPool("dns", server))}
	}
	s.mustApply(t, spec(parrot(t, "old")))
	kept := speaker(t, bind)
	answered(t, kept, "1", "old 1")
	s.mustApply(t, spec(parrot(t, "new")))
	answered(t, kept, "2", "old 2") // its pool lets sessions last
	answered(t, speaker(t, bind), "3", "new 3")
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Listeners) == 1 && st.Listeners[0].Connections == 2 && st.Listeners[0].Accepted == 2 &&
			st.Listeners[0].In == proxy.Datagrams{Count: 3, Bytes: 3} && st.Listeners[0].Out == proxy.Datagrams{Count: 3, Bytes: 15}
	})
}

// A listener that becomes one of UDP, at the same address, gets a socket of its own.
func TestAListenerChangesItsProtocol(t *testing.T) {
	s := startWorker(t)
	bind := s.bind(t, "x")
	old := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("x", proxy.HTTP, "web", bind)},
		Pools:     pools(newSpecPool("web", web(t, says("web")))),
	}
	s.mustApply(t, old)
	connect(t, bind).ask(t)
	datagrams := s.bindUDP(t, "x", bind)
	s.mustApply(t, proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("x", proxy.UDP, "dns", bind)},
		Pools:     pools(newSpecPool("dns", parrot(t, "dns"))),
	})
	answered(t, speaker(t, datagrams), "?", "dns ?")
	if c, err := net.Dial("tcp", bind.String()); err == nil {
		c.Close()
		t.Error("the socket of TCP is still open")
	}
}

func TestADrainLetsAnswersOfDatagramsArrive(t *testing.T) {
	s := startWorker(t)
	bind := s.bindUDP(t, "dns", netip.AddrPort{})
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(patience))
	l := newSpecListener("dns", proxy.UDP, "dns", bind)
	l.Timeouts.Idle = 500 * time.Millisecond
	s.mustApply(t, proxy.Spec{
		Listeners: []proxy.Listener{l},
		Pools:     pools(newSpecPool("dns", server.LocalAddr().(*net.UDPAddr).AddrPort())),
	})
	c := speaker(t, bind)
	c.Write([]byte("question"))
	var b [100]byte
	_, session, err := server.ReadFromUDPAddrPort(b[:])
	if err != nil {
		t.Fatal(err)
	}
	s.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: patience}})
	if _, err := server.WriteToUDPAddrPort([]byte("late"), session); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b[:]); err != nil || string(b[:n]) != "late" {
		t.Errorf("answer %q, %v", b[:n], err)
	}
	s.ended(t)
}

// Without a supervisor nobody hands the socket on: the next one must be able to bind
// the address, whatever goes on there.
func TestAnOrphanLeavesTheAddressesOfDatagrams(t *testing.T) {
	for name, drains := range map[string]bool{"while it serves": false, "while it drains": true} {
		t.Run(name, func(t *testing.T) {
			s := startWorker(t)
			bind := s.bindUDP(t, "dns", netip.AddrPort{})
			s.mustApply(t, proxy.Spec{
				Listeners: []proxy.Listener{newSpecListener("dns", proxy.UDP, "dns", bind)},
				Pools:     pools(newSpecPool("dns", parrot(t, "dns"))),
			})
			answered(t, speaker(t, bind), "?", "dns ?")
			if drains {
				s.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
				s.until(t, func(st ipc.WorkerState) bool { return len(st.Listeners) == 0 })
			}
			began := time.Now()
			s.conn.Close()
			s.ended(t)
			const quiet = 5 * time.Second // what a session may be silent for in a drain
			if took := time.Since(began); took > quiet-time.Second {
				t.Errorf("it keeps the socket for %v", took)
			}
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bind))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		})
	}
}
