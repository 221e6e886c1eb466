// Package proxyproto reads and writes the header of the PROXY protocol, by which a
// proxy says at the beginning of a connection for whom it has opened it. It knows
// both versions, as https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt has
// them, and is strict: a header says who the client is, and two readers must not see
// two clients in it.
package proxyproto

import (
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
)

// MaxSize is how long a header may be, in bytes: what can follow the addresses of
// version 2 is bounded by 64 KiB alone, and is not needed here.
const MaxSize = 4096

const (
	prefixV1 = "PROXY "
	prefixV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Header is what a header says.
type Header struct {
	Version proxy.ProxyVersion

	// Source is the client, and Destination the address that it has connected to; of
	// IPv4 as such, also where they came mapped into IPv6. Both are invalid when the
	// header leaves it at the addresses of the connection: it is the proxy's own one,
	// of an unknown kind, or of unix sockets, which have none.
	Source, Destination netip.AddrPort
}

// Reason says in a word what is wrong with a header, to be counted by.
type Reason string

// The reasons.
const (
	NoHeader    Reason = "missing"  // it begins like none
	BadSyntax   Reason = "syntax"   // a line, version, command or family that is not defined
	BadAddress  Reason = "address"  // an address or a port that is none
	BadLength   Reason = "length"   // longer than may be, or too short for what it has
	BadTLV      Reason = "tlv"      // an extension that exceeds the header, or its own bounds
	BadChecksum Reason = "checksum" // a CRC32c that is not that of the header
)

// Error is the error of a malformed header.
type Error struct {
	Reason Reason
	text   string
}

func (e *Error) Error() string { return "PROXY header: " + e.text }

// Parse reads the header that b begins with, of n bytes. Without an error, n is 0 as
// long as b may be the beginning of one, which takes MaxSize bytes at most. Every
// error is an *[Error].
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, prefixV1):
		return parseV1(b)
	case begins(b, prefixV2):
		return parseV2(b)
	}
	return Header{}, 0, &Error{NoHeader, "there is none"}
}

// begins reports whether b begins with prefix, as far as it goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// Append appends a header of that version to b, for a connection that src has opened
// to dst; nothing of the zero version. Without two valid addresses the header leaves it
// at those of the connection that it is sent on.
func Append(b []byte, v proxy.ProxyVersion, src, dst netip.AddrPort) []byte {
	src, dst, known := alike(src, dst)
	switch v {
	case proxy.ProxyV1:
		return appendV1(b, src, dst, known)
	case proxy.ProxyV2:
		return appendV2(b, src, dst, known)
	}
	return b
}

// alike returns both addresses in the same family, without zones, if they are some.
func alike(a, b netip.AddrPort) (x, y netip.AddrPort, ok bool) {
	if !a.IsValid() || !b.IsValid() {
		return a, b, false
	}
	from, to := a.Addr().Unmap(), b.Addr().Unmap()
	if from.Is4() != to.Is4() {
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	return netip.AddrPortFrom(from.WithZone(""), a.Port()), netip.AddrPortFrom(to.WithZone(""), b.Port()), true
}

// endpoints fills in what the header says of the two sides.
func (h *Header) endpoints(src, dst netip.AddrPort) {
	h.Source = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
	h.Destination = netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port())
}
