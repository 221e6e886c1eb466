package secure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// sessions is how many sessions an Identity remembers, one for each way to a server. A
// pool of more servers resumes with those that it has met last.
const sessions = 512

// Identity is what a pool shows to its servers, and believes of them. It is not
// changed: other files make another one. Multiple goroutines may use it at the same
// time.
type Identity struct {
	spec          proxy.PoolTLS
	ca, cert, key []byte // contents of its files

	own   *tls.Certificate // nil: none
	base  *tls.Config
	cache tls.ClientSessionCache
}

// Client returns the identity that p describes, with its files. Without a bundle of its
// own, certificates are verified with that of the host, as it was when the process
// first read it (see [x509.SystemCertPool]).
func Client(p *proxy.PoolTLS, files proxy.Files) (*Identity, error) {
	minVersion, err := version(p.MinVersion)
	if err != nil {
		return nil, err
	}
	id := &Identity{
		spec: *p, ca: files[p.CA], cert: files[p.Cert], key: files[p.Key],
		base: &tls.Config{
			MinVersion: minVersion, InsecureSkipVerify: p.Insecure, //nolint:gosec // as the operator says
			DynamicRecordSizingDisabled: true, // as for clients
		},
		cache: tls.NewLRUClientSessionCache(sessions),
	}
	if p.CA != "" {
		if id.base.RootCAs, err = bundle(p.CA, files); err != nil {
			return nil, err
		}
	}
	if p.Cert == "" {
		return id, nil
	}
	if id.own, err = Pair(proxy.Certificate{Cert: p.Cert, Key: p.Key}, files); err != nil {
		return nil, err
	}
	// Whatever the server's list of authorities says: one that wants another certificate
	// is to say so, which tells more than that it was shown none.
	id.base.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.own, nil }
	return id, nil
}

// Matches reports whether the identity is the one that p describes, with those files.
// That of nil is not.
func (id *Identity) Matches(p *proxy.PoolTLS, files proxy.Files) bool {
	return id != nil && p != nil && id.spec == *p &&
		bytes.Equal(id.ca, files[p.CA]) && bytes.Equal(id.cert, files[p.Cert]) && bytes.Equal(id.key, files[p.Key])
}

// NameOf returns the name that the certificate of s is to have: the one that the pool's
// servers are said to have, or else the name that s was found by, or else its address.
// An address is not asked for (SNI).
func (id *Identity) NameOf(s proxy.Server) string {
	if id.spec.ServerName != "" {
		return id.spec.ServerName
	}
	if i := strings.LastIndexByte(s.Host, ':'); i > 0 {
		return strings.TrimSuffix(s.Host[:i], ".")
	}
	return s.Address.Addr().Unmap().WithZone("").String()
}

// Config returns how to speak to a server that is to have name, with a whole handshake
// each time: for one who looks whether that would succeed. The caller may change it.
func (id *Identity) Config(name string) *tls.Config {
	c := id.base.Clone()
	c.ServerName = name
	return c
}

// To returns how to speak to the server at an address that is to have name, when one of
// the protocols (ALPN) is spoken on it; with none, nothing is said of that. Sessions
// are resumed, also of the configs that were made before for the same. It is to be made
// once, for all connections to the server.
func (id *Identity) To(name string, at netip.AddrPort, protocols ...string) *tls.Config {
	c := id.Config(name)
	c.NextProtos = protocols
	// By the address too: servers of one name seldom know each other's sessions.
	c.ClientSessionCache = session{id.cache, fmt.Sprint(name, " ", at, protocols)}
	return c
}

// session is the place of one server in a cache.
type session struct {
	cache tls.ClientSessionCache
	key   string
}

func (s session) Get(string) (*tls.ClientSessionState, bool) { return s.cache.Get(s.key) }

func (s session) Put(_ string, state *tls.ClientSessionState) { s.cache.Put(s.key, state) }

// bundle returns the certificates of a file as what others are verified with.
func bundle(path string, files proxy.Files) (*x509.CertPool, error) {
	all, err := certificates(path, files)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}
