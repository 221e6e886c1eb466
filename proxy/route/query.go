package route

import (
	"bytes"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// AppendParameter appends the decoded value of the first parameter of that name in
// query, and reports whether there is one. Ampersands separate the parameters, and a
// plus sign is a space (WHATWG URL, section 5.1). A parameter without an equals sign
// has an empty value. What is not well encoded stands for itself. The name may be
// encoded as well.
func AppendParameter(dst, query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		var n, value []byte
		if n, value, query = cutParameter(query); !sameDecoded(n, name) {
			continue
		}
		for len(value) > 0 {
			var c byte
			c, value = cutDecoded(value)
			dst = append(dst, c)
		}
		return dst, true
	}
	return dst, false
}

// hasParameter reports whether query has a parameter of that name with that value,
// among others of the name.
func hasParameter(query []byte, name, want string, anyValue bool) bool {
	for len(query) > 0 {
		var n, value []byte
		if n, value, query = cutParameter(query); sameDecoded(n, name) && (anyValue || decodesTo(value, want)) {
			return true
		}
	}
	return false
}

// cutParameter takes the first parameter off a query. An empty one, between two
// ampersands, has no name; the rest is shorter in any case.
func cutParameter(query []byte) (name, value, rest []byte) {
	pair := query
	if i := bytes.IndexByte(query, '&'); i >= 0 {
		pair, rest = query[:i], query[i+1:]
	}
	name, value, _ = bytes.Cut(pair, []byte("="))
	return name, value, rest
}

// decodesTo reports whether b is want when it is decoded.
func decodesTo(b []byte, want string) bool {
	for i := range len(want) {
		if len(b) == 0 {
			return false
		}
		var c byte
		if c, b = cutDecoded(b); c != want[i] {
			return false
		}
	}
	return len(b) == 0
}

// sameDecoded reports whether b and name are the same when they are decoded.
func sameDecoded(b []byte, name string) bool {
	for len(b) > 0 && len(name) > 0 {
		var c, d byte
		c, b = cutDecoded(b)
		if d, name = cutDecoded(name); c != d {
			return false
		}
	}
	return len(b) == 0 && len(name) == 0
}

// cutDecoded takes the first character off a part of a query, which must not be empty.
func cutDecoded[T string | []byte](b T) (c byte, rest T) {
	switch c = b[0]; c {
	case '+':
		return ' ', b[1:]
	case '%':
		if v, ok := encoded(b); ok {
			return v, b[3:]
		}
	}
	return c, b[1:]
}

// encoded returns the byte for which a percent sign and two digits at the start of b
// stand.
func encoded[T string | []byte](b T) (byte, bool) {
	if len(b) < 3 || b[0] != '%' {
		return 0, false
	}
	high, low := syntax.HexDigit(b[1]), syntax.HexDigit(b[2])
	if high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true
}
