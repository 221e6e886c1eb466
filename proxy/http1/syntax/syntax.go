// Package syntax holds what the syntax of HTTP and of URIs is made of: how names
// are compared, lists are cut, digits and addresses are read. Whoever looks at a
// message must read it as its codec does, or the two will disagree.
package syntax

import (
	"encoding/binary"
	"math/bits"
)

// FirstControl returns the offset of the first control character in b (0x00 to
// 0x1f, or 0x7f), or len(b).
func FirstControl(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		// The high bit of a byte of low is set if it is below 0x20, that of del if
		// it is 0x7f. A borrow can set it wrongly only behind a byte that is right.
		x := binary.LittleEndian.Uint64(b[i:])
		y := x ^ 0x7f*ones
		low := (x - 0x20*ones) &^ x
		del := (y - ones) &^ y
		if m := (low | del) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] == 0x7f {
			return i
		}
	}
	return i
}

// Fold reports whether b is lower, which holds no upper-case letter and none of
// @ [ \ ] ^ _ and `, in any case. b must not hold control characters.
func Fold[T string | []byte](b T, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(b) {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// Trim returns b without the optional white space around it, which is only SP and
// HTAB (RFC 9110, section 5.6.3).
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// CutElement takes the first element off a list that is separated by commas (RFC
// 9110, section 5.6.1). It may be empty.
func CutElement(list []byte) (element, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return Trim(list[:i]), list[i+1:]
		}
	}
	return Trim(list), nil
}

// EqualFold reports whether two names are equal but for the case of letters.
func EqualFold[T string | []byte](a []byte, b T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if Lower(a[i]) != Lower(b[i]) {
			return false
		}
	}
	return true
}

// Lower returns a letter in lower case, and any other byte as it is.
func Lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// HexDigit returns the value of a hexadecimal digit, or -1.
func HexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
