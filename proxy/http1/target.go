package http1

import (
	"bytes"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// Form is the form of a request target (RFC 9112, section 3.2).
type Form uint8

// The forms.
const (
	OriginForm    Form = iota // /path?query
	AbsoluteForm              // http://host/path?query
	AuthorityForm             // host:port, of CONNECT
	AsteriskForm              // *, of OPTIONS
)

// target holds the parts of a request target.
type target struct {
	raw               Span // all of it
	scheme, authority Span
	path, query       Span // the query without its question mark
	hasQuery          bool
}

// parseTarget takes the target at buf[from:to] apart.
func (r *Request) parseTarget(buf []byte, from, to int) *Error {
	b := buf[from:to]
	r.target.raw = span(from, to)
	ok := false
	switch {
	case r.Method == MethodConnect:
		// The port is checked with the rest of the authority.
		r.Form, r.target.authority, ok = AuthorityForm, span(from, to), len(b) > 0
	case len(b) > 0 && b[0] == '/':
		r.Form, ok = OriginForm, r.parsePath(buf, from, to)
	case len(b) == 1 && b[0] == '*':
		r.Form, r.target.path, ok = AsteriskForm, span(from, to), r.Method == MethodOptions
	default:
		r.Form, ok = AbsoluteForm, r.parseAbsolute(buf, from, to)
	}
	if !ok {
		return r.fail(TargetInvalid, from, "request target "+quote(b)+" of method "+quote(buf[r.method.Off:r.method.end()]))
	}
	return nil
}

// parseAbsolute parses scheme "://" authority [ path ] [ "?" query ].
func (r *Request) parseAbsolute(buf []byte, from, to int) bool {
	colon := bytes.IndexByte(buf[from:to], ':')
	if colon < 0 {
		return false
	}
	scheme := buf[from : from+colon]
	if !syntax.Fold(scheme, "http") && !syntax.Fold(scheme, "https") {
		return false
	}
	r.target.scheme = span(from, from+colon)
	start := from + colon + len("://")
	if start > to || string(buf[from+colon:start]) != "://" {
		return false
	}
	end := start
	for end < to && buf[end] != '/' && buf[end] != '?' {
		end++
	}
	r.target.authority = span(start, end)
	return end > start && r.parsePath(buf, end, to)
}

// parsePath parses [ path ] [ "?" query ]. The encoding of the path must be well
// formed: servers differ in what they make of the rest of "%2".
func (r *Request) parsePath(buf []byte, from, to int) bool {
	i := from
	for ; i < to && classes[buf[i]]&classPath != 0; i++ {
		if buf[i] == '%' && (i+2 >= to || syntax.HexDigit(buf[i+1]) < 0 || syntax.HexDigit(buf[i+2]) < 0) {
			return false
		}
	}
	r.target.path = span(from, i)
	if i == to {
		return true
	}
	if buf[i] != '?' {
		return false
	}
	r.target.hasQuery, r.target.query = true, span(i+1, to)
	for i++; i < to; i++ {
		if classes[buf[i]]&classQuery == 0 {
			return false
		}
	}
	return true
}

// RawTarget returns the target as it was sent.
func (r *Request) RawTarget() []byte { return r.Bytes(r.target.raw) }

// Scheme returns the scheme of a target in absolute-form, as it was sent: http or
// https in any case. It is empty for the other forms.
func (r *Request) Scheme() []byte { return r.Bytes(r.target.scheme) }

// Path returns the path as it was sent, encoded. It is "/" if an absolute-form has
// none, "*" if that is what the request is for, and empty for CONNECT.
func (r *Request) Path() []byte {
	if r.target.path.Len > 0 || r.Form == AuthorityForm {
		return r.Bytes(r.target.path)
	}
	if r.Method == MethodOptions && !r.target.hasQuery {
		return []byte("*") // RFC 9112, section 3.2.4
	}
	return []byte("/")
}

// Query returns the query as it was sent, without its question mark. The second
// result is false if there is not even that.
func (r *Request) Query() ([]byte, bool) { return r.Bytes(r.target.query), r.target.hasQuery }

// AppendTarget appends the target in the form that a server gets: origin-form, or
// as it was for the methods CONNECT and OPTIONS.
func (r *Request) AppendTarget(dst []byte) []byte {
	if r.Form == AuthorityForm {
		return append(dst, r.Bytes(r.target.authority)...)
	}
	dst = append(dst, r.Path()...)
	if r.target.hasQuery {
		dst = append(append(dst, '?'), r.Bytes(r.target.query)...)
	}
	return dst
}
