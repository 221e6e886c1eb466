package forward

import "bytes"

// parseElement parses an element of Forwarded (RFC 7239, section 4). Values that
// would need quotes, such as those with a colon, may come without: that is common,
// and can be read one way only.
func parseElement(b []byte) (hop, bool) {
	var h hop
	var seen struct{ node, proto, host bool }
	for len(b) > 0 {
		name, value, rest, ok := parsePair(b)
		if !ok {
			return hop{}, false
		}
		b = rest
		switch {
		case equal(name, "for"):
			node, ok := parseNode(value)
			if !ok || seen.node { // RFC 7239, section 4: once in an element
				return hop{}, false
			}
			seen.node, h.addr, h.name = true, node.addr, node.name
		case equal(name, "proto"):
			if seen.proto {
				return hop{}, false
			}
			seen.proto, h.proto = true, scheme(value)
		case equal(name, "host"):
			if seen.host {
				return hop{}, false
			}
			seen.host = true
			if validHost(value) {
				h.host = value
			}
		}
	}
	return h, true
}

// parsePair parses NAME=VALUE and the semicolon behind it. A value with escapes is
// not unescaped: nothing that counts needs one.
func parsePair(b []byte) (name, value, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '=')
	if i < 0 {
		return nil, nil, nil, false
	}
	name, b = trim(b[:i]), b[i+1:]
	if !validToken(name) {
		return nil, nil, nil, false
	}
	if len(b) > 0 && b[0] == '"' {
		end := closingQuote(b)
		if end < 0 {
			return nil, nil, nil, false
		}
		value, b = b[1:end], trim(b[end+1:])
		if len(b) > 0 && b[0] != ';' {
			return nil, nil, nil, false
		}
	} else {
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			end = len(b)
		}
		value, b = trim(b[:end]), b[end:]
		if !validBare(value) {
			return nil, nil, nil, false
		}
	}
	if len(b) > 0 {
		b = b[1:]
	}
	return name, value, trim(b), true
}

// closingQuote returns the index of the quote that ends the text which begins with
// one, or -1.
func closingQuote(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// validBare reports whether b can be a value without quotes.
func validBare(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ';' || c == ',' || c == '=' {
			return false
		}
	}
	return len(b) > 0
}

// validToken reports whether b is a token (RFC 9110, section 5.6.2).
func validToken(b []byte) bool {
	for _, c := range b {
		if !alphanumeric(c) && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// scheme returns the scheme b as this package writes it, or "".
func scheme(b []byte) string {
	switch {
	case equal(b, "https"):
		return "https"
	case equal(b, "http"):
		return "http"
	}
	return ""
}

// maxHost is the longest host with port: a name of the DNS, a colon and a port.
const maxHost = 253 + 6

// validHost reports whether b can stand as a host in every field: no white space,
// and nothing that separates or quotes.
func validHost(b []byte) bool {
	if len(b) == 0 || len(b) > maxHost {
		return false
	}
	for _, c := range b {
		if !alphanumeric(c) && bytes.IndexByte([]byte(".-_:[]~%!$&'*+"), c) < 0 {
			return false
		}
	}
	return true
}

// portOf returns the port of host, or 0 when it names none.
func portOf(host []byte) uint16 {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return 0
	}
	port, _ := number(host[i+1:])
	return port
}
