package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ChecksumForm says which bytes the checksum of an IPv4 advertisement of version
// 3 covers. RFC 5798 left it unclear; RFC 9568, section 5.2.8, settles on the
// message alone, yet the implementations that came in between send and require
// the pseudo-header. Every other advertisement has but one form: IPv6 with the
// pseudo-header, version 2 without.
type ChecksumForm uint8

// The two forms.
const (
	PseudoHeader ChecksumForm = iota // as keepalived and FRR
	MessageOnly                      // as RFC 9568
)

// ChecksumPolicy says how the form in which IPv4 advertisements of version 3 are
// sent is chosen. Both forms are always accepted.
type ChecksumPolicy uint8

// The policies.
const (
	ChecksumAuto    ChecksumPolicy = iota // that of the peer; the pseudo-header until one is heard
	ChecksumRFC9568                       // the message only
	ChecksumRFC5798                       // the pseudo-header
)

// String returns the form in words.
func (f ChecksumForm) String() string {
	switch f {
	case PseudoHeader:
		return "pseudo-header"
	case MessageOnly:
		return "message only"
	}
	return fmt.Sprintf("checksum form %d", uint8(f))
}

// MarshalText returns what String returns.
func (f ChecksumForm) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts what MarshalText returns for the two forms.
func (f *ChecksumForm) UnmarshalText(text []byte) error {
	return unmarshalName(f, text, "checksum form", []ChecksumForm{PseudoHeader, MessageOnly})
}

// formOf returns the form in which an advertisement is sent when form is
// preferred and there is a choice.
func formOf(version uint8, h Header, form ChecksumForm) ChecksumForm {
	switch {
	case version == version2:
		return MessageOnly
	case h.Source.Is6():
		return PseudoHeader
	}
	return form
}

// verify returns the form in which b, with its checksum in place, sums up. Where
// both are legal the pseudo-header is tried first; a message that fits both
// reads the same to every receiver.
func verify(version uint8, b []byte, h Header) (ChecksumForm, bool) {
	message := sumBytes(b)
	for _, form := range [...]ChecksumForm{PseudoHeader, MessageOnly} {
		if form == formOf(version, h, form) && fold(message+form.sum(h, len(b))) == 0 {
			return form, true
		}
	}
	return 0, false
}

// checksum returns the internet checksum (RFC 1071) of b in the given form. It
// is 0 for a message whose own checksum field is right.
func checksum(b []byte, h Header, form ChecksumForm) uint16 {
	return fold(sumBytes(b) + form.sum(h, len(b)))
}

// sum returns what the form adds to the sum of a message of the given length:
// RFC 8200, section 8.1; for IPv4 the same fields as TCP takes (RFC 9293, section
// 3.1). Zero bytes between the fields add nothing.
func (f ChecksumForm) sum(h Header, length int) uint32 {
	if f != PseudoHeader {
		return 0
	}
	return sumAddr(h.Source) + sumAddr(h.Destination) + protocol + uint32(length)
}

// fold ends a sum, which cannot have overflowed: a message has at most 2044
// words.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func sumAddr(a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return sumBytes(b[:])
	}
	b := a.As16()
	return sumBytes(b[:])
}

// sumBytes adds up the 16-bit words of b, whose length is even: every message
// that gets here is made of whole addresses.
func sumBytes(b []byte) uint32 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	return sum
}
