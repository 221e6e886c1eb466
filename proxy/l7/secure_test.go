package l7

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// clientsOverTLS has all proxies of tests speak TLS with their clients.
var clientsOverTLS atomic.Bool

// secured is what a proxy that speaks TLS is made of.
type secured struct {
	root, clients *securetest.Authority
	terms         *secure.Terms
}

func newSecured(t testing.TB, spec *proxy.Listener, auth proxy.ClientAuth) *secured {
	t.Helper()
	s := &secured{root: securetest.New(t, "root"), clients: securetest.New(t, "clients")}
	pair := s.root.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1", "a.example"}})
	spec.TLS = &proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: "a.pem", Key: "a.key"}}, ClientAuth: auth, ClientCA: "clients.pem"}
	var err error
	s.terms, err = secure.Server(spec, proxy.Files{"a.pem": pair.Cert, "a.key": pair.Key, "clients.pem": s.clients.PEM()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *secured) client() *tls.Config {
	return &tls.Config{RootCAs: s.root.Pool(), ServerName: "a.example"}
}

// startSecured is startWith, with TLS.
func startSecured(t testing.TB, auth proxy.ClientAuth, servers ...string) (*running, *secured) {
	t.Helper()
	r := start(t, servers...)
	spec := r.config.Listener
	s := newSecured(t, &spec, auth)
	r.config.Listener, r.config.Terms = spec, s.terms
	r.Configure(r.prepare(t))
	return r, s
}

// bridge takes connections without TLS and carries them to a proxy that speaks it, so
// that a client sees the same of both.
func bridge(t testing.TB, to string, config *tls.Config) net.Addr {
	t.Helper()
	l := reactortest.Listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Go(func() { carry(c, to, config) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr()
}

func carry(c *net.TCPConn, to string, config *tls.Config) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	raw, err := net.Dial("tcp", to)
	if err != nil {
		c.SetLinger(0)
		return
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(2 * patience))
	s := tls.Client(raw, config)
	if s.Handshake() != nil {
		c.SetLinger(0)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := io.Copy(s, c)
		if errors.Is(err, syscall.ECONNRESET) {
			raw.(*net.TCPConn).SetLinger(0)
			raw.Close()
			return
		}
		s.CloseWrite()
		raw.(*net.TCPConn).CloseWrite()
	})
	if _, err := io.Copy(c, s); err != nil {
		c.SetLinger(0)
		c.Close()
	} else {
		c.CloseWrite()
	}
	wg.Wait()
}

func TestServersAreToldOfTheClientsCertificate(t *testing.T) {
	seen := make(chan http.Header, 1)
	server := webServer(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	forged := "X-Client-Verified: true\r\nx_client_verified: true\r\nClient-Cert: :AAAA:\r\nX-Client-Cert-Subject: CN=root\r\n"
	r, s := startSecured(t, proxy.ClientAuthOptional, server)
	own := s.clients.Issue(t, securetest.Leaf{Subject: "alice"}).Certificate(t)
	for _, shown := range []bool{true, false} {
		config := s.client()
		if shown {
			config.Certificates = []tls.Certificate{own}
		}
		c := tls.Client(r.dial(t), config)
		for range 2 { // the second one is on a connection that was parked
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.example\r\n"+forged+"\r\n"); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%v, %v", res, err)
			}
			h := <-seen
			subject, verified, cert := h.Values("X-Client-Cert-Subject"), h.Values("X-Client-Verified"), h.Values("Client-Cert")
			if _, there := h["X_client_verified"]; there {
				t.Error("a forged field got through")
			}
			if h.Get("X-Forwarded-Proto") != "https" {
				t.Errorf("the client is said to have spoken %q", h.Get("X-Forwarded-Proto"))
			}
			if !shown {
				if len(subject)+len(verified)+len(cert) > 0 {
					t.Errorf("forged fields got through: %v", h)
				}
				continue
			}
			if len(subject) != 1 || subject[0] != "CN=alice" || len(verified) != 1 || len(cert) != 1 || len(cert[0]) < 100 || len(h.Get("X-Client-Cert-Fingerprint")) != 64 {
				t.Errorf("the server is told %q, %q, %q", subject, verified, cert)
			}
		}
	}
}

// A body that ends before its time is no body, on either side.
func TestATruncatedBodyOverTLSIsAnError(t *testing.T) {
	begun, gone := make(chan bool, 1), make(chan error, 1)
	r, s := startSecured(t, proxy.ClientAuthNone, webServer(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- true
		_, err := io.Copy(io.Discard, r.Body)
		gone <- err
	}))
	raw := r.dial(t)
	c := tls.Client(raw, s.client())
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\nhalf of it"); err != nil {
		t.Fatal(err)
	}
	receive(t, "the request", begun) // one that ends before would not be sent on at all
	raw.CloseWrite()
	if err := receive(t, "the end of the body", gone); err == nil {
		t.Error("the server takes half a body for all")
	}
}

// Bodies that would be spliced without TLS.
func TestLargeBodiesOverTLS(t *testing.T) {
	r, s := startSecured(t, proxy.ClientAuthNone, webServer(t, echo))
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: s.client()}, Timeout: patience}
	defer h.CloseIdleConnections()
	text := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	for name, sized := range map[string]bool{"sized": true, "chunked": false} {
		var up io.Reader = strings.NewReader(text)
		if !sized {
			up = io.MultiReader(up)
		}
		res, err := h.Post("https://"+r.l.Addr().String()+"/", "text/plain", up)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, res); got != text {
			t.Errorf("%s: got %d bytes", name, len(got))
		}
		res.Body.Close()
	}
	if got := r.Traffic(); got.TLS.TLS13.Full == 0 || got.Failed > 0 || len(got.Refused) > 0 {
		t.Errorf("got %+v", got)
	}
}

// What clients see, and what becomes of them, is the same over TLS.
func TestTheSameOverTLS(t *testing.T) {
	clientsOverTLS.Store(true)
	defer clientsOverTLS.Store(false)
	for _, test := range []struct {
		name string
		f    func(*testing.T)
	}{
		{"AbortedByTheClient", TestAbortedByTheClient},
		{"LateClients", TestLateClients},
		{"TunnelsEndWithTheDrainOfTheirServer", TestTunnelsEndWithTheDrainOfTheirServer},
		{"MalformedRequests", TestMalformedRequests},
		{"MalformedBody", TestMalformedBody},
		{"PanicIsContained", TestPanicIsContained},
		{"LimitsOfARequest", TestLimitsOfARequest},
		{"ResponsesToHTTP10", TestResponsesToHTTP10},
		{"BrokenResponseIsResetForHTTP10", TestBrokenResponseIsResetForHTTP10},
		{"EarlyResponseGetsThrough", TestEarlyResponseGetsThrough},
		{"RefusalSurvivesWhatFollows", TestRefusalSurvivesWhatFollows},
		{"ContinueFallback", TestContinueFallback},
		{"ResponsesThatFillTheBuffer", TestResponsesThatFillTheBuffer},
		{"ShutdownLetsExchangesFinish", TestShutdownLetsExchangesFinish},
		{"ShutdownWaitsForUpgraded", TestShutdownWaitsForUpgraded},
		{"ShutdownCutsWhatIsLeft", TestShutdownCutsWhatIsLeft},
		{"BigBodiesBothWays", TestBigBodiesBothWays},
		{"EventsArriveBeforeTheEnd", TestEventsArriveBeforeTheEnd},
		{"RequestAndResponseAtTheSameTime", TestRequestAndResponseAtTheSameTime},
		{"EarlyResponse", TestEarlyResponse},
		{"Upgrade", TestUpgrade},
		{"ServerDiesMidResponse", TestServerDiesMidResponse},
		{"ClientLeaves", TestClientLeaves},
		{"ManyAtOnce", TestManyAtOnce},
		{"BytesAroundTheSwitchKeepTheirOrder", TestBytesAroundTheSwitchKeepTheirOrder},
		{"TunnelEnds", TestTunnelEnds},
		{"SwitchWithinABody", TestSwitchWithinABody},
	} {
		t.Run(test.name, test.f)
	}
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}
