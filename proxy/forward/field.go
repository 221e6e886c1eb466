package forward

// field is one of the fields that say where a request came from.
type field uint8

// The fields whose values are kept come first.
const (
	forwardedFor field = iota
	forwardedProto
	forwardedHost
	forwardedPort
	forwarded
	via
	requestID
	fields = iota // how many are kept
)

const (
	realIP  field = fields + iota
	visitor       // what the certificate of the client says, which the connection knows
	alike         // X-Forwarded-Anything
	none
)

const forwardedPrefix = "x-forwarded-"

// Protected reports whether a field of this name is set by the proxy alone, so that
// it neither counts among the trailers nor can be named away by Connection. id is
// the name of the field with the identity of a request, in lower case.
func Protected(name []byte, id string) bool {
	f, _ := classify(name, id)
	return f != none
}

func (r *Request) classify(name []byte) (f field, exact bool) {
	return classify(name, r.policy.RequestID)
}

// classify returns which field name is. A name with underscores for dashes is not
// exact: many servers take one for the other (CGI does), so that it must not get
// through, and is nobody's honest spelling.
func classify(name []byte, id string) (f field, exact bool) {
	if match, exact := same(name, id); match {
		return requestID, exact
	}
	if len(name) < len("via") {
		return none, false
	}
	switch name[0] | 0x20 {
	case 'c':
		for _, lower := range [...]string{"client-cert", "client-cert-chain"} {
			if match, exact := same(name, lower); match {
				return visitor, exact
			}
		}
	case 'v':
		if match, exact := same(name, "via"); match {
			return via, exact
		}
	case 'f':
		if match, exact := same(name, "forwarded"); match {
			return forwarded, exact
		}
	case 'x':
		if match, exact := same(name, "x-real-ip"); match {
			return realIP, exact
		}
		for _, lower := range [...]string{"x-client-cert-subject", "x-client-cert-fingerprint", "x-client-verified"} {
			if match, exact := same(name, lower); match {
				return visitor, exact
			}
		}
		if len(name) < len(forwardedPrefix) {
			return none, false
		}
		match, exact := same(name[:len(forwardedPrefix)], forwardedPrefix)
		if !match {
			return none, false
		}
		f := suffix(name[len(forwardedPrefix):])
		return f, exact
	}
	return none, false
}

// suffix returns which field of X-Forwarded-* has the rest of its name.
func suffix(rest []byte) field {
	switch {
	case equal(rest, "for"):
		return forwardedFor
	case equal(rest, "proto"):
		return forwardedProto
	case equal(rest, "host"):
		return forwardedHost
	case equal(rest, "port"):
		return forwardedPort
	}
	return alike
}

// same reports whether name is lower, in any case and with underscores for dashes;
// exact is false when there are some.
func same(name []byte, lower string) (match, exact bool) {
	if len(name) != len(lower) {
		return false, false
	}
	exact = true
	for i, c := range name {
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c == '_':
			c, exact = '-', false
		}
		if c != lower[i] {
			return false, false
		}
	}
	return true, exact
}

// equal reports whether b is lower, in any case.
func equal(b []byte, lower string) bool {
	match, exact := same(b, lower)
	return match && exact
}
