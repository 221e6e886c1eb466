package udp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
	"github.com/tandemlb/tandem/proxy/udp/mmsg"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// resolver answers queries for the address of a name.
func resolver(t *testing.T, address string) *server {
	return serve(t, "127.0.0.1", func(s *server, from netip.AddrPort, b []byte) {
		var q, a dns.Msg
		if err := q.Unpack(b); err != nil {
			t.Errorf("the server cannot read the query: %v", err)
			return
		}
		a.SetReply(&q)
		rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A " + address)
		if err != nil {
			t.Error(err)
			return
		}
		a.Answer = append(a.Answer, rr)
		packed, err := a.Pack()
		if err != nil {
			t.Error(err)
			return
		}
		s.WriteToUDPAddrPort(packed, from)
	})
}

func TestAThousandQueriesOverThreeResolvers(t *testing.T) {
	var addrs []netip.AddrPort
	for i := range 3 {
		addrs = append(addrs, resolver(t, fmt.Sprintf("192.0.2.%d", i+1)).addr)
	}
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, addrs...))
	answers := make(map[string]int)
	for i := range 1000 {
		var q dns.Msg
		q.SetQuestion(fmt.Sprintf("host%d.example.", i), dns.TypeA)
		c := dns.Client{Timeout: patience} // with a port of its own for each query
		a, _, err := c.Exchange(&q, b.addr.String())
		if err != nil {
			t.Fatalf("query %d: %v", i, err)
		}
		if a.Id != q.Id || len(a.Answer) != 1 || a.Answer[0].Header().Name != q.Question[0].Name {
			t.Fatalf("query %d: got another one's answer: %v", i, a)
		}
		answers[a.Answer[0].(*dns.A).A.String()]++
	}
	// A client may get a port again whose session still lives, and its server with it.
	for server, n := range answers {
		if n < 250 || n > 420 {
			t.Errorf("server %s has answered %d of 1000", server, n)
		}
	}
	if got := b.Traffic(); len(answers) != 3 || got.In.Count != 1000 || got.Out.Count != 1000 || len(got.Refused) != 0 {
		t.Errorf("%d servers, traffic %+v", len(answers), got)
	}
}

func TestAClientStaysWithItsServer(t *testing.T) {
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, serve(t, "127.0.0.1", named("a")).addr, serve(t, "127.0.0.1", named("b")).addr))
	one, other := b.client(t), b.client(t)
	first := strings.Fields(one.ask("0"))[0]
	second := strings.Fields(other.ask("0"))[0]
	if first == second {
		t.Errorf("both clients are at %s", first)
	}
	for i := range 20 {
		if got, want := one.ask(fmt.Sprint(i)), fmt.Sprint(first, " ", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := other.ask(fmt.Sprint(i)), fmt.Sprint(second, " ", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want := proxy.Traffic{
		Open: 2, Accepted: 2,
		In: proxy.Datagrams{Count: 42, Bytes: 62}, Out: proxy.Datagrams{Count: 42, Bytes: 62 + 2*42},
	}
	until(t, "all is counted", func() bool { return b.Traffic().Out.Count == 42 })
	if diff := cmp.Diff(want, b.Traffic()); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

// The address that a client speaks to is the one that it hears, whatever the host has.
func TestAnswersComeFromTheAddressThatWasAsked(t *testing.T) {
	for _, test := range []struct{ name, bind, dial, server string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"IPv6", "[::1]:0", "::1", "::1"},
		{"IPv6 in front of IPv4", "[::1]:0", "::1", "127.0.0.1"},
		{"IPv4 in front of IPv6", "127.0.0.1:0", "127.0.0.1", "::1"},
		{"all of IPv4", "0.0.0.0:0", "127.0.0.77", "127.0.0.1"},
		{"all, by IPv4", "[::]:0", "127.0.0.77", "127.0.0.1"},
		{"all, by IPv6", "[::]:0", "::1", "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := start(t, test.bind, pool(t, nil, nil, serve(t, test.server, named("server")).addr))
			c := newClient(t, netip.AddrPortFrom(netip.MustParseAddr(test.dial), b.addr.Port()))
			for _, question := range []string{"first", "second"} {
				if got := c.ask(question); got != "server "+question {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// One client that speaks to two addresses of a wildcard has two sessions: their answers
// must not be mixed up.
func TestTwoAddressesAreTwoSessions(t *testing.T) {
	b := start(t, "0.0.0.0:0", pool(t, nil, nil, serve(t, "127.0.0.1", named("server")).addr))
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	answers := make(map[string]string)
	for _, ip := range []string{"127.0.0.5", "127.0.0.6"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(ip), b.addr.Port())
		if _, err := c.WriteToUDPAddrPort([]byte("to "+ip), to); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var buf [64]byte
		n, from, err := c.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			t.Fatal(err)
		}
		answers[from.Addr().String()] = string(buf[:n])
	}
	want := map[string]string{"127.0.0.5": "server to 127.0.0.5", "127.0.0.6": "server to 127.0.0.6"}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Errorf("answers by source (-want +got):\n%s", diff)
	}
	if got := b.Traffic().Open; got != 2 {
		t.Errorf("%d sessions, want 2", got)
	}
}

func TestAnswersComeInOrder(t *testing.T) {
	const count = 150 // as many as the smallest buffers hold
	s := serve(t, "127.0.0.1", func(s *server, from netip.AddrPort, _ []byte) {
		for i := range count {
			s.WriteToUDPAddrPort(fmt.Appendf(nil, "%d", i), from)
		}
	})
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, s.addr))
	c := b.client(t)
	c.say("all")
	for i := range count {
		if got := c.hear(); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
}

// A burst that the kernel keeps together, both ways.
func TestBurstsPassAsTheyCame(t *testing.T) {
	const size, count = 1200, 40
	s := serve(t, "127.0.0.1", named("echo"))
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, s.addr))
	fd, err := mmsg.Connect(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, b.addr)
	c.Close()
	burst := mmsg.Socket{FD: fd}
	defer burst.Close()
	out := mmsg.NewSender()
	payload := bytes.Repeat([]byte("0123456789"), size*count/10)
	out.Add(&mmsg.Message{Payload: payload, Segment: size})
	if n, errno := out.Send(fd, 0); n != 1 || errno != 0 {
		t.Skipf("this kernel takes no message apart: %v", errno)
	}
	in, got := mmsg.NewReceiver(), 0
	until(t, "all answers", func() bool {
		n, errno := in.Receive(fd)
		if errno != 0 {
			return false
		}
		for i := range n {
			p := in.Payload(i)
			_, segment := in.Control(i)
			if segment == 0 {
				segment = len(p)
			}
			for ; len(p) > 0; p = p[min(segment, len(p)):] {
				one := p[:min(segment, len(p))]
				if string(one[:5]) != "echo " || len(one) != size+5 {
					t.Fatalf("a datagram of %d bytes: %.20q", len(one), one)
				}
				got++
			}
		}
		return got == count
	})
	if n := s.received.Load(); n != count {
		t.Errorf("the server has got %d datagrams, want %d", n, count)
	}
	if got := b.Traffic(); got.In.Count != count || got.Out.Count != count || got.In.Bytes != size*count {
		t.Errorf("traffic %+v", got)
	}
}

// A datagram of IPv6 may be longer than one of IPv4.
func TestWhatDoesNotFitIsDroppedAlone(t *testing.T) {
	b := start(t, "[::1]:0", pool(t, nil, nil, serve(t, "127.0.0.1", named("server")).addr))
	c := b.client(t)
	c.say(strings.Repeat("x", 65520))
	b.counted(t, "too_large", 1)
	if got := c.ask("after it"); got != "server after it" {
		t.Errorf("got %q", got)
	}
	if got := b.Traffic(); got.Failed != 0 || got.Accepted != 1 {
		t.Errorf("the session has not lived on: %+v", got)
	}
}

func TestARefusalSendsTheClientElsewhere(t *testing.T) {
	s := serve(t, "127.0.0.1", named("living"))
	p := pool(t, nil, nil, closed(t), s.addr)
	b := start(t, "127.0.0.1:0", p)
	c := b.client(t)
	c.say("lost") // to the first server, whose host answers that nobody is there
	until(t, "the refusal is counted", func() bool { return p.Servers()[0].Status(time.Now()).Failed == 1 })
	if got := c.ask("again"); got != "living again" {
		t.Errorf("got %q", got)
	}
	st := p.Servers()[0].Status(time.Now())
	if !strings.Contains(st.Reason, "connection refused") || st.Active != 0 {
		t.Errorf("status of the server that refused: %+v", st)
	}
	if got := b.Traffic(); got.Failed != 1 || got.Open != 1 {
		t.Errorf("traffic %+v", got)
	}
}

// A refusal that is found while sending costs no datagram: it goes to another server.
func TestARefusalFoundWhileSendingLosesNothing(t *testing.T) {
	s := serve(t, "127.0.0.1", named("living"))
	p := pool(t, nil, nil, closed(t), s.addr)
	b := start(t, "127.0.0.1:0", p)
	c := b.client(t)
	for i := range 50 { // some of them in the same batch as the first
		c.say(fmt.Sprint(i))
	}
	last := -1
	for last < 49 {
		var i int
		if _, err := fmt.Sscanf(c.hear(), "living %d", &i); err != nil || i <= last {
			t.Fatalf("%d after %d, %v", i, last, err)
		}
		last = i
	}
}

func TestNoServerIsCounted(t *testing.T) {
	p := pool(t, nil, func(p *proxy.Pool) {
		p.Check = proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: time.Second, Rise: 1, Fall: 1}
	}, closed(t))
	p.Servers()[0].CheckFailed(time.Now(), "down")
	b := start(t, "127.0.0.1:0", p)
	c := b.client(t)
	c.say("one")
	c.say("two")
	b.counted(t, "no_server", 2)
	if got := b.Traffic(); got.Failed != 2 || got.Open != 0 || got.In.Count != 2 {
		t.Errorf("traffic %+v", got)
	}
}

func TestAClientLeavesAServerThatIsDown(t *testing.T) {
	p := pool(t, nil, func(p *proxy.Pool) {
		p.Check = proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: time.Second, Rise: 1, Fall: 1}
	}, serve(t, "127.0.0.1", named("a")).addr, serve(t, "127.0.0.1", named("b")).addr)
	b := start(t, "127.0.0.1:0", p)
	c := b.client(t)
	if got := c.ask("1"); got != "a 1" {
		t.Fatalf("got %q", got)
	}
	p.Servers()[0].CheckFailed(time.Now(), "down")
	if got := c.ask("2"); got != "b 2" {
		t.Errorf("got %q", got)
	}
	if st := p.Servers()[0].Status(time.Now()); st.Active != 0 || st.Served != 1 {
		t.Errorf("status of the one that is down: %+v", st)
	}
}

func TestSilenceEndsASession(t *testing.T) {
	p := pool(t, nil, nil, serve(t, "127.0.0.1", named("s")).addr)
	b := start(t, "127.0.0.1:0", p, func(l *proxy.Listener) { l.Timeouts.Idle = 20 * time.Millisecond })
	c := b.client(t)
	c.ask("hello")
	until(t, "the session ends", func() bool { return b.Traffic().Open == 0 })
	if st := p.Servers()[0].Status(time.Now()); st.Active != 0 || st.Served != 1 {
		t.Errorf("status %+v", st)
	}
	if got := c.ask("again"); got != "s again" {
		t.Errorf("a new session: %q", got)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*proxy.Listener)
		why    string
	}{
		{"in all", func(l *proxy.Listener) { l.Limits.Connections = 2 }, "connections"},
		{"of a client", func(l *proxy.Listener) { l.Limits.ConnectionsPerClient = 2 }, "connections_per_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := start(t, "127.0.0.1:0", pool(t, nil, nil, serve(t, "127.0.0.1", named("s")).addr), test.change)
			first, second, third := b.client(t), b.client(t), b.client(t)
			first.ask("1")
			second.ask("2")
			third.say("3")
			b.counted(t, test.why, 1)
			if got := first.ask("still"); got != "s still" {
				t.Errorf("got %q", got)
			}
			// The end of one makes room.
			c := b.config
			c.Listener.Timeouts.Idle = time.Millisecond
			b.Configure(c)
			until(t, "the sessions end", func() bool { return b.Traffic().Open == 0 })
			c.Listener.Timeouts.Idle = time.Minute
			b.Configure(c)
			if got := third.ask("now"); got != "s now" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestServersHaveTheirOwnBound(t *testing.T) {
	p := pool(t, nil, func(p *proxy.Pool) { p.Servers[0].MaxConnections = 1 }, serve(t, "127.0.0.1", named("s")).addr)
	b := start(t, "127.0.0.1:0", p)
	b.client(t).ask("1")
	b.client(t).say("2")
	b.counted(t, "full", 1)
}

func TestOnlyTheServerIsHeard(t *testing.T) {
	var from atomic.Value
	s := serve(t, "127.0.0.1", func(_ *server, a netip.AddrPort, _ []byte) { from.Store(a) })
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, s.addr))
	c := b.client(t)
	c.say("hello")
	until(t, "the server is asked", func() bool { return from.Load() != nil })
	session := from.Load().(netip.AddrPort)
	spoof, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(session))
	if err != nil {
		t.Fatal(err)
	}
	defer spoof.Close()
	for range 10 {
		spoof.Write([]byte("evil")) // may be refused: nothing listens for it
	}
	s.WriteToUDPAddrPort([]byte("good"), session)
	if got := c.hear(); got != "good" {
		t.Errorf("the client has heard %q", got)
	}
}

func TestEveryPolicyServes(t *testing.T) {
	for _, policy := range []proxy.Balance{proxy.RoundRobin, proxy.LeastConnections, proxy.LeastResponseTime, proxy.ClientIPHash, proxy.ConsistentHash, proxy.Random} {
		t.Run(string(policy), func(t *testing.T) {
			p := pool(t, nil, func(p *proxy.Pool) { p.Balance = policy },
				serve(t, "127.0.0.1", named("a")).addr, serve(t, "127.0.0.1", named("b")).addr, serve(t, "127.0.0.1", named("c")).addr)
			b := start(t, "127.0.0.1:0", p)
			for i := range 20 {
				if _, number, _ := strings.Cut(b.client(t).ask(fmt.Sprint(i)), " "); number != fmt.Sprint(i) {
					t.Errorf("got %q, want %d", number, i)
				}
			}
		})
	}
}

// Sessions of one address that follow each other go to one server, whatever their ports.
func TestHashingIsOfTheAddress(t *testing.T) {
	p := pool(t, nil, func(p *proxy.Pool) { p.Balance = proxy.ClientIPHash },
		serve(t, "127.0.0.1", named("a")).addr, serve(t, "127.0.0.1", named("b")).addr, serve(t, "127.0.0.1", named("c")).addr)
	b := start(t, "127.0.0.1:0", p, func(l *proxy.Listener) { l.Timeouts.Idle = time.Millisecond })
	seen := make(map[string]bool)
	for range 8 {
		seen[b.client(t).ask("?")] = true
		until(t, "the session ends", func() bool { return b.Traffic().Open == 0 })
	}
	if len(seen) != 1 {
		t.Errorf("they went to %v", seen)
	}
}

func TestPoolsGetTheirShares(t *testing.T) {
	a, c := serve(t, "127.0.0.1", named("a")), serve(t, "127.0.0.1", named("c"))
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, a.addr))
	b.config.Pools = []Share{
		{Pool: pool(t, nil, nil, a.addr), Weight: 3},
		{Pool: pool(t, nil, func(p *proxy.Pool) { p.Name = "unused" }, closed(t)), Weight: 0},
		{Pool: pool(t, nil, func(p *proxy.Pool) { p.Name = "canary" }, c.addr), Weight: 1},
	}
	seen := make(map[*upstream.Pool]int)
	for r := range uint64(400) {
		seen[b.config.choose(r)]++
	}
	want := map[*upstream.Pool]int{b.config.Pools[0].Pool: 300, b.config.Pools[2].Pool: 100}
	if diff := cmp.Diff(want, seen, cmp.Comparer(func(a, b *upstream.Pool) bool { return a == b })); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if got := (&Config{}).choose(7); got != nil {
		t.Error("chosen from nothing")
	}
}

func TestReloadKeepsSessionsAtTheirServer(t *testing.T) {
	a, s := serve(t, "127.0.0.1", named("a")), serve(t, "127.0.0.1", named("b"))
	before := pool(t, nil, nil, a.addr)
	b := start(t, "127.0.0.1:0", before)
	c := b.client(t)
	c.ask("1")

	// Gone, but the pool lets sessions last.
	after := pool(t, before, nil, s.addr)
	next := b.config
	next.Pools = []Share{{Pool: after, Weight: 1}}
	b.Configure(next)
	if got := c.ask("2"); got != "a 2" {
		t.Errorf("the session: %q", got)
	}
	if got := b.client(t).ask("3"); got != "b 3" {
		t.Errorf("a new one: %q", got)
	}

	// Gone, with an end.
	next.Pools = []Share{{Pool: pool(t, after, func(p *proxy.Pool) { p.Drain = 10 * time.Millisecond }, s.addr), Weight: 1}}
	b.Configure(next)
	until(t, "the session of the server that is gone ends", func() bool { return b.Traffic().Open == 1 })
	if got := c.ask("4"); got != "b 4" {
		t.Errorf("after the drain: %q", got)
	}
}

func TestADrainedServerIsLeft(t *testing.T) {
	a, s := serve(t, "127.0.0.1", named("a")), serve(t, "127.0.0.1", named("b"))
	short := func(p *proxy.Pool) { p.Drain = 10 * time.Millisecond }
	before := pool(t, nil, short, a.addr, s.addr)
	b := start(t, "127.0.0.1:0", before)
	c := b.client(t)
	if got := c.ask("1"); got != "a 1" {
		t.Fatalf("got %q", got)
	}
	next := b.config
	next.Pools = []Share{{Weight: 1, Pool: pool(t, before, func(p *proxy.Pool) { short(p); p.Servers[0].State = proxy.Drain }, a.addr, s.addr)}}
	b.Configure(next)
	until(t, "the session ends", func() bool { return b.Traffic().Open == 0 })
	if got := c.ask("2"); got != "b 2" {
		t.Errorf("got %q", got)
	}
}

func TestShutdownLetsAnswersArrive(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, "127.0.0.1", func(s *server, from netip.AddrPort, b []byte) {
		<-release
		s.WriteToUDPAddrPort([]byte("late"), from)
	})
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, s.addr), func(l *proxy.Listener) { l.Timeouts.Idle = 500 * time.Millisecond })
	c := b.client(t)
	c.say("question")
	until(t, "the server is asked", func() bool { return s.received.Load() == 1 })
	b.stop()
	b.stop() // once more does nothing
	done := make(chan struct{})
	go func() { defer close(done); b.Shutdown(context.Background()) }()
	close(release)
	if got := c.hear(); got != "late" {
		t.Errorf("got %q", got)
	}
	<-done
	if got := b.Traffic().Open; got != 0 {
		t.Errorf("%d sessions are left", got)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	s := serve(t, "127.0.0.1", named("s"))
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, s.addr), func(l *proxy.Listener) { l.Timeouts.Idle = 0 })
	b.client(t).ask("1")
	b.client(t).ask("2")
	b.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.Shutdown(ctx)
	if got := b.Traffic().Open; got != 0 {
		t.Errorf("%d sessions are left", got)
	}
}

// The socket of a worker that drains is served by its successor.
func TestASuccessorTakesTheSocketOver(t *testing.T) {
	p := pool(t, nil, nil, serve(t, "127.0.0.1", named("s")).addr)
	old := start(t, "127.0.0.1:0", p)
	c := old.client(t)
	c.ask("1")
	next := NewEngine(reactortest.Start(t, 2)).New(old.config)
	old.stop()
	c.say("in between") // waits in the socket
	stop, err := next.Listen(old.socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.hear(); got != "s in between" {
		t.Errorf("got %q", got)
	}
	for i := range 10 {
		if got := c.ask(fmt.Sprint(i)); got != fmt.Sprint("s ", i) {
			t.Errorf("got %q", got)
		}
	}
	if got := next.Traffic(); got.In.Count != 11 || old.Traffic().In.Count != 1 {
		t.Errorf("the successor has got %d, its predecessor %d", got.In.Count, old.Traffic().In.Count)
	}
	end(next, stop)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	s := serve(t, "127.0.0.1", named("s"))
	p := pool(t, nil, nil, s.addr, closed(t))
	e := NewEngine(reactortest.Start(t, 2))
	clients := make([]*net.UDPConn, 20)
	socket, addr := bound(t, "127.0.0.1:0")
	defer socket.Close()
	for i := range clients {
		clients[i] = newClient(t, addr).UDPConn
	}
	before := descriptors(t)
	for range 3 {
		proxy := e.New(Config{Listener: proxy.Listener{}, Pools: []Share{{Pool: p, Weight: 1}}, Observe: func(*upstream.Server, upstream.Verdict) {}})
		stop, err := proxy.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			c.Write([]byte("x"))
		}
		until(t, "all are served", func() bool { return proxy.Traffic().In.Count >= uint64(len(clients)) })
		end(proxy, stop)
	}
	if got := descriptors(t); got != before {
		t.Errorf("%d descriptors are open, want %d", got, before)
	}
}

func TestASessionIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(session{}); got > 176 {
		t.Errorf("a session has %d bytes", got)
	}
}

func TestASocketOfAnotherKindIsRefused(t *testing.T) {
	b := start(t, "127.0.0.1:0", pool(t, nil, nil, closed(t)))
	c, _ := bound(t, "127.0.0.1:0")
	c.Close()
	if _, err := b.Listen(c); err == nil {
		t.Error("a closed socket is served")
	}
}

// Questions and answers of one client: what a datagram costs beside the sockets.
func BenchmarkExchange(b *testing.B) {
	s := serve(b, "127.0.0.1", func(s *server, from netip.AddrPort, p []byte) { s.WriteToUDPAddrPort(p, from) })
	p := start(b, "127.0.0.1:0", pool(b, nil, nil, s.addr))
	fd, err := mmsg.Connect(p.addr)
	if err != nil {
		b.Fatal(err)
	}
	c := mmsg.Socket{FD: fd}
	defer c.Close()
	var buf [64]byte
	b.ReportAllocs()
	for b.Loop() {
		if _, errno := socket.Send(fd, buf[:]); errno != 0 {
			b.Fatal(errno)
		}
		for {
			if _, errno := socket.Recv(fd, buf[:], 0); errno == 0 {
				break
			}
		}
	}
}
