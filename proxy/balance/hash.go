package balance

import "net/netip"

// Hash returns a hash of b that is the same on all nodes and for ever: what it is for is
// to tell requests apart, not to withstand who looks for collisions.
func Hash(b []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bits
	h := uint64(offset)
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return mix(h)
}

// HashClient returns the hash of a client's address, the same for every protocol: the
// connections and the datagrams of a client meet at one server.
func HashClient(a netip.Addr) uint64 {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return Hash(b[:])
	}
	b := a.As16()
	return Hash(b[:])
}

// mix is a permutation that spreads each bit over all (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
