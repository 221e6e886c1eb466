package vrrp

import (
	"net/netip"
	"slices"
)

// Accept judges a packet by the rules of RFC 9568, section 7.1, or RFC 3768,
// section 7.1, and counts the verdict. An advertisement that it returns is to be
// passed to Receive; an error is a *DropError, and the packet has changed nothing
// but a counter and Status.LastDrop. The Advert shares memory with the Router and
// is not to be changed.
//
// In version 3 a list of addresses or an interval that differs from the Router's
// is counted and accepted: to ignore the Active router because the configurations
// have drifted apart would make two of them. So is an IPv6 list that does not
// begin with a link-local address, which RFC 9568 asks for but does not say to
// refuse (erratum 8300 would): it does no harm here. Version 2 demands the drop.
func (r *Router) Accept(p Packet) (Advert, error) {
	p.Source = p.Source.WithZone("")
	var from peer
	a, err := r.judge(&p, &from)
	if err != nil {
		r.status.LastDrop = DropOf(err)
		r.status.Counters.drop(r.status.LastDrop)
		return Advert{}, err
	}
	r.count(&a, &from)
	r.peers.remember(&from)
	return a, nil
}

// judge returns what an acceptable packet says, and fills in what there is to
// remember of its sender.
func (r *Router) judge(p *Packet, from *peer) (Advert, error) {
	if err := r.judgeHeader(p); err != nil {
		return Advert{}, err
	}
	if vrid, ok := PeekVRID(p.Payload); ok && vrid != r.params.VRID {
		return Advert{}, dropf(DropVRID, "VRID %d from %s at virtual router %d", vrid, p.Source, r.params.VRID)
	}
	a, form, err := parseFixed(p.Payload, p.Header)
	if err != nil {
		return Advert{}, err
	}
	if a.Version != r.params.Version {
		return Advert{}, dropf(DropVersion, "version %d from %s: set the peer to version %d, or this virtual router to %d",
			a.Version, p.Source, r.params.Version, a.Version)
	}
	from.PeerStatus = PeerStatus{
		Address: p.Source, Version: a.Version, Priority: a.Priority, Interval: a.Interval, Checksum: form,
	}
	from.addresses, from.AddressesDiffer = r.readAddresses(p)
	a.Addresses = from.addresses
	if a.Version == version2 {
		err = r.judgeVersion2(&a, from)
	}
	return a, err
}

func (r *Router) judgeHeader(p *Packet) error {
	switch {
	case p.Source.BitLen() != r.params.Self.BitLen():
		return dropf(DropFamily, "packet from %q at a virtual router of %q", p.Source, r.params.Self)
	case p.Source == r.params.Self:
		// Our own packets come back over a bridge with a loop, or from a clone of
		// this machine. Taken for a peer's, they would be answered for ever.
		return dropf(DropOwn, "packet from this node's own address %s", p.Source)
	case len(r.params.Peers) > 0 && !slices.Contains(r.params.Peers, p.Source):
		return dropf(DropUnknownPeer, "packet from %s, which is none of the peers %v", p.Source, r.params.Peers)
	case p.TTL != 255:
		return dropf(DropTTL, "TTL %d from %s: below 255 it was forwarded by a router", p.TTL, p.Source)
	}
	return nil
}

// readAddresses returns the addresses of a well-formed packet, and whether they
// are others than the Router's. A list that is known already is not made anew.
func (r *Router) readAddresses(p *Packet) ([]netip.Addr, bool) {
	b, size := addressesOf(p.Payload, p.Header), addrSize(p.Header)
	if spells(b, size, r.params.Addresses) {
		return r.params.Addresses, false
	}
	if known := r.peers.find(p.Source); known != nil && spells(b, size, known.addresses) {
		return known.addresses, known.AddressesDiffer
	}
	read := parseAddresses(b, size)
	return read, !sameAddresses(read, r.params.Addresses)
}

// judgeVersion2 applies what RFC 3768, section 7.1, asks beyond RFC 9568.
func (r *Router) judgeVersion2(a *Advert, from *peer) error {
	switch {
	case a.Interval != r.params.Interval:
		return dropf(DropIntervalMismatch, "interval %v from %s where this virtual router has %v: version 2 wants them equal",
			a.Interval, from.Address, r.params.Interval)
	case from.AddressesDiffer && a.Priority != priorityOwner:
		return dropf(DropAddresses, "addresses %v from %s where this virtual router has %v: version 2 wants them equal",
			a.Addresses, from.Address, r.params.Addresses)
	}
	return nil
}

// count counts an accepted advertisement.
func (r *Router) count(a *Advert, from *peer) {
	c := &r.status.Counters
	c.Received++
	if a.Priority == priorityResigned {
		c.ReceivedZero++
	}
	if a.Interval != r.params.Interval {
		c.IntervalMismatch++
	}
	if from.AddressesDiffer {
		c.AddressMismatch++
	}
	if r.params.Checksum != ChecksumAuto && from.Checksum != r.ChecksumFor(from.Address) {
		c.ChecksumVariant++
	}
	if first := a.Addresses[0]; first.Is6() && !first.IsLinkLocalUnicast() {
		c.NotLinkLocalFirst++
	}
}

// sameAddresses reports whether both lists hold the same addresses, in any
// order. Want has no duplicates.
func sameAddresses(got, want []netip.Addr) bool {
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
