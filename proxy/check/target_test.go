package check

import (
	"context"
	"crypto/tls"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// secureServer answers requests with 200, over TLS, by config.
func secureServer(t *testing.T, config *tls.Config) netip.AddrPort {
	t.Helper()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		if host != r.TLS.ServerName && r.TLS.ServerName != "" || r.TLS.NegotiatedProtocol != secure.HTTP11 {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	}))
	web.TLS = config
	web.Config.ErrorLog = log.New(t.Output(), "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	return netip.MustParseAddrPort(web.Listener.Addr().String())
}

// silentServer accepts connections, and says nothing.
func silentServer(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestProbesOverTLS(t *testing.T) {
	ca, other := securetest.New(t, "Root"), securetest.New(t, "Other")
	files := proxy.Files{"ca": ca.PEM(), "other": other.PEM()}
	for name, p := range map[string]securetest.Pair{
		"own":   ca.Issue(t, securetest.Leaf{Subject: "lb"}),
		"alien": other.Issue(t, securetest.Leaf{Subject: "stranger"}),
	} {
		files[name+".pem"], files[name+".key"] = p.Cert, p.Key
	}
	server := func(l securetest.Leaf, change func(*tls.Config)) netip.AddrPort {
		config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, l).Certificate(t)}}
		if change != nil {
			change(config)
		}
		return secureServer(t, config)
	}
	named := securetest.Leaf{Names: []string{"web.internal", "127.0.0.1"}}
	good := server(named, nil)
	expired := server(securetest.Leaf{Names: named.Names, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, nil)
	asking := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool() }
	mutual := server(named, asking)
	mutual12 := server(named, func(c *tls.Config) { asking(c); c.MaxVersion = tls.VersionTLS12 })
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()

	with := func(p proxy.PoolTLS) *proxy.PoolTLS { p.MinVersion = proxy.TLS12; return &p }
	tests := []struct {
		name    string
		address netip.AddrPort
		tls     *proxy.PoolTLS
		ok      bool
		tcp     string // evidence of a check of tcp; that of http is compared alike
		http    string
	}{
		{"by name", good, with(proxy.PoolTLS{CA: "ca", ServerName: "web.internal"}), true, "TLS: connected", "GET /: status 200"},
		{"by address", good, with(proxy.PoolTLS{CA: "ca"}), true, "TLS: connected", "GET /: status 200"},
		{"another name", good, with(proxy.PoolTLS{CA: "ca", ServerName: "api.internal"}), false,
			"TLS: certificate is valid for web.internal, not api.internal", ""},
		{"another name, and nobody looks", good, with(proxy.PoolTLS{ServerName: "api.internal", Insecure: true}), true, "TLS: connected", "GET /: status 200"},
		{"another authority", good, with(proxy.PoolTLS{CA: "other", ServerName: "web.internal"}), false, "TLS: certificate signed by unknown authority", ""},
		{"expired", expired, with(proxy.PoolTLS{CA: "ca"}), false, "TLS: certificate has expired or is not yet valid", ""},
		{"no TLS", netip.MustParseAddrPort(plain.Listener.Addr().String()), with(proxy.PoolTLS{CA: "ca"}), false, "TLS: what the server answers is not TLS", ""},
		{"no answer", silentServer(t), with(proxy.PoolTLS{CA: "ca"}), false, "TLS: no answer in time", ""},
		{"with a certificate", mutual, with(proxy.PoolTLS{CA: "ca", Cert: "own.pem", Key: "own.key"}), true, "TLS: connected", "GET /: status 200"},
		{"with another's certificate", mutual, with(proxy.PoolTLS{CA: "ca", Cert: "alien.pem", Key: "alien.key"}), false, "TLS: the server refuses: ", ""},
		{"with a certificate, of TLS 1.2", mutual12, with(proxy.PoolTLS{CA: "ca", Cert: "own.pem", Key: "own.key"}), true, "TLS: connected", "GET /: status 200"},
		{"with another's certificate, of TLS 1.2", mutual12, with(proxy.PoolTLS{CA: "ca", Cert: "alien.pem", Key: "alien.key"}), false, "TLS: the server refuses: ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := secure.Client(tt.tls, files)
			if err != nil {
				t.Fatal(err)
			}
			config := id.Config(id.NameOf(proxy.Server{Address: tt.address}))
			if tt.http == "" {
				tt.http = "GET /: " + tt.tcp
			}
			within := 10 * time.Second
			if tt.name == "no answer" {
				within = 50 * time.Millisecond
			}
			for want, check := range map[string]proxy.Check{
				tt.tcp:  {Kind: proxy.CheckTCP},
				tt.http: {Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: "/", Expect: proxy.StatusRange{Low: 200, High: 200}},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), within)
				evidence, saw := newProbe(tt.address, check)(ctx, Way{TLS: config})
				cancel()
				if !strings.HasPrefix(evidence, want) || saw == sawNothing || (saw == sawGood) != tt.ok {
					t.Errorf("probe = %q, %v; want %q, %v", evidence, saw, want, tt.ok)
				}
			}
		})
	}
}

// A checker goes on as it is when the pool's certificates are renewed.
func TestACheckerTakesAnotherConfig(t *testing.T) {
	ca := securetest.New(t, "Root")
	files := proxy.Files{"ca": ca.PEM()}
	at := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1"}}).Certificate(t)}})
	id, err := secure.Client(&proxy.PoolTLS{CA: "ca", MinVersion: proxy.TLS12}, files)
	if err != nil {
		t.Fatal(err)
	}
	s := server(t, at.String(), proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: 10 * time.Second, Rise: 1, Fall: 1})
	healths := make(chan upstream.Health, 10)
	c := New(s, rand.New(rand.NewPCG(1, 2)), func(s *upstream.Server, _ upstream.Verdict) { healths <- s.Status(time.Now()).Health })
	c.Speak(Way{TLS: id.Config("another.internal")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	if got := <-healths; got != upstream.Down {
		t.Errorf("health by a wrong name = %v", got)
	}
	c.Speak(Way{TLS: id.Config("127.0.0.1")})
	c.Now()
	if got := <-healths; got != upstream.Up {
		t.Errorf("health by the right name = %v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
