package secure

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Info is what there is to say of a certificate.
type Info struct {
	Path        string   // of the file that has it
	Subject     string   // as RFC 4514 writes it
	Names       []string // that it is good for: DNS names, wildcards and addresses
	NotBefore   time.Time
	NotAfter    time.Time
	Issuer      string // as Subject
	Serial      string // in hexadecimal
	Key         string // "ECDSA P-256", "RSA 2048", "Ed25519"
	Fingerprint string // SHA-256 of the certificate, in hexadecimal
}

// Pair reads a certificate, with those that lead to its issuer, and its private key.
// What is wrong with them is said as an operator can mend it.
func Pair(c proxy.Certificate, files proxy.Files) (*tls.Certificate, error) {
	chain, err := certificates(c.Cert, files)
	if err != nil {
		return nil, err
	}
	keyPath := c.Key
	if keyPath == "" {
		keyPath = c.Cert
	}
	key, err := privateKey(keyPath, files)
	if err != nil {
		return nil, err
	}
	if err := belongs(key, chain, keyPath, c.Cert); err != nil {
		return nil, err
	}
	pair := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for i, cert := range chain {
		if i > 0 && !issued(cert, chain[i-1]) {
			return nil, fmt.Errorf("certificate %d in %q (%s) did not issue certificate %d (%s): the order is the server's own first, and behind each the one that has issued it",
				i+1, c.Cert, nameOf(cert), i, nameOf(chain[i-1]))
		}
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair, nil
}

// issued reports whether parent signed child. It need not be said to be an authority,
// as some old roots are not.
func issued(parent, child *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, child.RawIssuer) &&
		parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

// belongs reports an error unless key is that of the first certificate.
func belongs(key crypto.Signer, chain []*x509.Certificate, keyPath, certPath string) error {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return fmt.Errorf("the key in %q is of a kind that is not supported: use ECDSA, RSA or Ed25519", keyPath)
	}
	for i, cert := range chain {
		if !public.Equal(cert.PublicKey) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("the key in %q belongs to certificate %d in %q: put that one first, and behind each the one that has issued it", keyPath, i+1, certPath)
		}
		return nil
	}
	return fmt.Errorf("the key in %q does not belong to the certificate in %q", keyPath, certPath)
}

// certificates reads those of a file, in their order.
func certificates(path string, files proxy.Files) ([]*x509.Certificate, error) {
	rest, err := contents(path, files)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in %q is malformed: %w", len(all)+1, path, err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no certificate in %q: it begins with -----BEGIN CERTIFICATE-----", path)
	}
	return all, nil
}

// privateKey reads the first private key of a file.
func privateKey(path string, files proxy.Files) (crypto.Signer, error) {
	rest, err := contents(path, files)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("there is no private key in %q: it begins with -----BEGIN PRIVATE KEY-----", path)
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("the key in %q is encrypted: decrypt it with openssl pkey", path)
		}
		key, err := parseKey(block)
		if err != nil {
			return nil, fmt.Errorf("the key in %q is malformed: %w", path, err)
		}
		return key, nil
	}
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%q is of a kind that is not supported: use ECDSA, RSA or Ed25519", block.Type)
	}
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("it is of a kind that is not supported: use ECDSA, RSA or Ed25519")
}

func contents(path string, files proxy.Files) ([]byte, error) {
	b, ok := files[path]
	if !ok {
		return nil, fmt.Errorf("the contents of %q were not handed over", path)
	}
	return b, nil
}

// describe returns what there is to say of a certificate in the file at path.
func describe(c *x509.Certificate, path string) Info {
	digest := sha256.Sum256(c.Raw)
	return Info{
		Path: path, Subject: c.Subject.String(), Names: namesOf(c), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), Key: keyOf(c), Fingerprint: hex.EncodeToString(digest[:]),
	}
}

// namesOf returns what a certificate is good for.
func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, strings.ToLower(name))
	}
	for _, addr := range c.IPAddresses {
		names = append(names, addr.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" { // as certificates of old
		names = append(names, strings.ToLower(c.Subject.CommonName))
	}
	return names
}

// nameOf is how a certificate is called in an error.
func nameOf(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return s
	}
	if names := namesOf(c); len(names) > 0 {
		return names[0]
	}
	return "serial " + c.SerialNumber.Text(16)
}

func keyOf(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// weak reports whether a key is too short to be trusted.
func weak(c *x509.Certificate) bool {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() < 2048
}
