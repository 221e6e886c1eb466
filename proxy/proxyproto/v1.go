package proxyproto

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/tandemlb/tandem/proxy"
)

// maxV1 is the length of the longest line, with its CRLF (section 2.1).
const maxV1 = 107

func parseV1(b []byte) (Header, int, error) {
	line, _, complete := bytes.Cut(b[:min(len(b), maxV1)], []byte("\n"))
	if !complete {
		switch {
		case len(line) == maxV1:
			return Header{}, 0, &Error{BadLength, fmt.Sprintf("no end of the line within %d bytes", maxV1)}
		case bytes.IndexByte(line, '\r') >= 0 && bytes.IndexByte(line, '\r') != len(line)-1:
			return Header{}, 0, &Error{BadSyntax, "a CR that ends no line"}
		}
		return Header{}, 0, nil
	}
	n := len(line) + 1
	line, crlf := bytes.CutSuffix(line, []byte("\r"))
	if !crlf || bytes.IndexByte(line, '\r') >= 0 {
		return Header{}, 0, &Error{BadSyntax, fmt.Sprintf("%q does not end with CRLF", line)}
	}
	h := Header{Version: proxy.ProxyV1}
	family, rest, spaced := bytes.Cut(line[len(prefixV1):], []byte{' '})
	switch {
	case string(family) == "UNKNOWN": // whatever follows is to be ignored
		return h, n, nil
	case !spaced || string(family) != "TCP4" && string(family) != "TCP6":
		return Header{}, 0, &Error{BadSyntax, fmt.Sprintf("%q: want TCP4, TCP6 or UNKNOWN, and addresses", line)}
	}
	src, dst, err := endpointsV1(rest, string(family) == "TCP4")
	if err != nil {
		return Header{}, 0, err
	}
	h.endpoints(src, dst)
	return h, n, nil
}

// endpointsV1 reads "192.0.2.1 198.51.100.1 56324 443".
func endpointsV1(b []byte, four bool) (src, dst netip.AddrPort, err error) {
	fields := bytes.Split(b, []byte{' '})
	if len(fields) != 4 {
		return src, dst, &Error{BadSyntax, fmt.Sprintf("%q: want two addresses and two ports", b)}
	}
	var addrs [2]netip.Addr
	var ports [2]uint16
	for i := range 2 {
		addr, err := netip.ParseAddr(string(fields[i]))
		if err != nil || addr.Is4() != four || addr.Zone() != "" {
			return src, dst, &Error{BadAddress, fmt.Sprintf("%q is no address of the family", fields[i])}
		}
		port, ok := parsePort(fields[2+i])
		if !ok {
			return src, dst, &Error{BadAddress, fmt.Sprintf("%q is no port", fields[2+i])}
		}
		addrs[i], ports[i] = addr, port
	}
	return netip.AddrPortFrom(addrs[0], ports[0]), netip.AddrPortFrom(addrs[1], ports[1]), nil
}

// parsePort reads a decimal number without leading zeros, which the specification
// forbids, as some take them for octal.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 1 && b[0] == '0' || b[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 16)
	return uint16(n), err == nil
}

func appendV1(b []byte, src, dst netip.AddrPort, known bool) []byte {
	if !known {
		return append(b, prefixV1+"UNKNOWN\r\n"...)
	}
	family := "TCP6 "
	if src.Addr().Is4() {
		family = "TCP4 "
	}
	b = append(append(b, prefixV1...), family...)
	b = append(src.Addr().AppendTo(b), ' ')
	b = append(dst.Addr().AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(src.Port()), 10), ' ')
	return append(strconv.AppendUint(b, uint64(dst.Port()), 10), "\r\n"...)
}
