package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
)

// parseAddr parses an IP address. IPv4 in IPv6 clothes is IPv4.
func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	switch {
	case err == nil && addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone: link-local addresses are not supported", s)
	case err == nil:
		return addr.Unmap(), nil
	case strings.ContainsRune(s, '/'):
		return netip.Addr{}, fmt.Errorf("%q is not an IP address: leave out the prefix length", s)
	case strings.Trim(s, "0123456789.") == "" || strings.ContainsRune(s, ':'):
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	default:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address: host names are not supported yet", s)
	}
}

// parseAddrPort parses ADDRESS:PORT. Without address it is the unspecified
// address of IPv6.
func parseAddrPort(s string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, missingPort(s)
	}
	port, ok := decimal(service, 1, math.MaxUint16)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("port %q of %q is not a number from 1 to 65535", service, s)
	}
	addr := netip.IPv6Unspecified()
	switch host {
	case "":
	case "*":
		return netip.AddrPort{}, fmt.Errorf("%q is not an address: write %q for every address", s, ":"+service)
	default:
		if addr, err = parseAddr(host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	if addr.IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("%q is a multicast address", s)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// missingPort says how s, which net.SplitHostPort refused, should be written.
func missingPort(s string) error {
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	switch {
	case err == nil:
		return fmt.Errorf("%q has no port: write %q", s, netip.AddrPortFrom(addr.Unmap(), 80))
	case strings.Contains(s, "://"):
		return fmt.Errorf("%q is a URL: write its address and port alone, such as 192.0.2.21:8080", s)
	case strings.Count(s, ":") > 1:
		return fmt.Errorf("%q is not an address and port: write an IPv6 address in brackets, such as \"[2001:db8::1]:80\"", s)
	default:
		return fmt.Errorf("%q is not an address and port such as 192.0.2.21:8080", s)
	}
}

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
	bits, ok := decimal(length, 1, addr.BitLen())
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

// addr returns the address of f, which is what.
func (d *decoder) addr(f field, what string) netip.Addr {
	got, ok := d.text(f, what)
	if !ok {
		return netip.Addr{}
	}
	addr, err := parseAddr(got)
	if err == nil && (addr.IsUnspecified() || addr.IsMulticast()) {
		err = fmt.Errorf("%q is not the address of a host", got)
	}
	if err != nil {
		d.invalid(f, "%s", err)
		return netip.Addr{}
	}
	return addr
}

// bind returns the address of f to listen on.
func (d *decoder) bind(f field) (netip.AddrPort, bool) {
	got, ok := d.text(f, `an address and port such as ":80"`)
	if !ok {
		return netip.AddrPort{}, false
	}
	if isNumber(got) {
		d.invalid(f, "%s is a port alone: write %q to listen on every address", got, ":"+got)
		return netip.AddrPort{}, false
	}
	addr, err := parseAddrPort(got)
	if err != nil {
		d.invalid(f, "%s", err)
	}
	return addr, err == nil
}

// destination returns the address of f to connect to.
func (d *decoder) destination(f field) (netip.AddrPort, bool) {
	got, ok := d.text(f, "an address and port such as 192.0.2.21:8080")
	if !ok {
		return netip.AddrPort{}, false
	}
	addr, err := parseAddrPort(got)
	if err == nil && addr.Addr().IsUnspecified() {
		err = fmt.Errorf("%q names no host: a server needs an address such as 192.0.2.21:%d", got, addr.Port())
	}
	if err != nil {
		d.invalid(f, "%s", err)
	}
	return addr, err == nil
}
