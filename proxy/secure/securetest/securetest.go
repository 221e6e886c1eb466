// Package securetest makes certificates for tests.
package securetest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	Cert   *x509.Certificate
	key    crypto.Signer
	parent *Authority // nil: it is a root
}

// Leaf says what certificate is to be issued. The zero value is that of a server
// without a name, valid now.
type Leaf struct {
	Subject   string   // common name
	Names     []string // DNS names and addresses
	Serial    int64    // 0: any
	NotBefore time.Time
	NotAfter  time.Time
	RSA       int    // bits of an RSA key; 0: ECDSA P-256
	ListAt    string // URL of the list of revoked certificates; nobody asks there
}

// Pair is a certificate with those that lead to its issuer, and its key, in PEM.
type Pair struct{ Cert, Key []byte }

// New returns a root.
func New(t testing.TB, name string) *Authority { return authority(t, name, nil) }

// Intermediate returns an authority below a.
func (a *Authority) Intermediate(t testing.TB, name string) *Authority { return authority(t, name, a) }

func authority(t testing.TB, name string, parent *Authority) *Authority {
	t.Helper()
	a := &Authority{key: key(t, 0), parent: parent}
	template := &x509.Certificate{
		SerialNumber: serial(t, 0), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.Cert = a.sign(t, template, a.key.Public())
	return a
}

// sign makes a certificate of template, by the parent of a, or by itself.
func (a *Authority) sign(t testing.TB, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	issuer, by := template, a.key
	if a.parent != nil {
		issuer, by = a.parent.Cert, a.parent.key
	}
	return create(t, template, issuer, public, by)
}

func create(t testing.TB, template, issuer *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// PEM returns the certificate of a.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.Cert.Raw) }

// Pool returns a pool with a alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// Issue issues a certificate, for servers and for clients.
func (a *Authority) Issue(t testing.TB, l Leaf) Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(t, l.Serial), Subject: pkix.Name{CommonName: l.Subject},
		NotBefore: l.NotBefore, NotAfter: l.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if l.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if l.ListAt != "" {
		template.CRLDistributionPoints = []string{l.ListAt}
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	k := key(t, l.RSA)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	chain := encode("CERTIFICATE", create(t, template, a.Cert, k.Public(), a.key).Raw)
	for up := a; up.parent != nil; up = up.parent {
		chain = append(chain, up.PEM()...)
	}
	return Pair{Cert: chain, Key: encode("PRIVATE KEY", der)}
}

// Certificate returns the pair as crypto/tls has it.
func (p Pair) Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Revoke returns the list of the revoked certificates of a, in PEM, which is good
// until next.
func (a *Authority) Revoke(t testing.TB, next time.Time, serials ...int64) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: next.Add(-time.Hour), NextUpdate: next}
	for _, s := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(s), RevocationTime: l.ThisUpdate,
		})
	}
	return a.SignList(t, l)
}

// SignList returns l, signed by a, in PEM.
func (a *Authority) SignList(t testing.TB, l *x509.RevocationList) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, l, a.Cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

func key(t testing.TB, bits int) (k crypto.Signer) {
	t.Helper()
	var err error
	if bits > 0 {
		k, err = rsa.GenerateKey(rand.Reader, bits)
	} else {
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func serial(t testing.TB, n int64) *big.Int {
	t.Helper()
	if n != 0 {
		return big.NewInt(n)
	}
	s, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return s.Add(s, big.NewInt(1<<20)) // beyond those that are asked for
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a buffer takes all
	return b.Bytes()
}
