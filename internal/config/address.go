package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tandemlb/tandem/internal/config/notation"
)

// parseVIP parses a virtual address with its prefix length.
func parseVIP(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		bits := 24
		if addr.Is6() {
			bits = 64
		}
		return netip.Prefix{}, fmt.Errorf("%q has no prefix length: write it as on the interface, such as %s/%d", s, s, bits)
	}
	address, length, _ := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address with prefix length, such as 192.0.2.100/24 or 2001:db8::100/64", s)
	}
	switch {
	case addr.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("%q has a zone: name the interface with its own key", s)
	case addr.Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 address in IPv6 clothes: write %s", s, addr.Unmap())
	}
	bits, ok := notation.Decimal(length, 1, addr.BitLen())
	if !ok {
		return netip.Prefix{}, fmt.Errorf("prefix length %q of %q is not a number from 1 to %d", length, s, addr.BitLen())
	}
	prefix := netip.PrefixFrom(addr, bits)
	return prefix, judgeVIP(prefix)
}

// judgeVIP says why p cannot be an address that several hosts take in turn.
func judgeVIP(p netip.Prefix) error {
	addr := p.Addr()
	switch {
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is not an address that hosts can share", addr)
	case p.Bits() < addr.BitLen()-1 && addr == p.Masked().Addr():
		// Of IPv6 it is the anycast address of the routers (RFC 4291, section 2.6.1).
		return fmt.Errorf("%s is the network, not a host in it", p)
	case addr.Is4() && p.Bits() < 31 && addr == broadcast(p):
		return fmt.Errorf("%s is the broadcast address of its network", p)
	}
	return nil
}

// broadcast returns the last address of the IPv4 network p.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
