package forward

import (
	"bytes"
	"iter"
	"net/netip"
)

// hop is one of those that a request came through.
type hop struct {
	addr netip.Addr // the zero Addr when it is hidden
	name []byte     // of a hidden one that has one: "_" and more (RFC 7239, section 6.3)
	// proto and host are what its element of Forwarded says of its request: proto
	// "http", "https" or "", host nil when it says nothing that can be used.
	proto string
	host  []byte
}

// maxHidden bounds the name of a hidden hop.
const maxHidden = 64

// backwards yields the elements of the list that lines are together, the last one
// first, without the white space around them. Empty ones do not count (RFC 9110,
// section 5.6.1).
//
// It goes backwards, and knows no quotes, for the same reason: the end of a list is
// what a trusted proxy has appended, and nothing that stands before it, such as a
// quote that is not closed, may change how that is read. No quoted text that counts
// has a comma in it.
func backwards(lines [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			for rest, more := lines[i], true; more; {
				var element []byte
				element, rest, more = cutLast(rest)
				if element = trim(element); len(element) > 0 && !yield(element) {
					return
				}
			}
		}
	}
}

// cutLast returns what is behind the last comma of b, and what is before it.
func cutLast(b []byte) (element, before []byte, more bool) {
	i := bytes.LastIndexByte(b, ',')
	if i < 0 {
		return b, nil, false
	}
	return b[i+1:], b[:i], true
}

// last returns the last element of the list that lines are together, or nil.
func last(lines [][]byte) []byte {
	for element := range backwards(lines) {
		return element
	}
	return nil
}

// trim cuts spaces and tabs off both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// parseNode parses one that a request came through: an address, IPv6 with or
// without brackets, "unknown", or a name that hides it; each of them may have a port
// (RFC 7239, section 6).
func parseNode(b []byte) (hop, bool) {
	colons := bytes.Count(b, []byte{':'})
	switch {
	case len(b) > 0 && b[0] == '[':
		end := bytes.IndexByte(b, ']')
		if end < 0 || !validPort(b[end+1:]) {
			return hop{}, false
		}
		addr, ok := parseAddr(b[1:end])
		return hop{addr: addr}, ok && bytes.IndexByte(b[1:end], ':') >= 0
	case colons == 1:
		i := bytes.IndexByte(b, ':')
		if !validPort(b[i:]) {
			return hop{}, false
		}
		b = b[:i]
	}
	switch {
	case equal(b, "unknown"):
		return hop{}, true
	case validHidden(b):
		return hop{name: b}, true
	}
	addr, ok := parseAddr(b)
	return hop{addr: addr}, ok
}

// parseAddr parses an IP address without zone: that of another host means nothing
// here.
func parseAddr(b []byte) (netip.Addr, bool) {
	if addr, ok := parseIPv4(b); ok {
		return addr, true
	}
	const longest = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
	if len(b) > longest || bytes.IndexByte(b, ':') < 0 || bytes.IndexByte(b, '%') >= 0 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(b))
	return addr.Unmap(), err == nil
}

// parseIPv4 parses a dotted address as netip.ParseAddr does, which takes a string
// and so costs an allocation.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var addr [4]byte
	part, digits, n := 0, 0, 0
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			if digits > 0 && n == 0 { // a leading zero: octal to some
				return netip.Addr{}, false
			}
			if n = n*10 + int(c-'0'); n > 255 {
				return netip.Addr{}, false
			}
			digits++
		case c == '.' && digits > 0 && part < 3:
			addr[part] = byte(n)
			part, digits, n = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	addr[3] = byte(n)
	return netip.AddrFrom4(addr), true
}

// validPort reports whether b is empty, or a colon and a port, which may be hidden
// (RFC 7239, section 6).
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' {
		return false
	}
	b = b[1:]
	_, ok := number(b)
	return ok || equal(b, "0") || validHidden(b)
}

// validHidden reports whether b is a name that hides an address or a port.
func validHidden(b []byte) bool {
	if len(b) < 2 || len(b) > maxHidden || b[0] != '_' {
		return false
	}
	for _, c := range b {
		if !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// number returns the port b, 1..65535, which has no leading zero.
func number(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
