package agent

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/vrrp"
)

// Host is what the agent needs of the machine it runs on. The functions of the
// real one are in kernel.go; tests bring their own.
type Host struct {
	// Listen opens a VRRP socket.
	Listen func(SocketOptions) (Socket, error)
	// DialAnnouncer opens what announces addresses on a link.
	DialAnnouncer func(LinkOptions) (Announcer, error)
	// WatchPeer returns a watch over the peer's process, which Run starts.
	WatchPeer func(notice.Options) PeerWatch
	// Sweep removes the addresses that an earlier process of ours left behind. One
	// that is not ours, because it has no lease, is an error.
	Sweep func([]netip.Prefix) (removed []string, err error)
	// Addresses sets and removes addresses. Only one goroutine uses it.
	Addresses Addresses
	// Macvlans makes the interfaces of virtual MAC addresses. Only the goroutine
	// that uses Addresses uses it.
	Macvlans Macvlans
	// WatchAddresses calls gone for each address that disappears from an
	// interface, whoever removed it, until ctx is done.
	WatchAddresses func(ctx context.Context, gone func(ifname string, p netip.Prefix)) error
	// WatchLinks calls changed with the state of each interface, first as it is
	// and then whenever it changes, until ctx is done.
	WatchLinks func(ctx context.Context, changed func(Link)) error
	// WatchGateway asks the gateway for its MAC address, again and again, and
	// calls changed when it ceases to answer and when it answers again.
	WatchGateway func(ctx context.Context, o GatewayOptions, changed func(alive bool)) error
	// WatchClaims calls claimed whenever another host says on the link that it has
	// one of the addresses.
	WatchClaims func(ctx context.Context, o ClaimOptions, claimed func(Claim)) error
}

// MAC is an Ethernet address; the zero value stands for that of the interface.
type MAC [6]byte

// String returns the address in the usual form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// virtualMAC returns the MAC address of a virtual router (RFC 9568, section 7.3).
func virtualMAC(p vrrp.Params) MAC {
	family := byte(1)
	if p.Self.Is6() {
		family = 2
	}
	return MAC{0, 0, 0x5e, 0, family, p.VRID}
}

// SocketOptions says which packets a VRRP socket receives and how it sends.
type SocketOptions struct {
	Interface string
	Self      netip.Addr // source of what is sent; its family is the socket's
	Virtual   MAC        // source of the frames
	Unicast   bool       // no group is joined
}

// LinkOptions says where, and as whom, addresses are announced.
type LinkOptions struct {
	Interface string
	Virtual   MAC
}

// GatewayOptions says which gateway is watched.
type GatewayOptions struct {
	Interface     string
	Self, Gateway netip.Addr
}

// ClaimOptions says which addresses are watched.
type ClaimOptions struct {
	Interface string
	Addresses []netip.Addr
	Virtual   MAC // frames from it are no claim of another
}

// Claim says that another host has an address.
type Claim struct {
	Address netip.Addr
	MAC     MAC
}

// Link is the state of an interface.
type Link struct {
	Name  string
	Up    bool
	Index int // another index: another interface has taken the name
}

// PeerWatch tells that the peer's process has died; see notice.Session.
type PeerWatch interface {
	Run(ctx context.Context) error
	Events() <-chan notice.Event
	Contradicted(now time.Time)
	Goodbye(reason string)
}

// Socket sends and receives VRRP packets on one interface.
type Socket interface {
	// Wait blocks until a packet can be read; it does not read it. After Close
	// it returns an error.
	Wait() error
	// TryRead reads one packet into b, which it may alias; ok is false when none
	// is there. It never blocks. A *vrrp.DropError is about the packet alone.
	TryRead(b []byte) (p vrrp.Packet, ok bool, err error)
	// Send sends a VRRP message to a router or to the group. It never blocks.
	Send(payload []byte, to netip.Addr) error
	Close() error
}

// Addresses are the addresses of the host's interfaces.
type Addresses interface {
	// Hold adds the address or renews its lease; added reports whether it was
	// not there before.
	Hold(ifname string, p netip.Prefix, lease time.Duration) (added bool, err error)
	// Release removes the address. It is no error when it is not there.
	Release(ifname string, p netip.Prefix) error
}

// Macvlans are the interfaces that have the MAC address of a virtual router.
type Macvlans interface {
	// Prepare makes the interface, which is down and silent, and returns its name.
	Prepare(parent string, vrid uint8, ipv6 bool) (ifname string, err error)
	// SetUp lets it receive, or silences it.
	SetUp(parent string, vrid uint8, ipv6, up bool) error
	// Remove removes it.
	Remove(parent string, vrid uint8, ipv6 bool) error
	// Sweep removes those that an earlier process of ours left behind.
	Sweep() (removed []string, err error)
}

// Announcer tells the neighbours on a link that this host has an address.
type Announcer interface {
	Announce(addr netip.Addr) error
	// Probe asks who else has the address.
	Probe(addr netip.Addr) error
	Close() error
}
