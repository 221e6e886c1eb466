package route

import "strings"

// The classes of bytes in a URI (RFC 3986, section 2), as bits of an entry in classes.
const (
	isUnreserved = 1 << iota // never needs to be encoded
	isSegment                // may stand bare in a segment: pchar, but for the semicolon
	isPath                   // may stand bare in a path
	isQuery                  // may stand bare in a query
	isHost                   // may stand in the name or the address of a host
	isURI                    // may stand somewhere in a URI, beside the percent sign
)

// classes tells the classes of a byte.
var classes = classify()

func classify() (t [256]uint8) {
	for c := range t {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		switch {
		case letter || digit || c == '-' || c == '.' || c == '_' || c == '~':
			t[c] = isUnreserved | isSegment | isPath | isQuery | isHost | isURI
		case strings.IndexByte("!$&'()*+,=:@", byte(c)) >= 0:
			t[c] = isSegment | isPath | isQuery | isURI
		case c == ';' || c == '/':
			t[c] = isPath | isQuery | isURI
		case c == '?':
			t[c] = isQuery | isURI
		case c == '#' || c == '[' || c == ']':
			t[c] = isURI
		}
		if c == ':' || c == '[' || c == ']' {
			t[c] |= isHost
		}
	}
	return t
}

// canonical reports whether path is in the form in which paths are matched already,
// as nearly all are.
func canonical(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return len(path) == 0 || len(path) == 1 && path[0] == '*'
	}
	start := 1 // of the segment
	for i := 1; i < len(path); i++ {
		c := path[i]
		switch {
		case classes[c]&isSegment != 0:
		case c == '/':
			if i == start || isDots(path[start:i]) {
				return false
			}
			start = i + 1
		case c == '%' && canonicalEscape(path[i:]):
			i += 2
		default:
			return false
		}
	}
	return !isDots(path[start:])
}

// isDots reports whether a segment is "." or "..".
func isDots(segment []byte) bool {
	switch len(segment) {
	case 1:
		return segment[0] == '.'
	case 2:
		return segment[0] == '.' && segment[1] == '.'
	}
	return false
}

// canonicalEscape reports whether b begins with a byte that must be encoded, and is
// in upper case.
func canonicalEscape(b []byte) bool {
	c, ok := encoded(b)
	return ok && classes[c]&isSegment == 0 && b[1] <= 'F' && b[2] <= 'F'
}

// appendCanonical appends path in the form in which paths are matched. A path that
// begins with a slash keeps to one; the others, which are "*" and the empty one, have
// no segments, and are only decoded.
func appendCanonical(dst, path []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		return appendSegment(dst, path)
	}
	from := len(dst)
	dst = append(dst, '/')
	for i := 1; i <= len(path); {
		end := i
		for end < len(path) && path[end] != '/' {
			end++
		}
		last := end == len(path)
		at := len(dst) // behind a slash
		dst = appendSegment(dst, path[i:end])
		switch segment := dst[at:]; {
		case len(segment) == 0:
		case isDots(segment):
			// RFC 3986, section 5.2.4: the slash before stays.
			dst = dst[:at]
			if len(segment) == 2 {
				dst = dst[:parent(dst, from)]
			}
		case !last:
			dst = append(dst, '/')
		}
		i = end + 1
	}
	return dst
}

// parent returns where the segment before the slash at the end of path[from:] begins,
// or where path does if there is none.
func parent(path []byte, from int) int {
	i := len(path) - 1
	for i > from && path[i-1] != '/' {
		i--
	}
	return max(i, from+1)
}

// appendSegment appends what stands for a segment, without its parameters: each byte
// bare if it may be, and else encoded.
func appendSegment(dst, segment []byte) []byte {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == ';' {
			break
		}
		if v, ok := encoded(segment[i:]); ok {
			c = v
			i += 2
		}
		dst = appendByte(dst, c, isSegment)
	}
	return dst
}

// appendURI appends b, each byte bare if it is of class and else encoded. What is
// encoded already stays so.
func appendURI[T string | []byte](dst []byte, b T, class uint8) []byte {
	for i := range len(b) {
		if _, ok := encoded(b[i:]); ok {
			dst = append(dst, '%') // the digits are of every class
		} else {
			dst = appendByte(dst, b[i], class)
		}
	}
	return dst
}

// appendByte appends c, encoded unless it is of class.
func appendByte(dst []byte, c byte, class uint8) []byte {
	const digits = "0123456789ABCDEF"
	if classes[c]&class != 0 {
		return append(dst, c)
	}
	return append(dst, '%', digits[c>>4], digits[c&0xf])
}
