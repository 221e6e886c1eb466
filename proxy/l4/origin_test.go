package l4

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/proxyproto"
)

// reporting answers with the header that a connection begins with, and with what is
// behind it.
func reporting(c *net.TCPConn) {
	var b []byte
	for {
		h, n, err := proxyproto.Parse(b)
		switch {
		case err != nil:
			fmt.Fprintf(c, "%v\n", err)
			return
		case n > 0:
			fmt.Fprintf(c, "%s: %v to %v\n", h.Version, h.Source, h.Destination)
			c.Write(b[n:])
			echo(c)
			return
		}
		part := make([]byte, 64)
		n, err = c.Read(part)
		if err != nil {
			return
		}
		b = append(b, part[:n]...)
	}
}

func TestServersAreToldWhoTheClientIs(t *testing.T) {
	spec := pool(t, backend(t, reporting)).Spec()
	spec.SendProxy = proxy.ProxyV1
	r := start(t, repool(t, spec))
	for _, v := range []proxy.ProxyVersion{proxy.ProxyV1, proxy.ProxyV2} {
		r.repool(t, "db", func(p *proxy.Pool) { p.SendProxy = v })
		c := r.dial(t)
		lines := bufio.NewReader(c)
		got, err := lines.ReadString('\n')
		if want := fmt.Sprintf("%s: %v to %v\n", v, c.LocalAddr(), c.RemoteAddr()); err != nil || got != want {
			t.Errorf("the server was told %q, %v; want %q", got, err, want)
		}
		io.WriteString(c, "ping")
		c.CloseWrite()
		if rest, err := io.ReadAll(lines); err != nil || string(rest) != "ping" {
			t.Errorf("echo %q, %v", rest, err)
		}
	}
}

// Of two nodes in a row the second passes on what the first has said.
func TestTheClientIsKnownBehindTwoProxies(t *testing.T) {
	spec := pool(t, backend(t, reporting)).Spec()
	spec.SendProxy = proxy.ProxyV2
	inner := startWith(t, proxy.Listener{
		Protocol: proxy.TCP, Routes: []proxy.Route{to("db")}, ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}, repool(t, spec))
	for _, v := range []proxy.ProxyVersion{proxy.ProxyV1, proxy.ProxyV2} {
		spec := pool(t, inner.l.Addr().String()).Spec()
		spec.SendProxy = v
		outer := start(t, repool(t, spec))
		c := outer.dial(t)
		io.WriteString(c, "ping") // it may be there with the header
		lines := bufio.NewReader(c)
		got, err := lines.ReadString('\n')
		if want := fmt.Sprintf("v2: %v to %v\n", c.LocalAddr(), c.RemoteAddr()); err != nil || got != want {
			t.Errorf("by %s: the server was told %q, %v; want %q", v, got, err, want)
		}
		c.CloseWrite()
		if rest, err := io.ReadAll(lines); err != nil || string(rest) != "ping" {
			t.Errorf("by %s: echo %q, %v", v, rest, err)
		}
	}
}

func TestTheClientOfTheHeaderIsBalancedAndRouted(t *testing.T) {
	name := func(s string) func(*net.TCPConn) {
		return func(c *net.TCPConn) { io.WriteString(c, s) }
	}
	hashed := pool(t, backend(t, name("a")), backend(t, name("b")), backend(t, name("c"))).Spec()
	hashed.Balance = proxy.ClientIPHash
	special := pool(t, backend(t, name("special"))).Spec()
	special.Name = "special"
	route := to("special")
	route.Match.Clients = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	r := startWith(t, proxy.Listener{
		Protocol: proxy.TCP, Routes: []proxy.Route{route, to("db")}, ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}, repool(t, hashed), repool(t, special))
	ask := func(client string) string {
		t.Helper()
		c := r.dial(t)
		c.Write(proxyproto.Append(nil, proxy.ProxyV2, netip.MustParseAddrPort(client), netip.MustParseAddrPort("192.0.2.1:443")))
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		r.settle(t) // a server that is busy already may be passed over
		return string(got)
	}
	seen := make(map[string]bool)
	for i := range 30 {
		first, again := ask(fmt.Sprintf("203.0.113.%d:1000", i)), ask(fmt.Sprintf("203.0.113.%d:2000", i))
		if first != again {
			t.Fatalf("client %d comes to %s, and then to %s", i, first, again)
		}
		seen[first] = true
	}
	if len(seen) != 3 {
		t.Errorf("30 clients come to %v alone", seen)
	}
	if got := ask("198.51.100.7:1"); got != "special" {
		t.Errorf("a client of the special network comes to %s", got)
	}
}
