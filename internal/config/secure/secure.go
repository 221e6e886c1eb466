// Package secure is the part of a configuration file that says how TLS is terminated on
// a listener, and spoken to the servers of a pool: the keys `tls` of both. It reads
// them, and writes them back. What is in the files that they name is not its concern.
package secure

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

const (
	maxPath         = 4095
	maxCertificates = 1000
	maxProtocols    = 16
)

// decoder reads the keys of TLS.
type decoder struct{ *notation.Decoder }

// listenerKeys are those of a listener, but passthrough.
var listenerKeys = []string{"certificates", "cert", "key", "min_version", "client_ca", "client_auth", "client_crl", "alpn"}

// Listener fills in what f, the key `tls` of the listener l, says: that TLS is
// terminated, or passed on as it comes. The protocol of l is known already.
func Listener(dec *notation.Decoder, f notation.Field, l *proxy.Listener) {
	d := decoder{dec}
	switch {
	case !f.Set():
		return
	case l.Protocol == proxy.UDP:
		d.Errorf(f.Key, "tls does nothing on a udp listener: it is about connections")
		return
	case f.Value.Kind != yaml.MappingNode:
		d.short(f, l)
		return
	}
	mark := d.Count()
	o := d.Object(f, append([]string{"passthrough"}, listenerKeys...)...)
	through := o["passthrough"]
	if d.Boolean(through, false) {
		l.Passthrough = true
		if l.Protocol != proxy.TCP {
			d.Invalid(through, "TLS that is not decrypted has nothing of %s to see: it needs protocol: tcp", l.Protocol)
		}
		for _, key := range listenerKeys {
			if o[key].Set() {
				d.Errorf(o[key].Key, "%s does nothing with passthrough: the TLS is not decrypted here", key)
			}
		}
		return
	}
	if through.Set() && len(o) == 1 || len(o) == 0 && !d.OK(mark) {
		return // it is said not to be passed on, or what is said is not understood
	}
	l.TLS = d.listener(f, o, l.Protocol)
}

// short reads a `tls` that is the path of one certificate, with its key in the file.
func (d decoder) short(f notation.Field, l *proxy.Listener) {
	const what = "the path of a certificate with its key, or a map such as {cert: /etc/tandem/a.pem, key: /etc/tandem/a.key}"
	got, ok := d.Text(f, what)
	switch {
	case !ok:
		return
	case got == "true", got == "false":
		d.Expected(f, what)
		return
	}
	path := d.path(f)
	l.TLS = &proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: path, Key: path}}, MinVersion: proxy.TLS12}
}

func (d decoder) listener(f notation.Field, o notation.Fields, protocol proxy.Protocol) *proxy.ListenerTLS {
	t := &proxy.ListenerTLS{
		Certificates: d.certificates(f, o),
		MinVersion:   d.version(o["min_version"]),
		ALPN:         d.protocols(o["alpn"], protocol),
		ClientCA:     d.path(o["client_ca"]),
		ClientCRL:    d.path(o["client_crl"]),
	}
	auth := o["client_auth"]
	asked := proxy.ClientAuth(d.Choice(auth, string(proxy.ClientAuthRequire), string(proxy.ClientAuthRequire), string(proxy.ClientAuthOptional)))
	if o["client_ca"].Set() {
		t.ClientAuth = asked
		return t
	}
	for _, key := range []string{"client_auth", "client_crl"} {
		if o[key].Set() {
			d.Errorf(o[key].Key, "%s needs client_ca beside it: whose certificates are the clients to have?", key)
		}
	}
	return t
}

// certificates returns those of f, the keys of which are o: a list of them, or one
// whose keys stand beside the others.
func (d decoder) certificates(f notation.Field, o notation.Fields) []proxy.Certificate {
	list := o["certificates"]
	if !list.Set() {
		if !o["cert"].Set() && !o["key"].Set() {
			d.Errorf(f.Key, "tls has no certificate: write {cert: /etc/tandem/a.pem, key: /etc/tandem/a.key}, or passthrough: true where it is not decrypted")
			return nil
		}
		c, _ := d.pair(o["cert"], o["key"])
		return []proxy.Certificate{c}
	}
	for _, key := range []string{"cert", "key"} {
		if o[key].Set() {
			d.Errorf(o[key].Key, "%s is short for a single certificate: the list is at %s", key, d.At(d.Place(list.Key)))
		}
	}
	elements := d.List(list, "certificate")
	if len(elements) > maxCertificates {
		d.Invalid(list, "%d certificates are more than %d", len(elements), maxCertificates)
		return nil
	}
	listed := make(map[string]bool, len(elements))
	var all []proxy.Certificate
	for _, e := range elements {
		c, at := d.certificate(e)
		if c.Cert != "" && listed[c.Cert] {
			d.Invalid(at, "%s is listed twice", c.Cert)
		}
		listed[c.Cert] = true
		all = append(all, c)
	}
	return all
}

// certificate returns that of e, and where its file is named: a path, or a map.
func (d decoder) certificate(e notation.Field) (proxy.Certificate, notation.Field) {
	if e.Value.Kind != yaml.MappingNode {
		path := d.path(e)
		return proxy.Certificate{Cert: path, Key: path}, e
	}
	mark := d.Count()
	o := d.Object(e, "cert", "key")
	if !o["cert"].Set() && !o["key"].Set() {
		if d.OK(mark) {
			d.Invalid(e, "it needs the path of a certificate, such as {cert: /etc/tandem/a.pem, key: /etc/tandem/a.key}")
		}
		return proxy.Certificate{}, e
	}
	return d.pair(o["cert"], o["key"])
}

// pair returns the certificate of the file cert with the key of the file key; left
// out, it is in the same.
func (d decoder) pair(cert, key notation.Field) (proxy.Certificate, notation.Field) {
	if !cert.Set() {
		d.Errorf(key.Key, "a key needs the certificate that it is of beside it, as cert")
	}
	c := proxy.Certificate{Cert: d.path(cert), Key: d.path(key)}
	if !key.Set() {
		c.Key = c.Cert
	}
	return c, cert
}

func (d decoder) path(f notation.Field) string { return d.Path(f, "", maxPath) }

func (d decoder) version(f notation.Field) proxy.TLSVersion {
	return proxy.TLSVersion(d.Choice(f, string(proxy.TLS12), string(proxy.TLS12), string(proxy.TLS13)))
}

// protocols returns the names of protocols in f (RFC 7301, section 3.1).
func (d decoder) protocols(f notation.Field, protocol proxy.Protocol) []string {
	if !f.Set() {
		return nil
	}
	if protocol != proxy.TCP {
		d.Errorf(f.Key, "alpn does nothing on a %s listener: what it speaks is known", protocol)
		return nil
	}
	elements := d.List(f, "protocol")
	if len(elements) > maxProtocols {
		d.Invalid(f, "%d protocols are more than %d", len(elements), maxProtocols)
		return nil
	}
	var all []string
	for _, e := range elements {
		got, ok := d.Text(e, "the name of a protocol such as mqtt")
		alien := slices.ContainsFunc([]rune(got), func(r rune) bool { return r <= ' ' || r > '~' })
		switch {
		case !ok:
		case got == "" || len(got) > 255 || alien:
			d.Invalid(e, "%q is not the name of a protocol such as mqtt: use 1 to 255 printable characters", got)
		case slices.Contains(all, got):
			d.Invalid(e, "%s is listed twice", got)
		default:
			all = append(all, got)
		}
	}
	return all
}
