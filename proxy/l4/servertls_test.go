package l4

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// secureServer runs handle for each connection to a server that speaks TLS.
func secureServer(t testing.TB, config *tls.Config, handle func(*tls.Conn)) string {
	return backend(t, func(raw *net.TCPConn) {
		if c := tls.Server(raw, config); c.Handshake() == nil {
			handle(c)
		}
	})
}

func serves(t testing.TB, ca *securetest.Authority, names ...string) *tls.Config {
	pair := ca.Issue(t, securetest.Leaf{Names: names}).Certificate(t)
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// startSecure serves a pool over TLS.
func startSecure(t testing.TB, ca *securetest.Authority, spec proxy.PoolTLS, p *upstream.Pool) *running {
	t.Helper()
	own := ca.Issue(t, securetest.Leaf{Subject: "lb"})
	spec.CA = "ca.pem"
	id, err := secure.Client(&spec, proxy.Files{"ca.pem": ca.PEM(), "lb.pem": own.Cert, "lb.key": own.Key})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, p)
	r.use(t, func(r *running) { r.identity = id })
	return r
}

func secureEcho(c *tls.Conn) {
	io.Copy(c, c)
	c.CloseWrite()
	c.NetConn().(*net.TCPConn).CloseWrite()
}

func TestBytesGoToServersOverTLS(t *testing.T) {
	ca := securetest.New(t, "ca")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := serves(t, ca, "127.0.0.1")
			config.MaxVersion = version
			r := startSecure(t, ca, proxy.PoolTLS{}, pool(t, secureServer(t, config, secureEcho)))
			c := r.dial(t)
			data := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c, data)
				sent <- errors.Join(err, c.CloseWrite())
			}()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != data {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if tr := r.settle(t); tr.Failed != 0 {
				t.Errorf("%d failures", tr.Failed)
			}
			if st := r.server(0); st.Health != upstream.Up || st.Failed != 0 {
				t.Errorf("the server is %v, %q, after %d failures", st.Health, st.Reason, st.Failed)
			}
		})
	}
}

func TestSessionsAreResumed(t *testing.T) {
	ca := securetest.New(t, "ca")
	config := serves(t, ca, "db.internal")
	p := pool(t, secureServer(t, config, func(c *tls.Conn) {
		fmt.Fprintln(c, c.ConnectionState().ServerName, c.ConnectionState().DidResume)
		io.Copy(io.Discard, c)
		c.CloseWrite()
	}))
	r := startSecure(t, ca, proxy.PoolTLS{ServerName: "db.internal"}, p)
	for _, want := range []string{"db.internal false\n", "db.internal true\n"} {
		c := r.dial(t)
		got, err := bufio.NewReader(c).ReadString('\n')
		if got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		c.Close()
		r.settle(t)
	}
	r.use(t, func(*running) {}) // as a reload does that changes nothing
	if got, _ := bufio.NewReader(r.dial(t)).ReadString('\n'); got != "db.internal true\n" {
		t.Errorf("after a reload: %q", got)
	}
}

// What is wrong with a server is in its status, and another one gets the client.
func TestHandshakesThatFailAreConnectsThatFail(t *testing.T) {
	ca, other := securetest.New(t, "ca"), securetest.New(t, "other")
	for name, tt := range map[string]struct{ server, want string }{
		"unknown authority": {secureServer(t, serves(t, other, "127.0.0.1"), secureEcho), "TLS: certificate signed by unknown authority"},
		"wrong name":        {secureServer(t, serves(t, ca, "127.0.0.2"), secureEcho), "TLS: certificate is valid for 127.0.0.2, not 127.0.0.1"},
		"plain":             {backend(t, func(c *net.TCPConn) { io.WriteString(c, "220 hello\r\n"); io.Copy(io.Discard, c) }), "TLS: what the server answers is not TLS"},
		"it only listens":   {backend(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) }), "TLS: no answer in time"},
		"no connection":     {reactortest.Refusing(t), "connect: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := pool(t, tt.server, secureServer(t, serves(t, ca, "127.0.0.1"), secureEcho)).Spec()
			spec.Timeouts.Connect = 200 * time.Millisecond
			r := startSecure(t, ca, proxy.PoolTLS{}, repool(t, spec))
			for range 4 { // in turn
				echoed(t, r.dial(t))
			}
			if st := r.server(0); st.Failed == 0 || !strings.HasPrefix(st.Reason, tt.want) {
				t.Errorf("the server is %v, %q, after %d failures; want %q", st.Health, st.Reason, st.Failed, tt.want)
			}
		})
	}
}

// With TLS 1.3 a server says no when this side is done with the handshake: the client is
// reset, and the server's health hears of it.
func TestAServerThatSaysNoAfterTheHandshake(t *testing.T) {
	ca := securetest.New(t, "ca")
	config := serves(t, ca, "127.0.0.1")
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	address := secureServer(t, config, secureEcho)
	r := startSecure(t, ca, proxy.PoolTLS{}, pool(t, address))
	for range 3 {
		c := r.dial(t)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	}
	r.settle(t)
	st := r.server(0)
	if st.Health != upstream.Down || !strings.HasPrefix(st.Reason, "TLS: the server refuses: certificate required") || st.Failed != 3 {
		t.Errorf("the server is %v, %q, after %d failures", st.Health, st.Reason, st.Failed)
	}
	r = startSecure(t, ca, proxy.PoolTLS{Cert: "lb.pem", Key: "lb.key"}, pool(t, address))
	echoed(t, r.dial(t))
}

// An end that TLS does not vouch for resets the other side.
func TestATunnelEndsWithTLS(t *testing.T) {
	ca := securetest.New(t, "ca")
	for name, announced := range map[string]bool{"announced": true, "cut": false} {
		t.Run(name, func(t *testing.T) {
			p := pool(t, secureServer(t, serves(t, ca, "127.0.0.1"), func(c *tls.Conn) {
				io.WriteString(c, "all there is, or is it")
				if announced {
					c.CloseWrite()
				}
				c.NetConn().(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
			}))
			r := startSecure(t, ca, proxy.PoolTLS{}, p)
			c := r.dial(t)
			got, err := io.ReadAll(c)
			switch {
			case announced && (err != nil || string(got) != "all there is, or is it"):
				t.Errorf("got %q, %v", got, err)
			case !announced && !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("got %q, %v, want a reset", got, err)
			}
		})
	}
}

func TestTheClientIsNamedBeforeTLS(t *testing.T) {
	ca := securetest.New(t, "ca")
	config := serves(t, ca, "127.0.0.1")
	header := make(chan string, 1)
	spec := pool(t, backend(t, func(raw *net.TCPConn) {
		line := make([]byte, 0, 107)
		for b := make([]byte, 1); len(line) == 0 || line[len(line)-1] != '\n'; line = append(line, b...) {
			if _, err := raw.Read(b); err != nil {
				return
			}
		}
		header <- string(line)
		secureEcho(tls.Server(raw, config))
	})).Spec()
	spec.SendProxy = proxy.ProxyV1
	r := startSecure(t, ca, proxy.PoolTLS{}, repool(t, spec))
	c := r.dial(t)
	echoed(t, c)
	want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", c.LocalAddr().(*net.TCPAddr).Port, r.l.Addr().(*net.TCPAddr).Port)
	if got := <-header; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Who waits for a place while the config changes gets what the new one says: another
// server, and another way to speak to it.
func TestOneWhoWaitsSpeaksAsTheNewConfigDoes(t *testing.T) {
	ca := securetest.New(t, "ca")
	id, err := secure.Client(&proxy.PoolTLS{CA: "ca.pem"}, proxy.Files{"ca.pem": ca.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	other := netip.MustParseAddrPort(secureServer(t, serves(t, ca, "127.0.0.1"), secureEcho))
	r, _ := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 2 })
	c := r.dial(t)
	r.waiting(t, 1)
	r.identity = id
	r.repool(t, "db", func(p *proxy.Pool) { p.Servers[0].Address, p.Servers[0].Name = other, "other" })
	echoed(t, c)
}
