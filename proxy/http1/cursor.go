package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// cursor walks over the lines of a head that may not be there in full. It looks at
// each byte once, however the head is cut into reads.
type cursor struct {
	line int // offset of the current line
	seen int // the bytes before this offset hold no line end of the current line
}

// tooLong says which limit a line ran into.
type tooLong uint8

const (
	lineTooLong tooLong = iota + 1
	headTooLong
)

// next returns the offset of the CRLF that ends the current line, or -1 if it has
// not come. The line holds no control character but HTAB. A reason comes with the
// offset of the byte to blame; over says that a limit is exceeded, of a line or of
// the whole buf.
func (c *cursor) next(buf []byte, line, head int) (end int, reason Reason, over tooLong) {
	limit := c.line + line + len("\r\n")
	over = lineTooLong
	if head < limit {
		limit, over = head, headTooLong
	}
	// What lies behind the limit must not matter: it may not have come yet.
	window := buf[:min(len(buf), limit)]
	for {
		i := c.seen + syntax.FirstControl(window[c.seen:])
		c.seen = i
		switch {
		case i == len(window) || window[i] == '\r' && i+1 == len(window):
			if len(buf) >= limit {
				return i, "", over
			}
			return -1, "", 0
		case window[i] == '\t':
			c.seen++
		case window[i] == '\r' && window[i+1] == '\n':
			return i, "", 0
		case window[i] == '\r':
			return i, BareCR, 0
		case window[i] == '\n':
			return i, BareLF, 0
		default:
			return i, ControlCharacter, 0
		}
	}
}

// advance goes on to the line behind the CRLF at end.
func (c *cursor) advance(end int) {
	c.line = end + len("\r\n")
	c.seen = c.line
}
