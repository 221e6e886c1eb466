package udp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// A node has addresses of its own beside the VIP, which the kernel would prefer as a
// source: the answer comes from the VIP, which the node may have got after the socket.
func TestAnswersComeFromTheVIP(t *testing.T) {
	const spec4, spec6 = "10.9.0.100/24", "fd09::100/64"
	l := labtest.New(t,
		lab.HostSpec{Name: "lb", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd09::1/64")}},
		lab.HostSpec{Name: "client", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.50/24"), netip.MustParsePrefix("fd09::50/64")}})
	p := pool(t, nil, nil, serve(t, "127.0.0.1", named("server")).addr) // beside the lab: only the clients' side matters
	e := NewEngine(reactortest.Start(t, 2))
	for _, test := range []struct{ name, bind, vip string }{
		{"IPv4", "0.0.0.0:53", spec4},
		{"IPv4, on a socket of both families", "[::]:54", spec4},
		{"IPv6", "[::]:55", spec6},
		{"bound before the VIP is here", "10.9.0.101:56", "10.9.0.101/24"},
	} {
		t.Run(test.name, func(t *testing.T) {
			vip, bind := netip.MustParsePrefix(test.vip), netip.MustParseAddrPort(test.bind)
			var socket *net.UDPConn
			if err := l.Host("lb").Do(func() (err error) {
				socket, err = listenFree(bind)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			conf := Config{
				Listener: proxy.Listener{Timeouts: proxy.ListenerTimeouts{Idle: time.Minute}},
				Pools:    []Share{{Pool: p, Weight: 1}}, Observe: func(*upstream.Server, upstream.Verdict) {},
			}
			proxy := e.New(conf)
			stop, err := proxy.Listen(socket)
			if err != nil {
				t.Fatal(err)
			}
			defer end(proxy, stop)
			if has, err := l.Host("lb").Has(vip.Addr()); err != nil || !has {
				if err := l.Host("lb").AddAddress(vip); err != nil {
					t.Fatal(err)
				}
			}
			conn, err := l.Host("client").DialContext(t.Context(), "udp", netip.AddrPortFrom(vip.Addr(), bind.Port()).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			c := &client{conn.(*net.UDPConn), t} // connected: it hears the VIP alone
			if got := c.ask("who?"); got != "server who?" {
				t.Errorf("got %q", got)
			}
		})
	}
}
