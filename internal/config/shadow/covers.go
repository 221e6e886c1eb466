// Package shadow finds the routes of a listener that no request reaches, since an
// earlier one takes everything that they match.
//
// It compares routes one with one. Where several together leave nothing over for
// another it says nothing: such a route costs nothing, and to find it takes time that
// grows without bound.
package shadow

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// Covers reports whether every request that b matches is one that a matches. A
// regular expression is taken to match the paths of an equal one alone: in this it may
// report false where true is right.
func Covers(a, b *proxy.Match) bool {
	return each(a.Methods, b.Methods, func(x, y string) bool { return x == y }) &&
		each(a.Hosts, b.Hosts, coversHost) &&
		each(a.Paths, b.Paths, coversPath) &&
		implied(a.Headers, b.Headers) && implied(a.Cookies, b.Cookies) && implied(a.Queries, b.Queries) &&
		coverClients(a.Clients, b.Clients)
}

// each reports whether each of the alternatives b is covered by one of a. None at all
// stands for everything, which no number of alternatives adds up to.
func each[T any](a, b []T, covers func(x, y T) bool) bool {
	if len(a) == 0 {
		return true
	}
	for _, y := range b {
		if !slices.ContainsFunc(a, func(x T) bool { return covers(x, y) }) {
			return false
		}
	}
	return len(b) > 0
}

// coversHost reports whether x, a name or a wildcard, stands for all that y does.
func coversHost(x, y string) bool {
	if below, wildcard := strings.CutPrefix(x, "*"); wildcard {
		return strings.HasSuffix(y, below) // be y a name or another wildcard
	}
	return x == y
}

func coversPath(x, y proxy.PathMatch) bool {
	switch x.Kind {
	case proxy.PathPrefix:
		return y.Kind != proxy.PathRegex && hasPrefix(y.Value, x.Value)
	default:
		return x == y
	}
}

// hasPrefix reports whether path begins with the segments of prefix.
func hasPrefix(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || prefix == "/")
}

// implied reports whether who fulfils all conditions of b fulfils all of a.
func implied(a, b []proxy.ValueMatch) bool {
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y proxy.ValueMatch) bool {
			return x.Name == y.Name && (x.Any || !y.Any && x.Value == y.Value)
		}) {
			return false
		}
	}
	return true
}

// coverClients reports whether the networks of a together hold those of b. None at all
// stands for every address of both families.
func coverClients(a, b []netip.Prefix) bool {
	if len(a) == 0 {
		return true
	}
	if len(b) == 0 {
		b = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	for _, p := range b {
		if !coverNetwork(a, p) {
			return false
		}
	}
	return true
}

// coverNetwork reports whether the networks of a together hold p. It looks into the
// halves of p as long as some network lies in one.
func coverNetwork(a []netip.Prefix, p netip.Prefix) bool {
	within := false
	for _, n := range a {
		switch {
		case n.Bits() <= p.Bits() && n.Contains(p.Addr()):
			return true
		case p.Contains(n.Addr()):
			within = true
		}
	}
	if !within {
		return false
	}
	low, high := halves(p)
	return coverNetwork(a, low) && coverNetwork(a, high)
}

// halves returns the two networks that make up p, which is no single address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	upper, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(p.Addr(), p.Bits()+1), netip.PrefixFrom(upper, p.Bits()+1)
}
