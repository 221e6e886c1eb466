package notation

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/config/source"
)

// ParseAddr parses an IP address. IPv4 in IPv6 clothes is IPv4.
func ParseAddr(s string) (netip.Addr, error) {
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

// ParseAddrPort parses ADDRESS:PORT. Without address it is the unspecified
// address of IPv6.
func ParseAddrPort(s string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, missingPort(s)
	}
	port, ok := Decimal(service, 1, math.MaxUint16)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("port %q of %q is not a number from 1 to 65535", service, s)
	}
	addr := netip.IPv6Unspecified()
	switch host {
	case "":
	case "*":
		return netip.AddrPort{}, fmt.Errorf("%q is not an address: write %q for every address", s, ":"+service)
	default:
		if addr, err = ParseAddr(host); err != nil {
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

// Addr returns the address of f, which is what.
func (d *Decoder) Addr(f Field, what string) netip.Addr {
	got, ok := d.Text(f, what)
	if !ok {
		return netip.Addr{}
	}
	addr, err := ParseAddr(got)
	if err == nil && (addr.IsUnspecified() || addr.IsMulticast()) {
		err = fmt.Errorf("%q is not the address of a host", got)
	}
	if err != nil {
		d.Invalid(f, "%s", err)
		return netip.Addr{}
	}
	return addr
}

// Bind returns the address of f to listen on.
func (d *Decoder) Bind(f Field) (netip.AddrPort, bool) {
	got, ok := d.Text(f, `an address and port such as ":80"`)
	if !ok {
		return netip.AddrPort{}, false
	}
	if IsNumber(got) {
		d.Invalid(f, "%s is a port alone: write %q to listen on every address", got, ":"+got)
		return netip.AddrPort{}, false
	}
	addr, err := ParseAddrPort(got)
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return addr, err == nil
}

// bound is an address in use, and where the file says so.
type bound struct {
	addr netip.AddrPort
	udp  bool
	at   source.Place
}

// Occupy refuses f when its address cannot be bound beside those before. The ports of
// TCP and of UDP are two sets.
func (d *Decoder) Occupy(f Field, addr netip.AddrPort, udp bool) {
	clash := slices.IndexFunc(d.bound, func(b bound) bool { return b.udp == udp && overlap(b.addr, addr) })
	switch {
	case clash < 0:
	case d.bound[clash].addr == addr:
		d.Invalid(f, "%s is already bound at %s", FormatBind(addr), d.At(d.bound[clash].at))
	default:
		d.Invalid(f, "%s overlaps %s, bound at %s: the kernel gives a port to one of them",
			FormatBind(addr), FormatBind(d.bound[clash].addr), d.At(d.bound[clash].at))
	}
	d.bound = append(d.bound, bound{addr, udp, d.Place(f.Value)})
}

// overlap reports whether a connection could be for both a and b. The
// unspecified address of IPv6 stands for both families.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	covers := func(a, b netip.Addr) bool {
		return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
	}
	return covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr())
}

// Destination returns the address of f to connect to.
func (d *Decoder) Destination(f Field) (netip.AddrPort, bool) {
	got, ok := d.Text(f, "an address and port such as 192.0.2.21:8080")
	if !ok {
		return netip.AddrPort{}, false
	}
	addr, err := ParseAddrPort(got)
	if err == nil && addr.Addr().IsUnspecified() {
		err = fmt.Errorf("%q names no host: a server needs an address such as 192.0.2.21:%d", got, addr.Port())
	}
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return addr, err == nil
}

// Networks returns the networks of f; an address alone is a network of one.
func (d *Decoder) Networks(f Field) []netip.Prefix {
	var all []netip.Prefix
	for _, e := range d.List(f, "network") {
		got, ok := d.Text(e, "a network such as 10.9.0.0/16")
		if !ok {
			continue
		}
		network, err := ParseNetwork(got)
		if err != nil {
			d.Invalid(e, "%s", err)
			continue
		}
		all = append(all, network)
	}
	return all
}

// ParseNetwork parses a network, or an address, which is the network of itself.
func ParseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.9.0.0/16 or 2001:db8::/32", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is a network of IPv4 in IPv6 clothes: write it as IPv4", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is a host in a network: write %q for the network, or %q for the host", s, p.Masked(), p.Addr())
	}
	return p, nil
}

// FormatBind writes an address to listen on.
func FormatBind(a netip.AddrPort) string {
	if a.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", a.Port())
	}
	return a.String()
}
