package syntax

// ValidIPv6 reports whether b is an IPv6address (RFC 3986, section 3.2.2). It
// makes no string, as netip.ParseAddr wants one.
func ValidIPv6(b []byte) bool {
	groups, compressed := 0, false
	for first := true; len(b) > 0; first = false {
		switch {
		case len(b) >= 2 && b[0] == ':' && b[1] == ':':
			if compressed {
				return false
			}
			compressed = true
			if b = b[2:]; len(b) == 0 {
				return groups < 8
			}
		case !first && b[0] == ':':
			b = b[1:]
		case !first:
			return false
		}
		n := 0
		for n < len(b) && n < 5 && HexDigit(b[n]) >= 0 {
			n++
		}
		if n < len(b) && b[n] == '.' {
			groups += 2
			if b = cutIPv4(b); b == nil || len(b) > 0 {
				return false
			}
			break
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		b = b[n:]
	}
	return compressed && groups < 8 || !compressed && groups == 8
}

// cutIPv4 returns what follows the IPv4 address at the start of b, or nil if there
// is none.
func cutIPv4(b []byte) []byte {
	for part := range 4 {
		if part > 0 {
			if len(b) == 0 || b[0] != '.' {
				return nil
			}
			b = b[1:]
		}
		n, v := 0, 0
		for n < len(b) && n < 3 && b[n] >= '0' && b[n] <= '9' {
			v = v*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || v > 255 || n > 1 && b[0] == '0' {
			return nil
		}
		b = b[n:]
	}
	return b
}
