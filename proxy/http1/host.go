package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// authority is the host and the port that a request is for.
type authority struct {
	text Span   // as it was sent; of no length if it is empty
	name []byte // in lower case, brackets included
	full []byte // name and port, as far as there is one
	port int    // -1 if absent or empty
}

// parseAuthority splits b = host [ ":" port ] (RFC 3986, section 3.2). Of the
// names it takes letters, digits, dashes, dots, underscores and tildes, which is
// what resolves; not the other sub-delims, nor encoded bytes, for two parties to
// read differently. IPv6 addresses have brackets and no zone. An empty host is for
// the caller to judge.
func parseAuthority(b []byte) (hostLen, port int, upper, ok bool) {
	if len(b) > 0 && b[0] == '[' {
		for hostLen = 1; hostLen < len(b) && b[hostLen] != ']'; hostLen++ {
			upper = upper || b[hostLen] >= 'A' && b[hostLen] <= 'Z'
		}
		if hostLen == len(b) || !syntax.ValidIPv6(b[1:hostLen]) {
			return 0, 0, false, false
		}
		hostLen++
	} else {
		for hostLen < len(b) && classes[b[hostLen]]&classHost != 0 {
			upper = upper || b[hostLen] >= 'A' && b[hostLen] <= 'Z'
			hostLen++
		}
	}
	rest := b[hostLen:]
	if len(rest) == 0 {
		return hostLen, -1, upper, true
	}
	// Five digits are a port, leading zeros or not.
	if rest[0] != ':' || len(rest) > 1+5 || hostLen == 0 {
		return 0, 0, false, false
	}
	port = -1
	for _, c := range rest[1:] {
		if c < '0' || c > '9' {
			return 0, 0, false, false
		}
		port = max(port, 0)*10 + int(c-'0')
	}
	return hostLen, port, upper, port <= 65535
}

// setHost parses the authority that stands at s.
func (r *Request) setHost(s Span) bool {
	b := r.Bytes(s)
	n, port, upper, ok := parseAuthority(b)
	if !ok {
		return false
	}
	if upper {
		r.lowered = r.lowered[:0]
		for _, c := range b {
			r.lowered = append(r.lowered, syntax.Lower(c))
		}
		b = r.lowered
	}
	r.host = authority{text: s, name: b[:n:n], full: b, port: port}
	return true
}

// resolveHost finds the host that the request is for, in the target or in Host
// (RFC 9112, section 3.2 and 3.3).
func (r *Request) resolveHost() *Error {
	var sent Span
	var before authority // of Host
	if r.seen.Has(Host) {
		sent = r.fields[r.first[Host]].Value
		if !r.setHost(sent) {
			return r.fail(HostInvalid, int(sent.Off), "field \"Host\" is "+quote(r.Bytes(sent)))
		}
		before = r.host
	} else if r.Minor > 0 {
		return r.fail(HostMissing, r.lines.line, "no field \"Host\"")
	}
	if r.target.authority.Len == 0 {
		return nil
	}
	// The names must be compared before setHost overwrites that of Host.
	text := r.Bytes(r.target.authority)
	n, port, _, ok := parseAuthority(text)
	if !ok || n == 0 {
		return r.fail(TargetInvalid, int(r.target.authority.Off), "authority of the target is "+quote(text))
	}
	standard := 443
	if syntax.Fold(r.Scheme(), "http") {
		standard = 80
	}
	if r.Form == AuthorityForm {
		if standard = 0; port < 0 {
			return r.fail(TargetInvalid, int(r.target.authority.Off), "no port in target "+quote(text))
		}
	}
	same := func(port int) int {
		if port < 0 {
			return standard
		}
		return port
	}
	if r.seen.Has(Host) && (!syntax.EqualFold(text[:n], before.name) || same(port) != same(before.port)) {
		return r.fail(HostConflict, int(sent.Off), "field \"Host\" is "+quote(r.Bytes(sent))+", the target's authority is "+quote(text))
	}
	r.setHost(r.target.authority)
	return nil
}

// HostName returns the name or address of the host that the request is for, in
// lower case, an IPv6 address in its brackets, without the port: for routing. It is
// empty if the client named none, as HTTP/1.0 allows.
func (r *Request) HostName() []byte { return r.host.name }

// Port returns the port that the client named, or -1 if it named none.
func (r *Request) Port() int { return r.host.port }

// HostPort returns the host and the port that the request is for, in lower case.
// A port that is standard, the scheme's own, is left out like an empty one (RFC
// 9110, section 4.2.3).
func (r *Request) HostPort(standard int) []byte {
	if r.host.port < 0 || r.host.port == standard {
		return r.host.name
	}
	return r.host.full
}

// Authority returns the host and port just as the client wrote them, which is what
// Host is when the request is forwarded.
func (r *Request) Authority() []byte { return r.Bytes(r.host.text) }
