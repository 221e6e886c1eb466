package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func TestWhoAClientIs(t *testing.T) {
	ca := securetest.New(t, "clients")
	for subject, want := range map[string]string{
		"alice":              "CN=alice",
		"Alice, Bob":         `CN=Alice\, Bob`,
		"a\r\nX-Admin: true": `CN=a\0D\0AX-Admin: true`,
		"Jürgen":             `CN=J\C3\BCrgen`,
		"nul\x00":            `CN=nul\00`,
		"":                   "",
	} {
		cert := ca.Issue(t, securetest.Leaf{Subject: subject}).Certificate(t)
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		shown := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		if v := VisitorOf(shown); v != nil {
			t.Errorf("%q is known by a certificate that nobody verified", subject)
		}
		shown.VerifiedChains = [][]*x509.Certificate{{leaf, ca.Cert}}
		v := VisitorOf(shown)
		digest := sha256.Sum256(leaf.Raw)
		lines := "Client-Cert: :" + base64.StdEncoding.EncodeToString(leaf.Raw) + ":\r\nX-Client-Cert-Subject: " + want +
			"\r\nX-Client-Cert-Fingerprint: " + hex.EncodeToString(digest[:]) + "\r\nX-Client-Verified: true\r\n"
		if string(v.Lines) != lines {
			t.Errorf("%q: got %q", subject, v.Lines)
		}
	}
}
