package syntax_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// checkIPv6 compares the addresses that are accepted with netip's.
func checkIPv6(t *testing.T, in string) {
	t.Helper()
	if strings.Contains(in, "%") {
		return // a zone, which no URI has
	}
	addr, err := netip.ParseAddr(in)
	want := err == nil && addr.Is6()
	if got := syntax.ValidIPv6([]byte(in)); got != want {
		t.Errorf("ValidIPv6(%q) is %v, but netip says %v, %v", in, got, addr, err)
	}
}

func FuzzIPv6(f *testing.F) {
	for _, in := range []string{"::1", "::", "1::", ":::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "::1.2.3.256", "fe80::1", "12345::", "", "1"} {
		f.Add(in)
	}
	f.Fuzz(checkIPv6)
}

func TestShortAddressesAreThoseOfNetip(t *testing.T) {
	// All words of up to six parts.
	parts := []string{"1", ":", "::", "abcd", "1.2.3.4"}
	words := []string{""}
	for range 6 {
		for _, w := range words[:len(words):len(words)] {
			for _, p := range parts {
				if len(w)+len(p) < 24 {
					checkIPv6(t, w+p)
				}
			}
		}
		var longer []string
		for _, w := range words {
			for _, p := range parts {
				longer = append(longer, w+p)
			}
		}
		words = longer
	}
	for n := range 10 {
		for at := range n + 1 {
			groups := strings.Repeat("1:", n)
			checkIPv6(t, strings.TrimSuffix(groups, ":"))
			checkIPv6(t, groups[:2*at]+":"+strings.TrimSuffix(groups[2*at:], ":"))
			checkIPv6(t, strings.TrimSuffix(":"+groups[:2*at]+":"+groups[2*at:], ":"))
			checkIPv6(t, groups+"1.2.3.4")
			checkIPv6(t, groups[:2*at]+":"+groups[2*at:]+"1.2.3.4")
		}
	}
}
