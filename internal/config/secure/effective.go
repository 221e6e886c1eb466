package secure

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// EffectiveListener returns the key `tls` of l with every default written out; nil
// where it has none.
func EffectiveListener(l *proxy.Listener) *yaml.Node {
	switch {
	case l.Passthrough:
		n := notation.Flow()
		notation.Put(n, "passthrough", notation.Boolean(true))
		return n
	case l.TLS == nil:
		return nil
	}
	t := l.TLS
	n := notation.Block()
	certificates := notation.List()
	for _, c := range t.Certificates {
		pair := notation.Flow()
		putPair(pair, c)
		certificates.Content = append(certificates.Content, pair)
	}
	notation.Put(n, "certificates", certificates)
	notation.Put(n, "min_version", notation.Text(string(t.MinVersion)))
	if t.ClientCA != "" {
		notation.Put(n, "client_ca", notation.Text(t.ClientCA))
		notation.Put(n, "client_auth", notation.Text(string(t.ClientAuth)))
	}
	putText(n, "client_crl", t.ClientCRL)
	if len(t.ALPN) > 0 {
		notation.Put(n, "alpn", notation.Line(t.ALPN, strings.Clone))
	}
	return n
}

// EffectivePool returns the key `tls` of a pool that has t, with every default written
// out.
func EffectivePool(t *proxy.PoolTLS) *yaml.Node {
	n := notation.Block()
	putText(n, "ca", t.CA)
	putText(n, "server_name", t.ServerName)
	if t.Cert != "" {
		putPair(n, proxy.Certificate{Cert: t.Cert, Key: t.Key})
	}
	notation.Put(n, "min_version", notation.Text(string(t.MinVersion)))
	notation.Put(n, "verify", notation.Boolean(!t.Insecure))
	return n
}

func putPair(n *yaml.Node, c proxy.Certificate) {
	notation.Put(n, "cert", notation.Text(c.Cert))
	notation.Put(n, "key", notation.Text(c.Key))
}

// putText adds an entry to n unless its value is empty.
func putText(n *yaml.Node, key, value string) {
	if value != "" {
		notation.Put(n, key, notation.Text(value))
	}
}
