package route

import (
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
)

// Request is what a Table looks at of a request. What the methods return is only read,
// and not kept.
type Request interface {
	Method() []byte
	Host() []byte  // in lower case, without the port
	Path() []byte  // as it came, encoded
	Query() []byte // as it came, without the question mark
	// Field returns the value of the i-th field of that name, which is in lower case,
	// counted from 0.
	Field(name string, i int) ([]byte, bool)
}

// ServerName is a Request of which only the host is known: the name that a ClientHello
// asks for.
type ServerName struct{ Name []byte }

var _ Request = (*ServerName)(nil)

// Method returns nothing.
func (*ServerName) Method() []byte { return nil }

// Host returns the name.
func (n *ServerName) Host() []byte { return n.Name }

// Path returns nothing.
func (*ServerName) Path() []byte { return nil }

// Query returns nothing.
func (*ServerName) Query() []byte { return nil }

// Field finds nothing.
func (*ServerName) Field(string, int) ([]byte, bool) { return nil, false }

// AppendKey appends what k names of a request, and reports whether it is there; if not,
// nothing is appended. Of an address it is the bytes. Equal keys are equal bytes, and only they: parameters are
// decoded, paths in the form in which they are matched, cookies without the quotes.
// Nothing is appended for KeyNone and KeyListener, for which all requests are alike.
func AppendKey(dst []byte, k proxy.Key, r Request, client netip.Addr) ([]byte, bool) {
	switch k.Kind {
	case proxy.KeyClient:
		switch client = client.Unmap(); {
		case client.Is4():
			b := client.As4()
			return append(dst, b[:]...), true
		case client.Is6():
			b := client.As16()
			return append(dst, b[:]...), true
		}
		return dst, false
	case proxy.KeyHeader:
		value, ok := r.Field(k.Name, 0)
		return append(dst, value...), ok
	case proxy.KeyCookie:
		value, ok := Cookie(r, k.Name)
		return append(dst, value...), ok
	case proxy.KeyQuery:
		return AppendParameter(dst, r.Query(), k.Name)
	case proxy.KeyPath:
		return appendCanonical(dst, r.Path()), true
	}
	return dst, true
}
