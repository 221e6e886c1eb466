package config

import (
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
)

const (
	// The kernel holds 108 bytes of a unix socket's path, the last one zero.
	socketPathMax = 107
	pathMax       = 4095
)

func (d *decoder) admin(f notation.Field) Admin {
	o := d.Object(f, "socket", "listen", "token_file", "tls", "names")
	mark := d.Count()
	a := Admin{Socket: d.Path(o["socket"], DefaultSocket, socketPathMax)}
	if o["listen"].Set() {
		a.Listen = d.listen(o["listen"])
	}
	a.TokenFile = d.Path(o["token_file"], "", pathMax)
	a.TLS = d.adminTLS(o["tls"])
	a.Names = d.hostNames(o["names"])
	if d.OK(mark) {
		d.judgeAdmin(o, a)
	}
	return a
}

func (d *decoder) adminTLS(f notation.Field) AdminTLS {
	o := d.Object(f, "cert", "key")
	t := AdminTLS{Cert: d.Path(o["cert"], "", pathMax), Key: d.Path(o["key"], "", pathMax)}
	switch {
	case f.Set() && !o["cert"].Set():
		d.Invalid(f, "cert is missing: the path of the certificate with its chain, in PEM")
	case f.Set() && !o["key"].Set():
		d.Invalid(f, "key is missing: the path of the certificate's private key, in PEM")
	}
	return t
}

// judgeAdmin refuses what would leave the node open to whoever can reach it.
func (d *decoder) judgeAdmin(o notation.Fields, a Admin) {
	if !a.Listen.IsValid() {
		for _, key := range []string{"token_file", "tls", "names"} {
			if o[key].Set() {
				d.Invalid(o[key], "it is of `listen`, which is missing: the unix socket needs none")
			}
		}
		return
	}
	if a.Listen.Addr().IsLoopback() {
		return
	}
	if !o["tls"].Set() {
		d.Invalid(o["listen"], "%s can be reached by others: it needs `tls`, or a loopback address such as %s",
			notation.FormatBind(a.Listen), netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Listen.Port()))
	}
	if !o["token_file"].Set() {
		d.Invalid(o["listen"], "%s can be reached by others: it needs a `token_file` (make one with: tandem keygen)", notation.FormatBind(a.Listen))
	}
}

// hostNames returns the names of f, by which a host is known.
func (d *decoder) hostNames(f notation.Field) []string {
	var names []string
	for _, e := range d.List(f, "name") {
		got, ok := d.Text(e, "the name of a host such as lb1.example.com")
		if !ok {
			continue
		}
		if !isHostName(got) {
			d.Invalid(e, "%q is not the name of a host such as lb1.example.com", got)
			continue
		}
		name := strings.ToLower(got)
		d.Claim(e, name, "a name of the admin listener")
		names = append(names, name)
	}
	return names
}

// isHostName reports whether s is a name of labels of letters, digits and hyphens
// (RFC 1123, section 2.1), and no address.
func isHostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	return true
}

func (a Admin) effective() *yaml.Node {
	n := notation.Block()
	notation.Put(n, "socket", notation.Text(a.Socket))
	if !a.Listen.IsValid() {
		return n
	}
	notation.Put(n, "listen", notation.Text(notation.FormatBind(a.Listen)))
	if a.TokenFile != "" {
		notation.Put(n, "token_file", notation.Text(a.TokenFile))
	}
	if a.TLS != (AdminTLS{}) {
		t := notation.Flow()
		notation.Put(t, "cert", notation.Text(a.TLS.Cert))
		notation.Put(t, "key", notation.Text(a.TLS.Key))
		notation.Put(n, "tls", t)
	}
	if len(a.Names) > 0 {
		notation.Put(n, "names", notation.Line(a.Names, strings.Clone))
	}
	return n
}
