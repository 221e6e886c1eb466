package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// echoAll sends back all that there is, and parks.
func echoAll(c tlsconn.Stream, _ *Bind) bool {
	var b [64]byte
	for {
		n, err := c.TryRead(b[:])
		if err != nil {
			return errors.Is(err, reactor.ErrWouldBlock)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
	}
}

// site is a frontend that speaks TLS.
type site struct {
	*bench
	root, clients *securetest.Authority
	spec          proxy.Listener
	files         proxy.Files
}

func secured(t *testing.T, o Options, change func(*proxy.Listener)) *site {
	t.Helper()
	if o.Serve == nil {
		o.Serve = echoAll
	}
	s := &site{bench: start(t, "127.0.0.1", o), root: securetest.New(t, "root"), clients: securetest.New(t, "clients")}
	pair := s.root.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	s.files = proxy.Files{"a.pem": pair.Cert, "a.key": pair.Key, "clients.pem": s.clients.PEM()}
	s.spec = proxy.Listener{Name: "web", Protocol: proxy.HTTP, TLS: &proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: "a.pem", Key: "a.key"}}}}
	s.spec.Timeouts.TLSHandshake = patience
	if change != nil {
		change(&s.spec)
	}
	s.secure(t)
	return s
}

// secure makes new connections go by the spec.
func (s *site) secure(t *testing.T) {
	t.Helper()
	terms, err := secure.Server(&s.spec, s.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Limit(s.spec.Limits)
	s.Secure(terms, &s.spec)
}

func (s *site) client() *tls.Config {
	return &tls.Config{RootCAs: s.root.Pool(), ServerName: "a.example"}
}

// shake returns a connection whose handshake is done.
func (s *site) shake(t *testing.T, config *tls.Config) (*tls.Conn, *net.TCPConn) {
	t.Helper()
	raw := s.dial(t, "")
	c := tls.Client(raw, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// ping checks that the connection is served.
func ping(t *testing.T, c net.Conn) {
	t.Helper()
	b := make([]byte, 4)
	if _, err := io.WriteString(c, "ping"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
		t.Fatalf("got %q, %v", b, err)
	}
}

func (s *site) refusedFor(t *testing.T, reason string, n uint64) {
	t.Helper()
	eventually(t, reason, func() bool { return s.Traffic().Refused[reason] == n })
	for other, n := range s.Traffic().Refused {
		if other != reason {
			t.Errorf("%d refused for %s, beside %s", n, other, reason)
		}
	}
}

func TestHandshakesAreCountedByVersion(t *testing.T) {
	s := secured(t, Options{}, nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := s.client()
		config.MinVersion, config.MaxVersion = version, version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for range 3 {
			c, _ := s.shake(t, config)
			ping(t, c)
			ping(t, c)
			c.Close()
		}
	}
	want := proxy.TLSTraffic{TLS12: proxy.Handshakes{Full: 1, Resumed: 2}, TLS13: proxy.Handshakes{Full: 1, Resumed: 2}}
	if got := s.Traffic().TLS; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.hasOpen(t, 0)
}

func TestWhyAHandshakeFailedIsCounted(t *testing.T) {
	tests := map[string]struct {
		change func(*proxy.Listener)
		do     func(*testing.T, *site, *net.TCPConn)
		want   string
	}{
		"garbage": {nil, func(t *testing.T, _ *site, c *net.TCPConn) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }, "tls_not_tls"},
		"cut": {nil, func(t *testing.T, _ *site, c *net.TCPConn) {
			io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00")
			c.CloseWrite()
		}, "tls_cut"},
		"reset": {nil, func(t *testing.T, s *site, c *net.TCPConn) {
			io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00")
			s.hasOpen(t, 1)
			c.SetLinger(0)
			c.Close()
		}, "tls_cut"},
		"nonsense": {nil, func(t *testing.T, _ *site, c *net.TCPConn) { io.WriteString(c, "\x16\x03\x01\x00\x04\x63\x00\x00\x00") }, "tls_malformed"},
		"silence":  {func(l *proxy.Listener) { l.Timeouts.TLSHandshake = 50 * time.Millisecond }, func(*testing.T, *site, *net.TCPConn) {}, "tls_timeout"},
		"half a hello": {func(l *proxy.Listener) { l.Timeouts.TLSHandshake = 50 * time.Millisecond }, func(t *testing.T, _ *site, c *net.TCPConn) {
			io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00")
		}, "tls_timeout"},
		"no certificate": {func(l *proxy.Listener) {
			l.TLS.ClientAuth, l.TLS.ClientCA = proxy.ClientAuthRequire, "clients.pem"
		}, func(t *testing.T, s *site, c *net.TCPConn) { go tls.Client(c, s.client()).Handshake() }, "tls_no_certificate"},
		"no trust": {nil, func(t *testing.T, s *site, c *net.TCPConn) {
			go tls.Client(c, &tls.Config{ServerName: "a.example"}).Handshake()
		}, "tls_alert_certificate"},
		"a version": {nil, func(t *testing.T, s *site, c *net.TCPConn) {
			config := s.client()
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			go tls.Client(c, config).Handshake()
		}, "tls_version"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := secured(t, Options{}, test.change)
			c := s.dial(t, "")
			test.do(t, s, c)
			s.refusedFor(t, test.want, 1)
			s.hasOpen(t, 0)
			if got := s.Traffic().TLS; got != (proxy.TLSTraffic{}) {
				t.Errorf("counted as done: %+v", got)
			}
		})
	}
}

// A look whether somebody listens is no failure.
func TestALookIsNotCounted(t *testing.T) {
	s := secured(t, Options{}, nil)
	s.dial(t, "").Close()
	eventually(t, "the connection", func() bool { return s.Traffic().Accepted == 1 })
	s.hasOpen(t, 0)
	if got := s.Traffic().Refused; len(got) > 0 {
		t.Errorf("refused: %v", got)
	}
}

func TestARequestWithoutTLSIsTold(t *testing.T) {
	s := secured(t, Options{}, nil)
	for i, request := range []string{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n" + strings.Repeat("x", 2000)} {
		c := s.dial(t, "")
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(wrongPort))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != wrongPort {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		s.refusedFor(t, "tls_not_tls", uint64(i+1))
	}
	head, body, _ := strings.Cut(wrongPort, "\r\n\r\n")
	if !strings.Contains(head, "Content-Length: 44\r\n") || len(body) != 44 {
		t.Errorf("the body has %d bytes, which %q does not say", len(body), head)
	}
}

func TestHandshakesHaveARate(t *testing.T) {
	s := secured(t, Options{}, func(l *proxy.Listener) { l.Limits.Handshakes = 2 })
	open := 0
	for range 10 {
		c := tls.Client(s.dial(t, ""), s.client())
		if c.Handshake() == nil {
			open++
			defer c.Close()
		}
	}
	if open < 2 || open > 8 {
		t.Errorf("%d of 10 handshakes at once were done, of 2 in a second", open)
	}
	if got := s.Traffic().Refused[handshakeRate]; got != uint64(10-open) {
		t.Errorf("%d refused, want %d", got, 10-open)
	}
	s.secure(t) // the same rate: what was used of it stays used
	if tls.Client(s.dial(t, ""), s.client()).Handshake() == nil && tls.Client(s.dial(t, ""), s.client()).Handshake() == nil {
		t.Error("a reload gives new handshakes")
	}
}

// A client that is slow holds up nobody but itself.
func TestASlowHandshakeDoesNotStopTheLoop(t *testing.T) {
	s := secured(t, Options{}, nil)
	for range 4 { // there are two loops
		if _, err := io.WriteString(s.dial(t, ""), "\x16\x03\x01\x02\x00\x01\x00"); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		c, _ := s.shake(t, s.client())
		ping(t, c)
	}
}

// With Nagle's algorithm a client keeps its request until its last words of the
// handshake are acknowledged.
func TestAClientThatGathersIsNotHeldUp(t *testing.T) {
	s := secured(t, Options{}, nil)
	quickest := patience
	for range 5 {
		c, raw := s.shake(t, s.client())
		raw.SetNoDelay(false)
		began := time.Now()
		ping(t, c)
		quickest = min(quickest, time.Since(began))
		c.Close()
	}
	if quickest > 30*time.Millisecond {
		t.Errorf("the first request takes %v at least", quickest)
	}
}

// A client that has just shaken hands is about to ask.
func TestADrainLeavesTimeForTheFirstRequest(t *testing.T) {
	s := secured(t, Options{}, nil)
	fresh, _ := s.shake(t, s.client())
	used, raw := s.shake(t, s.client())
	ping(t, used)
	eventually(t, "handshakes", func() bool { return s.Traffic().TLS.TLS13.Full == 2 })
	s.stop()
	ended := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() {
		defer close(ended)
		s.Shutdown(ctx)
	}()
	// The used one is closed, and that is announced.
	b, err := io.ReadAll(raw)
	if err != nil || len(b) == 0 {
		t.Errorf("closed after %d bytes, %v", len(b), err)
	}
	ping(t, fresh)
	if _, err := fresh.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the first request: %v", err)
	}
	<-ended
}

func TestTheHeaderComesBeforeTheHandshake(t *testing.T) {
	s := secured(t, Options{Serve: func(c tlsconn.Stream, b *Bind) bool {
		if _, err := c.TryRead(make([]byte, 64)); err != nil {
			return errors.Is(err, reactor.ErrWouldBlock)
		}
		_, err := io.WriteString(c, ClientOf(c.Conn).String()+"\n")
		return err == nil
	}}, nil)
	s.Expect(prefixes("127.0.0.0/8"))
	raw := s.dial(t, "")
	if _, err := io.WriteString(raw, header(proxy.ProxyV2, "192.0.2.1:1234")); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, s.client())
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("192.0.2.1:1234\n"))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "192.0.2.1:1234\n" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestServersThatSpeakFirstSpeakAfterTheHandshake(t *testing.T) {
	var early atomic.Int64
	s := secured(t, Options{AtOnce: true, Serve: func(c tlsconn.Stream, b *Bind) bool {
		if c.Plain() {
			early.Add(1)
		}
		_, _ = io.WriteString(c, "220 hello")
		return false
	}}, nil)
	for range 3 {
		c, _ := s.shake(t, s.client())
		if b, err := io.ReadAll(c); string(b) != "220 hello" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	}
	s.Secure(nil, &s.spec) // and so do those without
	if b := said(t, s.dial(t, "")); b != "220 hello" || early.Load() != 1 {
		t.Errorf("got %q, %d without TLS", b, early.Load())
	}
}

func TestConnectionsOfTLSBeyondALimitAreClosed(t *testing.T) {
	for reason, limits := range map[Limit]proxy.ListenerLimits{Connections: {Connections: 1}, ConnectionsPerClient: {ConnectionsPerClient: 1}} {
		s := secured(t, Options{}, func(l *proxy.Listener) { l.Limits = limits })
		c, _ := s.shake(t, s.client())
		if err := tls.Client(s.dial(t, ""), s.client()).Handshake(); err == nil {
			t.Errorf("%s: a second connection is served", reason)
		}
		s.refusedFor(t, string(reason), 1)
		c.Close()
		s.hasOpen(t, 0)
		c, _ = s.shake(t, s.client())
		ping(t, c)
	}
}

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}
