package secure

import (
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// Pool returns how f, the key `tls` of a pool, has its servers spoken to: nil for in
// plain. The word true is short for the defaults of all keys.
func Pool(dec *notation.Decoder, f notation.Field) *proxy.PoolTLS {
	d := decoder{dec}
	keys := []string{"ca", "server_name", "cert", "key", "min_version", "verify"}
	var o notation.Fields
	switch {
	case !f.Set():
		return nil
	case f.Value.Kind == yaml.MappingNode:
		o = d.Object(f, keys...)
	case f.Value.Kind == yaml.ScalarNode && f.Value.Value == "true":
	case f.Value.Kind == yaml.ScalarNode && f.Value.Value == "false":
		return nil
	default:
		d.Expected(f, "true, false or "+notation.KeysOf(keys))
		return nil
	}
	t := &proxy.PoolTLS{
		CA:         d.path(o["ca"]),
		ServerName: d.serverName(o["server_name"]),
		MinVersion: d.version(o["min_version"]),
		Insecure:   !d.Boolean(o["verify"], true),
	}
	if o["cert"].Set() || o["key"].Set() {
		c, _ := d.pair(o["cert"], o["key"])
		t.Cert, t.Key = c.Cert, c.Key
	}
	if ca := o["ca"]; ca.Set() && t.Insecure {
		d.Errorf(ca.Key, "ca does nothing with verify: false: whatever the servers show is accepted")
	}
	return t
}

// serverName returns the name or the address that the certificates of servers are to
// have.
func (d decoder) serverName(f notation.Field) string {
	if !f.Set() {
		return ""
	}
	got, ok := d.Text(f, "a host name such as web.internal")
	if !ok {
		return ""
	}
	if addr, err := netip.ParseAddr(got); err == nil && addr.Zone() == "" {
		return addr.Unmap().String()
	}
	name, err := notation.ParseHost(got)
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return name
}
