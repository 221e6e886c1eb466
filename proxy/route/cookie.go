package route

import (
	"bytes"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// Cookie returns the value of the first cookie of that name that r carries, without
// the quotes that may be around it (RFC 6265, section 4.1.1). The case of the name
// matters.
func Cookie(r Request, name string) ([]byte, bool) {
	for i := 0; ; i++ {
		field, ok := r.Field("cookie", i)
		if !ok {
			return nil, false
		}
		for len(field) > 0 {
			var n, value []byte
			if n, value, field = cutCookie(field); string(n) == name {
				return value, true
			}
		}
	}
}

// hasCookie reports whether r carries a cookie of that name with that value, among
// others of the name.
func hasCookie(r Request, name, want string, anyValue bool) bool {
	for i := 0; ; i++ {
		field, ok := r.Field("cookie", i)
		if !ok {
			return false
		}
		for len(field) > 0 {
			var n, value []byte
			if n, value, field = cutCookie(field); string(n) == name && (anyValue || string(value) == want) {
				return true
			}
		}
	}
}

// cutCookie takes the first cookie off the value of a field Cookie (RFC 6265, section
// 4.2.1). Semicolons separate also within quotes, as they do for browsers and most
// servers. What has no name, since there is no equals sign, gets an empty one.
func cutCookie(field []byte) (name, value, rest []byte) {
	pair := field
	if i := bytes.IndexByte(field, ';'); i >= 0 {
		pair, rest = field[:i], field[i+1:]
	}
	equals := bytes.IndexByte(pair, '=')
	if equals < 0 {
		return nil, syntax.Trim(pair), rest
	}
	name, value = syntax.Trim(pair[:equals]), syntax.Trim(pair[equals+1:])
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return name, value, rest
}
