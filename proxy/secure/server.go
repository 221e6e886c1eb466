// Package secure turns what the config says of TLS, and the contents of the files that
// it names, into configurations of crypto/tls. It reads no file and no clock.
package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// Terms are on what terms a listener speaks TLS with its clients. They do not change,
// but for the keys of tickets. Multiple goroutines may use them at the same time.
type Terms struct {
	config *tls.Config
	source [sha256.Size]byte // digest of what they were made of
	scope  [sha256.Size]byte // digest of what a session depends on

	leaves      []*x509.Certificate // of the certificates, in the order of the spec
	paths       []string            // of their files
	choice      choice
	authorities []*x509.Certificate // that clients' certificates are verified with
	lists       []*list
	spec        proxy.ListenerTLS
}

// Server returns the terms of a listener, whose TLS is set. files has the contents of
// all files that it names. When they come to the same as those of old, which may be
// nil, it returns old itself. An error names the file, and what is wrong with it.
func Server(l *proxy.Listener, files proxy.Files, old *Terms) (*Terms, error) {
	t := &Terms{spec: *l.TLS, source: sourceOf(l, files), scope: scopeOf(l, files)}
	if old != nil && old.source == t.source {
		return old, nil
	}
	if len(t.spec.Certificates) == 0 {
		return nil, errors.New("TLS without a certificate")
	}
	minVersion, err := version(t.spec.MinVersion)
	if err != nil {
		return nil, err
	}
	t.config = &tls.Config{
		MinVersion:     minVersion,
		CipherSuites:   suites,
		NextProtos:     protocols(l),
		GetCertificate: t.certificate,
		// Small records first let a client begin to decrypt sooner, by the time of a
		// few packets. They cost a system call each, for the first 128 KiB.
		DynamicRecordSizingDisabled: true,
	}
	for _, c := range t.spec.Certificates {
		pair, err := Pair(c, files)
		if err != nil {
			return nil, err
		}
		t.leaves, t.paths = append(t.leaves, pair.Leaf), append(t.paths, c.Cert)
		t.choice.add(pair)
	}
	if err := t.askClients(files); err != nil {
		return nil, err
	}
	return t, nil
}

// suites are those of TLS 1.2: with forward secrecy, and authenticated encryption. Those
// of TLS 1.3 are all of that kind.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// version returns the number of a version; 1.2 unless it is said.
func version(v proxy.TLSVersion) (uint16, error) {
	switch v {
	case proxy.TLS12, "":
		return tls.VersionTLS12, nil
	case proxy.TLS13:
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("unknown version of TLS %q (known: %s, %s)", v, proxy.TLS12, proxy.TLS13)
}

// HTTP11 is the protocol that ALPN has for HTTP/1.1.
const HTTP11 = "http/1.1"

func protocols(l *proxy.Listener) []string {
	if l.Protocol == proxy.HTTP {
		return []string{HTTP11}
	}
	return slices.Clone(l.TLS.ALPN)
}

// Config returns the configuration of a connection. It is not to be changed.
func (t *Terms) Config() *tls.Config { return t.config }

// Certificates says which certificates are shown, in the order of the config.
func (t *Terms) Certificates() []Info {
	all := make([]Info, len(t.leaves))
	for i, c := range t.leaves {
		all[i] = describe(c, t.paths[i])
	}
	return all
}

// certificate implements the choice of tls.Config.
func (t *Terms) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return t.choice.of(hello), nil
}

// choice is which certificate a client gets, by the name that it asks for.
type choice struct {
	exact    map[string][]*tls.Certificate // in the order of the config
	wildcard map[string][]*tls.Certificate // by what follows the first label, with its dot
	other    []*tls.Certificate            // for other names, or none
}

func (c *choice) add(pair *tls.Certificate) {
	if c.exact == nil {
		c.exact, c.wildcard = map[string][]*tls.Certificate{}, map[string][]*tls.Certificate{}
	}
	names := namesOf(pair.Leaf)
	for _, name := range names {
		into := c.exact
		if rest, ok := strings.CutPrefix(name, "*."); ok {
			into, name = c.wildcard, "."+rest
		}
		into[name] = append(into[name], pair)
	}
	// The first one, and those that are for the same with another kind of key.
	if len(c.other) == 0 || slices.Equal(names, namesOf(c.other[0].Leaf)) {
		c.other = append(c.other, pair)
	}
}

// of returns the certificate for a client: of several for a name the first that it can
// verify, or the first if it says that it can verify none.
func (c *choice) of(hello *tls.ClientHelloInfo) *tls.Certificate {
	among := c.named(strings.ToLower(hello.ServerName))
	if len(among) == 1 {
		return among[0]
	}
	for _, pair := range among {
		if hello.SupportsCertificate(pair) == nil {
			return pair
		}
	}
	return among[0]
}

func (c *choice) named(name string) []*tls.Certificate {
	if name != "" {
		if among := c.exact[name]; among != nil {
			return among
		}
		if dot := strings.IndexByte(name, '.'); dot > 0 {
			if among := c.wildcard[name[dot:]]; among != nil {
				return among
			}
		}
	}
	return c.other
}

// sourceOf digests all that terms are made of.
func sourceOf(l *proxy.Listener, files proxy.Files) (d [sha256.Size]byte) {
	t := l.TLS
	parts := []string{l.Name, string(l.Protocol), string(t.MinVersion), string(t.ClientAuth)}
	parts = append(parts, t.ALPN...)
	for _, c := range t.Certificates {
		parts = append(parts, c.Cert, string(files[c.Cert]), c.Key, string(files[c.Key]))
	}
	for _, path := range []string{t.ClientCA, t.ClientCRL} {
		parts = append(parts, path, string(files[path]))
	}
	return digest(parts)
}

// scopeOf digests what a session may not outlive: a ticket of one listener means
// nothing at another, or under other rules for clients.
func scopeOf(l *proxy.Listener, files proxy.Files) [sha256.Size]byte {
	t := l.TLS
	return digest([]string{l.Name, string(t.ClientAuth), string(files[t.ClientCA]), string(files[t.ClientCRL])})
}

func digest(parts []string) (d [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	h.Sum(d[:0])
	return d
}
