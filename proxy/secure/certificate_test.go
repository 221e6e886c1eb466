package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	root := securetest.New(t, "root")
	middle := root.Intermediate(t, "middle")
	plain := root.Issue(t, securetest.Leaf{Subject: "a", Names: []string{"a.example"}})
	other := root.Issue(t, securetest.Leaf{Subject: "b", Names: []string{"b.example"}})
	below := middle.Issue(t, securetest.Leaf{Subject: "c", Names: []string{"c.example"}})
	leaf, _ := pem.Decode(below.Cert)
	tests := []struct {
		name      string
		cert, key []byte
		want      string // of the error; empty: it is good
	}{
		{"a good one", plain.Cert, plain.Key, ""},
		{"a chain", below.Cert, below.Key, ""},
		{"a chain with its root", join(below.Cert, root.PEM()), below.Key, ""},
		{"text around it", join([]byte("Subject: a\n"), plain.Cert), join([]byte("Key of a\n"), plain.Key), ""},
		{"no certificate", []byte("hello"), plain.Key, `there is no certificate in "a.pem"`},
		{"a key for a certificate", plain.Key, plain.Key, `there is no certificate in "a.pem"`},
		{"no key", plain.Cert, nil, `there is no private key in "a.key"`},
		{"a certificate for a key", plain.Cert, plain.Cert, `there is no private key in "a.key"`},
		{"the key of another", plain.Cert, other.Key, `the key in "a.key" does not belong to the certificate in "a.pem"`},
		{"the issuer first", join(middle.PEM(), pem.EncodeToMemory(leaf)), below.Key, `the key in "a.key" belongs to certificate 2 in "a.pem": put that one first`},
		{"a chain that jumps", join(pem.EncodeToMemory(leaf), root.PEM()), below.Key, `certificate 2 in "a.pem" (CN=root) did not issue certificate 1 (CN=c)`},
		{"one that has nothing to do with it", join(plain.Cert, other.Cert), plain.Key, `certificate 2 in "a.pem" (CN=b) did not issue certificate 1 (CN=a)`},
		{"half a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Bytes[:100]}), plain.Key, `certificate 1 in "a.pem" is malformed`},
		{"half a key", plain.Cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: leaf.Bytes[:10]}), `the key in "a.key" is malformed`},
		{"an encrypted key", plain.Cert, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: leaf.Bytes[:10]}), `the key in "a.key" is encrypted`},
		{"an encrypted key of old", plain.Cert, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "DES"}}), "is encrypted"},
		{"a key of another kind", plain.Cert, pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY"}), "is of a kind that is not supported"},
	}
	for _, test := range tests {
		files := proxy.Files{"a.pem": test.cert, "a.key": test.key}
		_, err := Pair(proxy.Certificate{Cert: "a.pem", Key: "a.key"}, files)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Pair(proxy.Certificate{Cert: "a.pem", Key: "a.pem"}, proxy.Files{"a.pem": join(plain.Key, plain.Cert)}); err != nil {
		t.Errorf("both in one file: %v", err)
	}
	if _, err := Pair(proxy.Certificate{Cert: "a.pem"}, nil); err == nil || !strings.Contains(err.Error(), `"a.pem"`) {
		t.Errorf("without the file: %v", err)
	}
}

func TestKeysOfOldFormats(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	for name, file := range map[string][]byte{
		"EC":  join(parameters, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		"RSA": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(long)}),
	} {
		if _, err := privateKey("a.key", proxy.Files{"a.key": file}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is in the files, it is refused or can be used.
func FuzzServer(f *testing.F) {
	ca := securetest.New(f, "clients")
	pair := ca.Issue(f, securetest.Leaf{Names: []string{"a.example", "*.b.example"}})
	f.Add(pair.Cert, pair.Key, ca.PEM(), ca.Revoke(f, ca.Cert.NotAfter, 1, 2))
	f.Add(pair.Cert[:100], pair.Key, []byte("-----BEGIN"), []byte{})
	f.Fuzz(func(t *testing.T, cert, key, authorities, list []byte) {
		s := newSite("web")
		s.TLS.Certificates = []proxy.Certificate{{Cert: "a.pem", Key: "a.key"}}
		s.TLS.ClientAuth, s.TLS.ClientCA, s.TLS.ClientCRL = proxy.ClientAuthOptional, "ca.pem", "crl.pem"
		s.files = proxy.Files{"a.pem": cert, "a.key": key, "ca.pem": authorities, "crl.pem": list}
		terms, err := Server(&s.Listener, s.files, nil)
		if err != nil {
			return
		}
		terms.Certificates()
		terms.Warnings(ca.Cert.NotAfter)
		terms.SetTicketKeys([][32]byte{{1}})
	})
}
