package secure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// ErrRevoked says that a client's certificate was revoked.
var ErrRevoked = errors.New("the certificate is revoked")

// askClients makes clients show certificates, if they are to.
func (t *Terms) askClients(files proxy.Files) (err error) {
	switch t.spec.ClientAuth {
	case proxy.ClientAuthNone:
		return nil
	case proxy.ClientAuthOptional:
		t.config.ClientAuth = tls.VerifyClientCertIfGiven
	case proxy.ClientAuthRequire:
		t.config.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return fmt.Errorf("unknown client_auth %q (known: %s, %s)", t.spec.ClientAuth, proxy.ClientAuthOptional, proxy.ClientAuthRequire)
	}
	if t.authorities, err = certificates(t.spec.ClientCA, files); err != nil {
		return err
	}
	t.config.ClientCAs = x509.NewCertPool()
	for _, c := range t.authorities {
		t.config.ClientCAs.AddCert(c)
	}
	if t.spec.ClientCRL == "" {
		return nil
	}
	if t.lists, err = revocations(t.spec.ClientCRL, files, t.authorities); err != nil {
		return err
	}
	t.config.VerifyConnection = t.verify
	return nil
}

// verify refuses who shows a revoked certificate, also one that resumes a session.
func (t *Terms) verify(s tls.ConnectionState) error {
	if len(s.VerifiedChains) == 0 {
		return nil // none was shown, and none need be
	}
	for _, chain := range s.VerifiedChains {
		if !t.revoked(chain) {
			return nil
		}
	}
	return ErrRevoked
}

// revoked reports whether a certificate of a chain is, which ends with an authority.
func (t *Terms) revoked(chain []*x509.Certificate) bool {
	for i := range len(chain) - 1 {
		serial := string(chain[i].SerialNumber.Bytes())
		for _, l := range t.lists {
			if _, revoked := l.serials[serial]; revoked && same(l.issuer, chain[i+1]) {
				return true
			}
		}
	}
	return false
}

// same reports whether two certificates are of one authority: it may have renewed its own.
func same(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// list is a list of revoked certificates of one authority.
type list struct {
	issuer  *x509.Certificate
	serials map[string]struct{} // big endian
	next    time.Time           // when another one is due; zero: nobody says
}

// revocations reads the lists of a file, of which each is to be of one of the
// authorities.
func revocations(path string, files proxy.Files, authorities []*x509.Certificate) ([]*list, error) {
	rest, err := contents(path, files)
	if err != nil {
		return nil, err
	}
	var all []*list
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		l, err := revocation(block.Bytes, authorities)
		if err != nil {
			return nil, fmt.Errorf("list %d of revoked certificates in %q: %w", len(all)+1, path, err)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no list of revoked certificates in %q: it begins with -----BEGIN X509 CRL----- (openssl crl -inform der converts others)", path)
	}
	return all, nil
}

func revocation(der []byte, authorities []*x509.Certificate) (*list, error) {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("it is malformed: %w", err)
	}
	if err := complete(parsed); err != nil {
		return nil, err
	}
	l := &list{next: parsed.NextUpdate, serials: make(map[string]struct{}, len(parsed.RevokedCertificateEntries))}
	for _, authority := range authorities {
		if bytes.Equal(authority.RawSubject, parsed.RawIssuer) && parsed.CheckSignatureFrom(authority) == nil {
			l.issuer = authority
		}
	}
	if l.issuer == nil {
		return nil, fmt.Errorf("none of the authorities in client_ca has signed it (its issuer is %q)", parsed.Issuer.String())
	}
	for _, e := range parsed.RevokedCertificateEntries {
		l.serials[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	return l, nil
}

// The extensions of lists that are critical (RFC 5280, section 5.2).
var (
	deltaIndicator    = asn1.ObjectIdentifier{2, 5, 29, 27}
	distributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// complete refuses a list that says less, or more, than which certificates of its
// issuer are revoked.
func complete(l *x509.RevocationList) error {
	for _, e := range l.Extensions {
		switch {
		case e.Id.Equal(deltaIndicator):
			return errors.New("it is a delta to another one: use the complete list")
		case e.Id.Equal(distributionPoint):
			var point struct {
				Name     asn1.RawValue  `asn1:"optional,tag:0"`
				Users    bool           `asn1:"optional,tag:1"`
				CAs      bool           `asn1:"optional,tag:2"`
				Reasons  asn1.BitString `asn1:"optional,tag:3"`
				Indirect bool           `asn1:"optional,tag:4"`
				Others   bool           `asn1:"optional,tag:5"`
			}
			if _, err := asn1.Unmarshal(e.Value, &point); err != nil {
				return fmt.Errorf("it is malformed: issuing distribution point: %w", err)
			}
			if point.Indirect {
				return errors.New("it is about certificates of other issuers, which is not supported")
			}
		case e.Critical:
			return fmt.Errorf("it has the critical extension %s, which is not supported", e.Id)
		}
	}
	return nil
}

// Warning is something about a file that stops nothing, and is to be mended.
type Warning struct {
	Path string
	Text string
}

const day = "2006-01-02 15:04 MST"

// Warnings returns what an operator should know at now.
func (t *Terms) Warnings(now time.Time) []Warning {
	var all []Warning
	add := func(path, format string, args ...any) {
		all = append(all, Warning{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	for i, c := range t.leaves {
		switch {
		case now.After(c.NotAfter):
			add(t.paths[i], "the certificate of %s has expired at %s", nameOf(c), c.NotAfter.UTC().Format(day))
		case now.Before(c.NotBefore):
			add(t.paths[i], "the certificate of %s is not valid before %s", nameOf(c), c.NotBefore.UTC().Format(day))
		}
		if weak(c) {
			add(t.paths[i], "the key of the certificate of %s is weak: %s", nameOf(c), keyOf(c))
		}
	}
	for _, c := range t.authorities {
		if now.After(c.NotAfter) {
			add(t.spec.ClientCA, "the authority %s has expired at %s: none of its certificates is accepted", nameOf(c), c.NotAfter.UTC().Format(day))
		}
		if len(t.lists) > 0 && !t.listed(c) {
			add(t.spec.ClientCRL, "there is no list of revoked certificates of %s: none of its certificates is refused", nameOf(c))
		}
	}
	for _, l := range t.lists {
		if !l.next.IsZero() && now.After(l.next) {
			add(t.spec.ClientCRL, "the list of revoked certificates of %s is old: another one was due at %s", nameOf(l.issuer), l.next.UTC().Format(day))
		}
	}
	return all
}

// List is what there is to say of a list of revoked certificates.
type List struct {
	Path    string    // of the file that has it
	Issuer  string    // as RFC 4514 writes it
	Revoked int       // how many are in it
	Next    time.Time // when another one is due; zero: it does not say
}

// Lists returns the lists of revoked certificates, in the order of their file.
func (t *Terms) Lists() []List {
	var all []List
	for _, l := range t.lists {
		all = append(all, List{Path: t.spec.ClientCRL, Issuer: l.issuer.Subject.String(), Revoked: len(l.serials), Next: l.next})
	}
	return all
}

func (t *Terms) listed(authority *x509.Certificate) bool {
	for _, l := range t.lists {
		if same(l.issuer, authority) {
			return true
		}
	}
	return false
}
