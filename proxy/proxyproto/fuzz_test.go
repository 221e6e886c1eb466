package proxyproto

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	second "github.com/pires/go-proxyproto"

	"github.com/tandemlb/tandem/proxy"
)

// secondOpinion reads the header that b begins with by another implementation. Without
// addresses of IP it returns none.
func secondOpinion(b []byte) (src, dst netip.AddrPort, size int, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
	h, err := second.Read(r)
	if err != nil {
		return src, dst, 0, err
	}
	rest, _ := io.ReadAll(r)
	return addrPortOf(h.SourceAddr), addrPortOf(h.DestinationAddr), len(b) - len(rest), nil
}

func addrPortOf(a net.Addr) (ap netip.AddrPort) {
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n",
		"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n", "PROXY UNKNOWN\r\n", "PROXY UNKNOWN x\r\n", "PROXY TCP4 1",
		v2(0x21, 0x11, tcp4) + "data", v2(0x21, 0x12, tcp4), v2(0x21, 0x21, tcp6), v2(0x21, 0x22, mapped), v2(0x20, 0x00), v2(0x21, 0x00, "x"),
		sum(v2(0x21, 0x11, tcp4, tlv(0x03, "CRC!"), tlv(0x20, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3")))),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if _, ours := errors.AsType[*Error](err); err != nil && (!ours || n != 0 || h != (Header{})) {
			t.Fatalf("%+v, %d with the error %v", h, n, err)
		}
		if err == nil && n == 0 && len(b) >= MaxSize {
			t.Fatalf("%d bytes are not enough", len(b))
		}
		if n > 0 {
			whole(t, b[:n], h)
		}
		src, dst, size, second := secondOpinion(b)
		if second == nil && n > 0 && h.Source.IsValid() && (src != h.Source || dst != h.Destination || size != n) {
			t.Fatalf("%v to %v in %d bytes; another reads %v to %v in %d", h.Source, h.Destination, n, src, dst, size)
		}
		if second != nil && n > 0 && h.Source.IsValid() {
			t.Fatalf("%q is read as %+v; another says %v", b[:n], h, second)
		}
	})
}

// whole checks a header that was accepted.
func whole(t *testing.T, b []byte, h Header) {
	t.Helper()
	if len(b) > MaxSize || h.Version != proxy.ProxyV1 && h.Version != proxy.ProxyV2 {
		t.Fatalf("%+v of %d bytes", h, len(b))
	}
	for _, i := range []int{len(b) - 1, len(b) / 2, 1} {
		if _, n, err := Parse(b[:i]); n != 0 || err != nil {
			t.Fatalf("of the first %d bytes of %q: %d, %v", i, b, n, err)
		}
	}
	if h.Source.IsValid() != h.Destination.IsValid() {
		t.Fatalf("one side alone: %+v", h)
	}
	again := Append(nil, h.Version, h.Source, h.Destination)
	if got, n, err := Parse(again); err != nil || n != len(again) || got != h {
		t.Fatalf("%+v is written as %q, and read as %+v, %v", h, again, got, err)
	}
}

func TestAnotherReadsWhatIsWritten(t *testing.T) {
	for _, addrs := range [][2]string{
		{"192.0.2.1:56324", "198.51.100.2:443"}, {"[2001:db8::1]:1", "[2001:db8::2]:65535"}, {"255.255.255.255:0", "0.0.0.0:1"},
	} {
		for _, v := range []proxy.ProxyVersion{proxy.ProxyV1, proxy.ProxyV2} {
			b := Append(nil, v, ap(addrs[0]), ap(addrs[1]))
			src, dst, size, err := secondOpinion(append(b, "data"...))
			if err != nil || src != ap(addrs[0]) || dst != ap(addrs[1]) || size != len(b) {
				t.Errorf("%q: another reads %v to %v in %d bytes, %v", b, src, dst, size, err)
			}
		}
	}
}

func TestAnotherIsReadAsItMeantIt(t *testing.T) {
	src, dst := ap("192.0.2.1:56324"), ap("198.51.100.2:443")
	for _, v := range []byte{1, 2} {
		h := second.HeaderProxyFromAddrs(v, net.TCPAddrFromAddrPort(src), net.TCPAddrFromAddrPort(dst))
		if v == 2 {
			if err := h.SetTLVs([]second.TLV{{Type: second.PP2_TYPE_AUTHORITY, Value: []byte("example.org")}, {Type: second.PP2_TYPE_UNIQUE_ID, Value: []byte("id")}}); err != nil {
				t.Fatal(err)
			}
		}
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		got, n, err := Parse(b)
		if err != nil || n != len(b) || got.Source != src || got.Destination != dst {
			t.Errorf("%q: %+v, %d, %v", b, got, n, err)
		}
	}
}
