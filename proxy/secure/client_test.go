package secure

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func TestIdentityIsRefusedWithAReason(t *testing.T) {
	ca := securetest.New(t, "ca")
	one, other := ca.Issue(t, securetest.Leaf{Names: []string{"one"}}), ca.Issue(t, securetest.Leaf{Names: []string{"other"}})
	files := proxy.Files{
		"ca.pem": ca.PEM(), "one.pem": one.Cert, "one.key": one.Key, "other.key": other.Key, "empty.pem": nil,
		"bad.pem": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	}
	for name, tt := range map[string]struct {
		spec proxy.PoolTLS
		want string
	}{
		"no such bundle":            {proxy.PoolTLS{CA: "gone.pem"}, `the contents of "gone.pem" were not handed over`},
		"nothing in the bundle":     {proxy.PoolTLS{CA: "empty.pem"}, `there is no certificate in "empty.pem"`},
		"a key as the bundle":       {proxy.PoolTLS{CA: "one.key"}, `there is no certificate in "one.key"`},
		"malformed bundle":          {proxy.PoolTLS{CA: "bad.pem"}, `certificate 1 in "bad.pem" is malformed`},
		"also when it is not asked": {proxy.PoolTLS{CA: "gone.pem", Insecure: true}, `the contents of "gone.pem" were not handed over`},
		"no such certificate":       {proxy.PoolTLS{CA: "ca.pem", Cert: "gone.pem", Key: "one.key"}, `"gone.pem"`},
		"no such key":               {proxy.PoolTLS{CA: "ca.pem", Cert: "one.pem", Key: "gone.key"}, `"gone.key"`},
		"the key of another":        {proxy.PoolTLS{CA: "ca.pem", Cert: "one.pem", Key: "other.key"}, `"other.key"`},
		"unknown version":           {proxy.PoolTLS{CA: "ca.pem", MinVersion: "1.1"}, `unknown version of TLS "1.1"`},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := Client(&tt.spec, files)
			if err == nil || id != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error with %q", id, err, tt.want)
			}
		})
	}
}

func TestIdentityMatchesWhatItWasMadeOf(t *testing.T) {
	ca := securetest.New(t, "ca")
	pair := ca.Issue(t, securetest.Leaf{Names: []string{"lb"}})
	spec := proxy.PoolTLS{CA: "ca.pem", Cert: "lb.pem", Key: "lb.key", ServerName: "web"}
	files := func() proxy.Files {
		return proxy.Files{"ca.pem": ca.PEM(), "lb.pem": pair.Cert, "lb.key": pair.Key, "of another": []byte("x")}
	}
	id, err := Client(&spec, files())
	if err != nil {
		t.Fatal(err)
	}
	same := spec
	if !id.Matches(&same, files()) {
		t.Error("it does not match itself")
	}
	for name, change := range map[string]func(*proxy.PoolTLS, proxy.Files){
		"the bundle": func(_ *proxy.PoolTLS, f proxy.Files) { f["ca.pem"] = append([]byte("# more\n"), ca.PEM()...) },
		"the certificate": func(_ *proxy.PoolTLS, f proxy.Files) {
			f["lb.pem"] = ca.Issue(t, securetest.Leaf{Names: []string{"lb"}}).Cert
		},
		"the key": func(_ *proxy.PoolTLS, f proxy.Files) {
			f["lb.key"] = ca.Issue(t, securetest.Leaf{Names: []string{"lb"}}).Key
		},
		"the name":    func(p *proxy.PoolTLS, _ proxy.Files) { p.ServerName = "db" },
		"the version": func(p *proxy.PoolTLS, _ proxy.Files) { p.MinVersion = proxy.TLS13 },
		"insecure":    func(p *proxy.PoolTLS, _ proxy.Files) { p.Insecure = true },
	} {
		other, f := spec, files()
		change(&other, f)
		if id.Matches(&other, f) {
			t.Errorf("it matches with another value of %s", name)
		}
	}
	if id.Matches(nil, files()) || (*Identity)(nil).Matches(&spec, files()) {
		t.Error("nothing matches")
	}
}

func TestServersHaveNames(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:443")
	for name, tt := range map[string]struct {
		pool   string
		server proxy.Server
		want   string
	}{
		"of the pool":           {"web.internal", proxy.Server{Name: "one", Host: "a.example:443", Address: at}, "web.internal"},
		"that it is found by":   {"", proxy.Server{Name: "one", Host: "a.example:443", Address: at}, "a.example"},
		"absolute":              {"", proxy.Server{Name: "one", Host: "a.example.:443", Address: at}, "a.example"},
		"its address":           {"", proxy.Server{Name: "one", Address: at}, "192.0.2.1"},
		"its address, mapped":   {"", proxy.Server{Address: netip.MustParseAddrPort("[::ffff:192.0.2.1]:443")}, "192.0.2.1"},
		"its address, of IPv6":  {"", proxy.Server{Address: netip.MustParseAddrPort("[2001:db8::1]:443")}, "2001:db8::1"},
		"its address on a link": {"", proxy.Server{Address: netip.MustParseAddrPort("[fe80::1%eth0]:443")}, "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := Client(&proxy.PoolTLS{ServerName: tt.pool, Insecure: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := id.NameOf(tt.server); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// meet does a handshake of each of two sides, and has the server say a word, so that
// the client gets its tickets.
func meet(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		defer c.Close()
	}
	failed := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		_, err := s.Write([]byte("x"))
		failed <- err
		a.Close()
	}()
	c := tls.Client(b, client)
	var one [1]byte
	_, err = c.Read(one[:])
	state := c.ConnectionState()
	b.Close()
	return state, errors.Join(err, <-failed)
}

func serverOf(t *testing.T, p securetest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.Certificate(t)}}
}

func TestServersAreVerified(t *testing.T) {
	ca, other := securetest.New(t, "ca"), securetest.New(t, "other")
	good := ca.Issue(t, securetest.Leaf{Names: []string{"web.internal", "192.0.2.1"}})
	for name, tt := range map[string]struct {
		server securetest.Pair
		name   string
		spec   proxy.PoolTLS
		want   string // of the error; empty: none
	}{
		"by its name":           {good, "web.internal", proxy.PoolTLS{CA: "ca.pem"}, ""},
		"by its address":        {good, "192.0.2.1", proxy.PoolTLS{CA: "ca.pem"}, ""},
		"wrong name":            {good, "db.internal", proxy.PoolTLS{CA: "ca.pem"}, "not db.internal"},
		"wrong address":         {good, "192.0.2.2", proxy.PoolTLS{CA: "ca.pem"}, "not 192.0.2.2"},
		"unknown authority":     {other.Issue(t, securetest.Leaf{Names: []string{"web.internal"}}), "web.internal", proxy.PoolTLS{CA: "ca.pem"}, "unknown authority"},
		"unknown to the host":   {good, "web.internal", proxy.PoolTLS{}, "unknown authority"},
		"expired":               {ca.Issue(t, securetest.Leaf{Names: []string{"web.internal"}, NotAfter: time.Now().Add(-time.Minute)}), "web.internal", proxy.PoolTLS{CA: "ca.pem"}, "expired"},
		"expired, and insecure": {other.Issue(t, securetest.Leaf{Names: []string{"x"}, NotAfter: time.Now().Add(-time.Minute)}), "web.internal", proxy.PoolTLS{Insecure: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := Client(&tt.spec, proxy.Files{"ca.pem": ca.PEM()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = meet(t, serverOf(t, tt.server), id.Config(tt.name))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOwnCertificateIsShown(t *testing.T) {
	ca := securetest.New(t, "ca")
	own := ca.Issue(t, securetest.Leaf{Names: []string{"lb"}})
	server := serverOf(t, ca.Issue(t, securetest.Leaf{Names: []string{"web"}}))
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	files := proxy.Files{"ca.pem": ca.PEM(), "both.pem": append(own.Cert, own.Key...)}
	with, err := Client(&proxy.PoolTLS{CA: "ca.pem", Cert: "both.pem", Key: "both.pem"}, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := meet(t, server, with.Config("web")); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	without, err := Client(&proxy.PoolTLS{CA: "ca.pem"}, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := meet(t, server, without.Config("web")); err == nil {
		t.Error("without a certificate: no error")
	}
	// One that the server does not know is shown all the same: it is to say so.
	stranger := securetest.New(t, "other").Issue(t, securetest.Leaf{Names: []string{"lb"}})
	strange, err := Client(&proxy.PoolTLS{CA: "ca.pem", Cert: "x.pem", Key: "x.key"}, proxy.Files{"ca.pem": ca.PEM(), "x.pem": stranger.Cert, "x.key": stranger.Key})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	server.VerifyPeerCertificate = nil
	server.ClientAuth = tls.RequireAnyClientCert
	server.VerifyConnection = func(s tls.ConnectionState) error { shown = len(s.PeerCertificates); return nil }
	if _, err := meet(t, server, strange.Config("web")); err != nil || shown != 1 {
		t.Errorf("%d certificates were shown, %v", shown, err)
	}
}

func TestProtocolsAreOffered(t *testing.T) {
	ca := securetest.New(t, "ca")
	id, err := Client(&proxy.PoolTLS{CA: "ca.pem", MinVersion: proxy.TLS13}, proxy.Files{"ca.pem": ca.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("192.0.2.1:443")
	server := serverOf(t, ca.Issue(t, securetest.Leaf{Names: []string{"web"}}))
	server.NextProtos = []string{"h2", "http/1.1"}
	if s, err := meet(t, server, id.To("web", at, "http/1.1")); err != nil || s.NegotiatedProtocol != "http/1.1" {
		t.Errorf("got %q, %v", s.NegotiatedProtocol, err)
	}
	if s, err := meet(t, server, id.To("web", at)); err != nil || s.NegotiatedProtocol != "" {
		t.Errorf("got %q, %v", s.NegotiatedProtocol, err)
	}
	server.MaxVersion = tls.VersionTLS12
	if _, err := meet(t, server, id.To("web", at)); err == nil {
		t.Error("an older version than allowed is spoken")
	}
}

func TestSessionsAreResumedAtTheSameServer(t *testing.T) {
	ca := securetest.New(t, "ca")
	spec, files := proxy.PoolTLS{CA: "ca.pem"}, proxy.Files{"ca.pem": ca.PEM()}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			id, err := Client(&spec, files)
			if err != nil {
				t.Fatal(err)
			}
			server := serverOf(t, ca.Issue(t, securetest.Leaf{Names: []string{"web", "192.0.2.1"}}))
			server.MaxVersion = version
			at, other := netip.MustParseAddrPort("192.0.2.1:443"), netip.MustParseAddrPort("192.0.2.2:443")
			resumed := func(c *tls.Config) bool {
				t.Helper()
				s, err := meet(t, server, c)
				if err != nil {
					t.Fatal(err)
				}
				return s.DidResume
			}
			if resumed(id.To("web", at)) {
				t.Error("the first connection was resumed")
			}
			if !resumed(id.To("web", at)) { // as after a reload
				t.Error("the second connection was not")
			}
			if resumed(id.To("web", other)) || resumed(id.To("192.0.2.1", at)) || resumed(id.To("web", at, "http/1.1")) {
				t.Error("a session was resumed that was of another server, name or protocol")
			}
			if resumed(id.Config("web")) || resumed(id.Config("web")) {
				t.Error("who looks whether a handshake succeeds has resumed a session")
			}
			next, err := Client(&spec, files)
			if err != nil {
				t.Fatal(err)
			}
			if resumed(next.To("web", at)) {
				t.Error("another identity has resumed the session")
			}
		})
	}
}
