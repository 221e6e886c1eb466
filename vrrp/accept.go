package vrrp

import (
	"net/netip"
	"slices"
)

// Accept judges a packet by the rules of RFC 9568, section 7.1, and counts the
// verdict. An advertisement that it returns is to be passed to Receive; an error
// is a *DropError, and the packet has changed nothing but a counter.
//
// A list of addresses or an interval that differs from the Router's is counted
// and accepted: to ignore the Active router because the configurations have
// drifted apart would make two of them.
func (r *Router) Accept(p Packet) (Advert, error) {
	c := &r.status.Counters
	a, form, err := r.judge(p)
	if err != nil {
		c.drop(DropOf(err))
		return Advert{}, err
	}
	r.checksum = form
	c.Received++
	if a.Priority == priorityResigned {
		c.ReceivedZero++
	}
	if a.Interval != r.params.Interval {
		c.IntervalMismatch++
	}
	if !sameAddresses(a.Addresses, r.params.Addresses) {
		c.AddressMismatch++
	}
	return a, nil
}

func (r *Router) judge(p Packet) (Advert, ChecksumForm, error) {
	if p.Source.BitLen() != r.params.Self.BitLen() {
		return Advert{}, 0, dropf(DropFamily, "packet from %q at a virtual router of %q", p.Source, r.params.Self)
	}
	// Our own packets come back over a bridge with a loop, or from a clone of
	// this machine. Taken for a peer's, they would be answered for ever.
	if p.Source.WithZone("") == r.params.Self {
		return Advert{}, 0, dropf(DropOwn, "packet from this node's own address %s", p.Source)
	}
	if p.TTL != 255 {
		return Advert{}, 0, dropf(DropTTL, "TTL %d from %s: below 255 it was forwarded by a router", p.TTL, p.Source)
	}
	if vrid, ok := PeekVRID(p.Payload); ok && vrid != r.params.VRID {
		return Advert{}, 0, dropf(DropVRID, "VRID %d from %s at virtual router %d", vrid, p.Source, r.params.VRID)
	}
	a, form, err := ParseAdvert(p.Payload, p.Header)
	if err != nil {
		return Advert{}, 0, err
	}
	if a.Version != version3 {
		return Advert{}, 0, dropf(DropVersion, "version %d from %s: set the peer to version %d",
			a.Version, p.Source, version3)
	}
	return a, form, nil
}

// sameAddresses reports whether both lists hold the same addresses, in any
// order. Want has no duplicates.
func sameAddresses(got, want []netip.Addr) bool {
	if slices.Equal(got, want) {
		return true
	}
	if len(got) != len(want) {
		return false
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			return false
		}
	}
	return true
}
