package secure

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func TestClientsAreAskedForCertificates(t *testing.T) {
	root := securetest.New(t, "root")
	clients := securetest.New(t, "clients")
	pair := root.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	now := time.Now()
	own := map[string]securetest.Pair{
		"good":       clients.Issue(t, securetest.Leaf{Subject: "good", Serial: 1}),
		"of another": root.Issue(t, securetest.Leaf{Subject: "stranger"}),
		"expired":    clients.Issue(t, securetest.Leaf{Subject: "late", NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}),
		"revoked":    clients.Issue(t, securetest.Leaf{Subject: "revoked", Serial: 77}),
		"below":      clients.Intermediate(t, "middle").Issue(t, securetest.Leaf{Subject: "below", Serial: 77}),
	}
	list := clients.Revoke(t, now.Add(time.Hour), 5, 77)
	tests := []struct {
		auth proxy.ClientAuth
		list []byte
		show string
		want Reason // empty: it works
	}{
		{proxy.ClientAuthNone, nil, "", ""},
		{proxy.ClientAuthNone, nil, "of another", ""}, // it is not asked for
		{proxy.ClientAuthOptional, nil, "", ""},
		{proxy.ClientAuthOptional, nil, "good", ""},
		{proxy.ClientAuthOptional, nil, "of another", BadCertificate},
		{proxy.ClientAuthRequire, nil, "", NoCertificate},
		{proxy.ClientAuthRequire, nil, "good", ""},
		{proxy.ClientAuthRequire, nil, "below", ""},
		{proxy.ClientAuthRequire, nil, "of another", BadCertificate},
		{proxy.ClientAuthRequire, nil, "expired", BadCertificate},
		{proxy.ClientAuthRequire, nil, "revoked", ""},
		{proxy.ClientAuthRequire, list, "good", ""},
		{proxy.ClientAuthRequire, list, "revoked", Revoked},
		{proxy.ClientAuthRequire, list, "below", ""}, // the serial is that of another issuer
		{proxy.ClientAuthOptional, list, "revoked", Revoked},
		{proxy.ClientAuthOptional, list, "", ""},
	}
	for _, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			s := newSite("web").show("a", pair)
			if test.auth != proxy.ClientAuthNone {
				s.ask(test.auth, clients)
			}
			if test.list != nil {
				s.revoke(test.list)
			}
			c := trusting(root, "a.example")
			c.MinVersion, c.MaxVersion = version, version
			if test.show != "" {
				shown := own[test.show].Certificate(t)
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
			}
			got := shake(t, s.terms(t).Config(), c)
			if test.want == "" && (got.serverErr != nil || got.clientErr != nil) || test.want != "" && (got.serverErr == nil || ReasonOf(got.serverErr) != test.want) {
				t.Errorf("%q, list %v, shown %q, %s: got %v and %v, want %q", test.auth, test.list != nil, test.show,
					tls.VersionName(version), got.serverErr, got.clientErr, test.want)
			}
		}
	}
}

func TestListsThatAreNotGoodAreRefused(t *testing.T) {
	ca, other := securetest.New(t, "clients"), securetest.New(t, "other")
	next := time.Now().Add(time.Hour)
	with := func(e pkix.Extension) []byte {
		return ca.SignList(t, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: next, ExtraExtensions: []pkix.Extension{e}})
	}
	point := func(b []byte) []byte { return append([]byte{0x30, byte(len(b))}, b...) }
	tests := []struct {
		name string
		list []byte
		want string // of the error; empty: it is good
	}{
		{"one", ca.Revoke(t, next, 1), ""},
		{"an empty one", ca.Revoke(t, next), ""},
		{"two", append(ca.Revoke(t, next, 1), ca.Revoke(t, next, 2)...), ""},
		{"nothing", nil, "there is no list of revoked certificates in \"revoked.pem\""},
		{"a certificate", ca.PEM(), "there is no list"},
		{"of another authority", other.Revoke(t, next), `list 1 of revoked certificates in "revoked.pem": none of the authorities in client_ca has signed it (its issuer is "CN=other")`},
		{"one of an impostor", securetest.New(t, "clients").Revoke(t, next), "none of the authorities"},
		{"a second of another", append(ca.Revoke(t, next), other.Revoke(t, next)...), "list 2 of"},
		{"garbage", []byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"), "it is malformed"},
		{"a delta", with(pkix.Extension{Id: deltaIndicator, Critical: true, Value: []byte{2, 1, 1}}), "it is a delta"},
		{"for users alone", with(pkix.Extension{Id: distributionPoint, Critical: true, Value: point([]byte{0x81, 1, 0xff})}), ""},
		{"with a name", with(pkix.Extension{Id: distributionPoint, Critical: true, Value: point([]byte{0xa0, 4, 0xa0, 2, 0x86, 0, 0x81, 1, 0xff})}), ""},
		{"indirect", with(pkix.Extension{Id: distributionPoint, Critical: true, Value: point([]byte{0x84, 1, 0xff})}), "other issuers"},
		{"unknown", with(pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}), "critical extension 1.2.3"},
	}
	pair := ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	for _, test := range tests {
		s := newSite("web").show("a", pair).ask(proxy.ClientAuthRequire, ca).revoke(test.list)
		_, err := Server(&s.Listener, s.files, nil)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestWhatIsOldIsAWarning(t *testing.T) {
	ca := securetest.New(t, "clients")
	now := time.Now()
	s := newSite("web")
	s.show("late", ca.Issue(t, securetest.Leaf{Names: []string{"late.example"}, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}))
	s.show("early", ca.Issue(t, securetest.Leaf{Names: []string{"early.example"}, NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}))
	s.show("good", ca.Issue(t, securetest.Leaf{Names: []string{"good.example"}}))
	s.ask(proxy.ClientAuthRequire, ca).revoke(ca.Revoke(t, now.Add(-time.Minute), 1))
	s.files["clients.pem"] = append(s.files["clients.pem"], securetest.New(t, "unlisted").PEM()...)
	terms := s.terms(t)
	var got []string
	for _, w := range terms.Warnings(now) {
		got = append(got, w.Path+": "+w.Text)
	}
	want := []string{
		"late.pem: the certificate of late.example has expired at",
		"early.pem: the certificate of early.example is not valid before",
		"revoked.pem: there is no list of revoked certificates of CN=unlisted",
		"revoked.pem: the list of revoked certificates of CN=clients is old",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
	if all := terms.Warnings(now.Add(48 * time.Hour)); len(all) != 7 {
		t.Errorf("two days later there are %d: %v", len(all), all)
	}
}
