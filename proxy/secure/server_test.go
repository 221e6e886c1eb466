package secure

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func TestTheCertificateIsChosenByTheName(t *testing.T) {
	ca := securetest.New(t, "root")
	s := newSite("web")
	s.show("first", ca.Issue(t, securetest.Leaf{Subject: "first", Names: []string{"first.example"}}))
	s.show("wild", ca.Issue(t, securetest.Leaf{Subject: "wild", Names: []string{"*.example.org", "example.org"}}))
	s.show("exact", ca.Issue(t, securetest.Leaf{Subject: "exact", Names: []string{"www.example.org"}}))
	s.show("upper", ca.Issue(t, securetest.Leaf{Subject: "upper", Names: []string{"UPPER.example"}}))
	s.show("old", ca.Issue(t, securetest.Leaf{Subject: "old.example"}))
	config := s.terms(t).Config()
	for name, want := range map[string]string{
		"":                      "first",
		"first.example":         "first",
		"www.example.org":       "exact",
		"WWW.Example.ORG":       "exact",
		"api.example.org":       "wild",
		"example.org":           "wild",
		"a.b.example.org":       "first", // a wildcard is one label
		"other.example":         "first",
		"upper.example":         "upper",
		"old.example":           "old.example", // by its common name, without others
		"xn--mller-kva.example": "first",
	} {
		got := shake(t, config, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if leaf := leafOf(got.client); leaf == nil || leaf.Subject.CommonName != want {
			t.Errorf("%q: got %v (%v), want %q", name, leaf, got.clientErr, want)
		}
	}
}

func TestOfSeveralCertificatesTheClientGetsOneThatItCanVerify(t *testing.T) {
	ca := securetest.New(t, "root")
	names := []string{"www.example.org"}
	s := newSite("web")
	s.show("rsa", ca.Issue(t, securetest.Leaf{Names: names, RSA: 2048}))
	s.show("ecdsa", ca.Issue(t, securetest.Leaf{Names: names}))
	config := s.terms(t).Config()
	for _, name := range []string{"www.example.org", ""} {
		for suite, want := range map[uint16]x509.PublicKeyAlgorithm{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   x509.RSA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: x509.ECDSA,
		} {
			c := trusting(ca, name)
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite}
			got := shake(t, config, c)
			if leaf := leafOf(got.client); leaf == nil || leaf.PublicKeyAlgorithm != want {
				t.Errorf("%q with %s: got %v (%v)", name, tls.CipherSuiteName(suite), leaf, got.clientErr)
			}
		}
	}
	if got := shake(t, config, trusting(ca, "www.example.org")); leafOf(got.client).PublicKeyAlgorithm != x509.RSA {
		t.Error("a client that knows both gets another one than the first")
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	ca := securetest.New(t, "root")
	pair := ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	all := []string{"h2", "http/1.1"}
	tests := []struct {
		name   string
		change func(*site, *tls.Config)
		want   Reason // empty: it works
		proto  string
	}{
		{"HTTP", func(*site, *tls.Config) {}, "", ""},
		{"HTTP 1.1 among others", func(_ *site, c *tls.Config) { c.NextProtos = all }, "", "http/1.1"},
		{"HTTP/2 alone", func(_ *site, c *tls.Config) { c.NextProtos = all[:1] }, ALPN, ""},
		{"TCP", func(s *site, c *tls.Config) { s.Protocol, c.NextProtos = proxy.TCP, all[:1] }, "", ""},
		{"TCP with a protocol", func(s *site, c *tls.Config) {
			s.Protocol, s.TLS.ALPN, c.NextProtos = proxy.TCP, []string{"mqtt", "h2"}, all
		}, "", "h2"},
		{"TLS 1.2", func(_ *site, c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "", ""},
		{"TLS 1.1", func(_ *site, c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, Version, ""},
		{"TLS 1.2 where 1.3 is asked", func(s *site, c *tls.Config) { s.TLS.MinVersion, c.MaxVersion = proxy.TLS13, tls.VersionTLS12 }, Version, ""},
		{"TLS 1.3 where it is asked", func(s *site, _ *tls.Config) { s.TLS.MinVersion = proxy.TLS13 }, "", ""},
		{"no forward secrecy", func(_ *site, c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}, Cipher, ""},
		{"no authenticated encryption", func(_ *site, c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, Cipher, ""},
		{"a client that does not trust us", func(_ *site, c *tls.Config) { c.RootCAs = x509.NewCertPool() }, AlertCertificate, ""},
		{"a client that gives up", func(_ *site, c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { return ErrRevoked }
		}, AlertCertificate, ""},
	}
	for _, test := range tests {
		s := newSite("web").show("a", pair)
		c := trusting(ca, "a.example")
		test.change(s, c)
		got := shake(t, s.terms(t).Config(), c)
		switch {
		case test.want == "":
			if got.serverErr != nil || got.clientErr != nil || got.client.NegotiatedProtocol != test.proto {
				t.Errorf("%s: got %q, %v, %v", test.name, got.client.NegotiatedProtocol, got.serverErr, got.clientErr)
			}
		case got.serverErr == nil || ReasonOf(got.serverErr) != test.want:
			t.Errorf("%s: got %v, want %s", test.name, got.serverErr, test.want)
		}
	}
}

func TestTheSameTermsStay(t *testing.T) {
	ca := securetest.New(t, "root")
	s := newSite("web").show("a", ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}}))
	s.ask(proxy.ClientAuthRequire, ca)
	old := s.terms(t)
	next, err := Server(&s.Listener, s.files, old)
	if err != nil || next != old {
		t.Errorf("the same gives %p, not %p, %v", next, old, err)
	}
	renewed := ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	for name, change := range map[string]func(*site){
		"a certificate is renewed":  func(s *site) { s.show("a", renewed); s.TLS.Certificates = s.TLS.Certificates[:1] },
		"clients need not show one": func(s *site) { s.TLS.ClientAuth = proxy.ClientAuthOptional },
		"another authority":         func(s *site) { s.files["clients.pem"] = securetest.New(t, "other").PEM() },
		"a list":                    func(s *site) { s.revoke(ca.Revoke(t, old.leaves[0].NotAfter, 1)) },
		"a version":                 func(s *site) { s.TLS.MinVersion = proxy.TLS13 },
	} {
		changed := newSite("web")
		spec := *s.TLS
		changed.TLS, changed.files = &spec, proxy.Files{}
		changed.TLS.Certificates = slices.Clone(spec.Certificates)
		for path, b := range s.files {
			changed.files[path] = b
		}
		change(changed)
		if next, err := Server(&changed.Listener, changed.files, old); err != nil || next == old {
			t.Errorf("%s: the old terms stay, %v", name, err)
		}
	}
}

func TestCertificatesAreDescribed(t *testing.T) {
	ca := securetest.New(t, "root")
	s := newSite("web").show("a", ca.Issue(t, securetest.Leaf{Subject: "a", Names: []string{"A.example", "192.0.2.1"}, Serial: 255}))
	got := s.terms(t).Certificates()[0]
	if got.Path != "a.pem" || got.Subject != "CN=a" || !slices.Equal(got.Names, []string{"a.example", "192.0.2.1"}) ||
		got.Issuer != "CN=root" || got.Serial != "ff" || got.Key != "ECDSA P-256" || len(got.Fingerprint) != 64 || got.NotAfter.IsZero() {
		t.Errorf("got %+v", got)
	}
	if strings.ToLower(got.Fingerprint) != got.Fingerprint {
		t.Error("the fingerprint is not in lower case")
	}
}
