package proxyproto

import (
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var asAddrPort = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func ap(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

// v2 is a header of version 2 with the length that its parts have.
func v2(command, family byte, parts ...string) string {
	rest := strings.Join(parts, "")
	return prefixV2 + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// sum fills in the checksum in place of the four bytes "CRC!".
func sum(header string) string {
	at := strings.Index(header, "CRC!")
	n := crc32.Checksum([]byte(strings.Replace(header, "CRC!", "\x00\x00\x00\x00", 1)), crc32.MakeTable(crc32.Castagnoli))
	return header[:at] + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + header[at+4:]
}

const (
	tcp4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb" // 192.0.2.1:56324 to 198.51.100.2:443
	tcp6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02\xdc\x04\x01\xbb"
)

func TestHeadersAreRead(t *testing.T) {
	from4, to4 := "192.0.2.1:56324", "198.51.100.2:443"
	from6, to6 := "[2001:db8::1]:56324", "[2001:db8::2]:443"
	for _, tc := range []struct{ name, header, src, dst string }{
		// Those of section 2.1.
		{"TCP/IPv4", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535"},
		{"TCP/IPv6", "PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", ""},
		{"unknown connection (short form)", "PROXY UNKNOWN\r\n", "", ""},
		{"worst case (optional fields set to 0xff)", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", ""},
		{"an example", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443"},

		{"v1, IPv6", "PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n", from6, to6},
		{"v1, mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n", from4, to4},
		{"v1, ports of zero", "PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n", "192.0.2.1:0", "198.51.100.2:0"},
		{"v1, the longest", "PROXY UNKNOWN " + strings.Repeat("x", maxV1-16) + "\r\n", "", ""},

		{"v2, TCP over IPv4", v2(0x21, 0x11, tcp4), from4, to4},
		{"v2, UDP over IPv4", v2(0x21, 0x12, tcp4), from4, to4},
		{"v2, TCP over IPv6", v2(0x21, 0x21, tcp6), from6, to6},
		{"v2, UDP over IPv6", v2(0x21, 0x22, tcp6), from6, to6},
		{"v2, mapped", v2(0x21, 0x21, mapped), from4, to4},
		{"v2, unix stream", v2(0x21, 0x31, strings.Repeat("u", 216)), "", ""},
		{"v2, unix datagram", v2(0x21, 0x32, strings.Repeat("u", 216)), "", ""},
		{"v2, unspecified", v2(0x21, 0x00), "", ""},
		{"v2, unspecified, with something", v2(0x21, 0x00, "whatever"), "", ""},
		{"v2, local", v2(0x20, 0x00), "", ""},
		{"v2, local, with a family", v2(0x20, 0x11, tcp4), "", ""},
		{"v2, local, with what makes no sense", v2(0x20, 0xff, "x"), "", ""},

		{"extensions", v2(0x21, 0x11, tcp4, tlv(0x01, "h2"), tlv(0x02, "example.org"), tlv(0x30, "blue"), tlv(0xee, "")), from4, to4},
		{"padding", v2(0x21, 0x11, tcp4, tlv(0x04, "\x00\x00\x00")), from4, to4},
		{"a unique id", v2(0x21, 0x11, tcp4, tlv(0x05, strings.Repeat("i", 128))), from4, to4},
		{"TLS", v2(0x21, 0x11, tcp4, tlv(0x20, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3")+tlv(0x22, "me"))), from4, to4},
		{"a checksum", sum(v2(0x21, 0x11, tcp4, tlv(0x03, "CRC!"))), from4, to4},
		{"a checksum among others", sum(v2(0x21, 0x21, tcp6, tlv(0x02, "example.org"), tlv(0x03, "CRC!"), tlv(0x04, "pad"))), from6, to6},
		{"the longest", v2(0x21, 0x11, tcp4, tlv(0xee, strings.Repeat("x", MaxSize-fixedV2-12-3))), from4, to4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "TCP/IPv6" { // as in the specification, with the addresses written out
				all := "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
				tc.header = strings.ReplaceAll(tc.header, "ffff:f...f:ffff", all)
				tc.src, tc.dst = "["+all+"]:65535", "["+all+"]:65535"
			}
			want := Header{Version: proxy.ProxyV1, Source: ap(tc.src), Destination: ap(tc.dst)}
			if tc.header[0] == '\r' {
				want.Version = proxy.ProxyV2
			}
			for _, behind := range []string{"", "GET / HTTP/1.1\r\n", "\r\n\r\n"} {
				got, n, err := Parse([]byte(tc.header + behind))
				if err != nil || n != len(tc.header) {
					t.Fatalf("with %q behind: %d bytes of %d, %v", behind, n, len(tc.header), err)
				}
				if diff := cmp.Diff(want, got, asAddrPort); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			for i := range len(tc.header) {
				if _, n, err := Parse([]byte(tc.header[:i])); n != 0 || err != nil {
					t.Fatalf("of its first %d bytes: %d, %v", i, n, err)
				}
			}
		})
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		reason       Reason
	}{
		{"HTTP", "GET / HTTP/1.1\r\n", NoHeader},
		{"nearly", "PROXI TCP4", NoHeader},
		{"lower case", "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", NoHeader},
		{"TLS", "\x16\x03\x01", NoHeader},
		{"half of a signature", "\r\n\r\n\x00\r\nQUIX", NoHeader},
		{"two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n", BadSyntax},
		{"two spaces within", "PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n", BadSyntax},
		{"a tab", "PROXY TCP4\t192.0.2.1 198.51.100.2 1 2\r\n", BadSyntax},
		{"nothing", "PROXY \r\n", BadSyntax},
		{"an end of line in the signature", "PROXY\r\n", NoHeader},
		{"another protocol", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", BadSyntax},
		{"lower case family", "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n", BadSyntax},
		{"no addresses", "PROXY TCP4\r\n", BadSyntax},
		{"one port", "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", BadSyntax},
		{"three ports", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", BadSyntax},
		{"a space at the end", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n", BadSyntax},
		{"LF alone", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", BadSyntax},
		{"CR within", "PROXY TCP4 192.0.2.1 198.51.100.2 1\r2", BadSyntax},
		{"CR twice", "PROXY UNKNOWN\r\r\n", BadSyntax},
		{"IPv6 as IPv4", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", BadAddress},
		{"IPv4 as IPv6", "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", BadAddress},
		{"a zone", "PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n", BadAddress},
		{"a name", "PROXY TCP4 example.org 198.51.100.2 1 2\r\n", BadAddress},
		{"octal", "PROXY TCP4 192.0.02.1 198.51.100.2 1 2\r\n", BadAddress},
		{"port beyond", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", BadAddress},
		{"port with a zero before it", "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", BadAddress},
		{"port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", BadAddress},
		{"no port", "PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n", BadAddress},
		{"a line too long", "PROXY UNKNOWN " + strings.Repeat("x", maxV1), BadLength},
		{"a line too long by one", "PROXY UNKNOWN " + strings.Repeat("x", maxV1-15) + "\r\n", BadLength},

		{"version 1 in binary", prefixV2 + "\x11", BadSyntax},
		{"version 3", prefixV2 + "\x31", BadSyntax},
		{"another command", prefixV2 + "\x22", BadSyntax},
		{"no transport", v2(0x21, 0x10, tcp4), BadSyntax},
		{"another transport", v2(0x21, 0x13, tcp4), BadSyntax},
		{"another family", v2(0x21, 0x41, tcp4), BadSyntax},
		{"too short for IPv4", v2(0x21, 0x11, tcp4[1:]), BadLength},
		{"too short for IPv6", v2(0x21, 0x21, tcp4), BadLength},
		{"too short for unix", v2(0x21, 0x31, tcp6), BadLength},
		{"too long", prefixV2 + "\x21\x11\xff\xff", BadLength},
		{"too long by one", v2(0x21, 0x11, tcp4, tlv(0xee, strings.Repeat("x", MaxSize-fixedV2-12-2))), BadLength},
		{"half an extension", v2(0x21, 0x11, tcp4, "\x04\x00"), BadTLV},
		{"an extension beyond the end", v2(0x21, 0x11, tcp4, "\x04\x00\x02x"), BadTLV},
		{"a long unique id", v2(0x21, 0x11, tcp4, tlv(0x05, strings.Repeat("i", 129))), BadTLV},
		{"short TLS", v2(0x21, 0x11, tcp4, tlv(0x20, "\x01\x00\x00\x00")), BadTLV},
		{"TLS with half an extension", v2(0x21, 0x11, tcp4, tlv(0x20, "\x01\x00\x00\x00\x00\x21\x00\x07TLS")), BadTLV},
		{"a wrong checksum", v2(0x21, 0x11, tcp4, tlv(0x03, "CRC!")), BadChecksum},
		{"a short checksum", v2(0x21, 0x11, tcp4, tlv(0x03, "CRC")), BadChecksum},
		{"two checksums", sum(v2(0x21, 0x11, tcp4, tlv(0x03, "CRC!"), tlv(0x03, "\x00\x00\x00\x00"))), BadChecksum},
		{"a bit that has changed", strings.Replace(sum(v2(0x21, 0x11, tcp4, tlv(0x03, "CRC!"))), "\xc0", "\xc1", 1), BadChecksum},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, n, err := Parse([]byte(tc.header))
			malformed, ok := errors.AsType[*Error](err)
			if !ok || malformed.Reason != tc.reason || n != 0 || h != (Header{}) {
				t.Errorf("%+v, %d, %v; want the reason %q", h, n, err, tc.reason)
			}
			if ok && !strings.HasPrefix(err.Error(), "PROXY header: ") {
				t.Errorf("%q does not say what it is about", err)
			}
		})
	}
}

func TestHeadersAreWritten(t *testing.T) {
	for _, tc := range []struct{ name, src, dst, v1, v2 string }{
		{"IPv4", "192.0.2.1:56324", "198.51.100.2:443", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v2(0x21, 0x11, tcp4)},
		{"IPv6", "[2001:db8::1]:56324", "[2001:db8::2]:443", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", v2(0x21, 0x21, tcp6)},
		{"mapped", "[::ffff:192.0.2.1]:56324", "198.51.100.2:443", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v2(0x21, 0x11, tcp4)},
		{"of two families", "192.0.2.1:56324", "[2001:db8::2]:443", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n", v2(0x21, 0x21, mapped[:16]+tcp6[16:])},
		{"a zone", "[fe80::1%lo]:1", "[fe80::2%lo]:2", "PROXY TCP6 fe80::1 fe80::2 1 2\r\n",
			v2(0x21, 0x21, "\xfe\x80"+strings.Repeat("\x00", 13)+"\x01\xfe\x80"+strings.Repeat("\x00", 13)+"\x02\x00\x01\x00\x02")},
		{"unknown", "", "", "PROXY UNKNOWN\r\n", v2(0x20, 0x00)},
		{"half known", "192.0.2.1:56324", "", "PROXY UNKNOWN\r\n", v2(0x20, 0x00)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for version, want := range map[proxy.ProxyVersion]string{proxy.ProxyV1: tc.v1, proxy.ProxyV2: tc.v2, proxy.ProxyNone: ""} {
				if diff := cmp.Diff("before "+want, string(Append([]byte("before "), version, ap(tc.src), ap(tc.dst)))); diff != "" {
					t.Errorf("%q (-want +got):\n%s", version, diff)
				}
			}
		})
	}
}

func addrPort(t *rapid.T, label string) netip.AddrPort {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)
	addr := netip.AddrFrom16([16]byte(b))
	if rapid.Bool().Draw(t, label+" is IPv4") {
		addr = netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrPortFrom(addr.Unmap(), rapid.Uint16().Draw(t, label+" port"))
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SampledFrom([]proxy.ProxyVersion{proxy.ProxyV1, proxy.ProxyV2}).Draw(t, "version")
		want := Header{Version: version, Source: addrPort(t, "source"), Destination: addrPort(t, "destination")}
		b := Append(nil, version, want.Source, want.Destination)
		got, n, err := Parse(append(b, "data"...))
		if diff := cmp.Diff(want, got, asAddrPort); diff != "" || n != len(b) || err != nil {
			t.Errorf("%q: %d bytes, %v (-want +got):\n%s", b, n, err, diff)
		}
	})
}

func TestNothingIsAllocatedForBinaryHeaders(t *testing.T) {
	b := []byte(v2(0x21, 0x21, tcp6, tlv(0x02, "example.org")))
	out := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		h, _, _ := Parse(b)
		out = Append(out[:0], proxy.ProxyV1, h.Source, h.Destination)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
