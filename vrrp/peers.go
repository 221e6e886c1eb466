package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// PeerStatus is what the newest advertisement of another router said that Accept
// has accepted.
type PeerStatus struct {
	Address         netip.Addr // without a zone
	Version         uint8
	Priority        uint8         // 0: it resigned
	Interval        time.Duration // its own
	Checksum        ChecksumForm
	Heard           time.Time // when Receive was told; zero: not yet
	AddressesDiffer bool      // its list of addresses is not ours: the configurations have drifted apart
}

// maxPeers bounds what is remembered. A virtual router has one or two peers; more
// are an accident or an attack.
const maxPeers = 8

// peers are the routers that were heard, the newest first.
type peers []peer

type peer struct {
	PeerStatus
	addresses []netip.Addr // as it lists them
}

// find returns the peer at addr, or nil. It is good until the next remember.
func (ps peers) find(addr netip.Addr) *peer {
	for i := range ps {
		if ps[i].Address == addr {
			return &ps[i]
		}
	}
	return nil
}

// remember puts p in front, in the place of what is known of it, or else of the
// one that was not heard for longest.
func (ps *peers) remember(p *peer) {
	i := slices.IndexFunc(*ps, func(q peer) bool { return q.Address == p.Address })
	switch {
	case i >= 0:
		p.Heard = (*ps)[i].Heard
	case len(*ps) < maxPeers:
		i = len(*ps)
		*ps = append(*ps, peer{})
	default:
		i = maxPeers - 1
	}
	copy((*ps)[1:i+1], (*ps)[:i])
	(*ps)[0] = *p
}

// status returns the peers in the order of their addresses.
func (ps peers) status() []PeerStatus {
	if len(ps) == 0 {
		return nil
	}
	all := make([]PeerStatus, len(ps))
	for i := range ps {
		all[i] = ps[i].PeerStatus
	}
	slices.SortFunc(all, func(a, b PeerStatus) int { return a.Address.Compare(b.Address) })
	return all
}

// The groups that advertisements are sent to (RFC 9568, sections 5.1.1.2 and
// 5.1.2.2).
var (
	GroupIPv4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	GroupIPv6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

// Destinations returns where to send every advertisement: to each of
// Params.Peers, or else to the multicast group of the family. The slice is the
// Router's and not to be changed.
func (r *Router) Destinations() []netip.Addr { return r.destinations }

func (p Params) destinations() []netip.Addr {
	switch {
	case len(p.Peers) > 0:
		return p.Peers
	case p.Self.Is4():
		return []netip.Addr{GroupIPv4}
	}
	return []netip.Addr{GroupIPv6}
}

// ChecksumFor returns the form in which to send an advertisement to one of
// Destinations. Unless Params.Checksum fixes it, it is the form of that peer, or
// for the multicast group that of the peer heard last, since a peer may know one
// form alone. Before any was heard it is the pseudo-header, which the most
// widespread implementations require.
func (r *Router) ChecksumFor(to netip.Addr) ChecksumForm {
	form := PseudoHeader
	switch {
	case r.params.Checksum == ChecksumRFC9568:
		form = MessageOnly
	case r.params.Checksum == ChecksumRFC5798:
	case to.IsMulticast():
		if len(r.peers) > 0 {
			form = r.peers[0].Checksum
		}
	default:
		if p := r.peers.find(to.WithZone("")); p != nil {
			form = p.Checksum
		}
	}
	return formOf(r.params.Version, Header{Source: r.params.Self}, form)
}
