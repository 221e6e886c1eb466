package agent

import (
	"context"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

// Host is what the agent needs of the machine it runs on. The functions of the
// real one are in kernel.go; tests bring their own.
type Host struct {
	// NewWaiter returns what the heartbeat waits with.
	NewWaiter func() (Waiter, error)
	// Listen opens a VRRP socket.
	Listen func(SocketOptions) (Socket, error)
	// WatchPeer returns a watch over the peer's process, which Run starts.
	WatchPeer func(notice.Options) PeerWatch
	// Owner is for the addresses.
	Owner ownership.Host
	// WatchAddresses calls gone for each address that disappears from an
	// interface, whoever removed it, until ctx is done.
	WatchAddresses func(ctx context.Context, gone func(ifname string, p netip.Prefix)) error
	// WatchLinks calls changed with the state of each interface, first as it is
	// and then whenever it changes, until ctx is done.
	WatchLinks func(ctx context.Context, changed func(Link)) error
	// WatchGateway asks the gateway for its ownership.MAC address, again and again, and
	// calls changed when it ceases to answer and when it answers again.
	WatchGateway func(ctx context.Context, o GatewayOptions, changed func(alive bool)) error
	// WatchClaims calls claimed whenever another host says on the link that it has
	// one of the addresses.
	WatchClaims func(ctx context.Context, o ClaimOptions, claimed func(Claim)) error
}

// Waiter waits for a deadline, for sockets and for others; see await.Waiter.
type Waiter interface {
	Wait(deadline time.Time) error
	Wake()
	Add(Socket) error
	Remove(Socket) error
	Close() error
}

// SocketOptions says which packets a VRRP socket receives and how it sends.
type SocketOptions struct {
	Interface string
	Self      netip.Addr    // source of what is sent; its family is the socket's
	Virtual   ownership.MAC // source of the frames
	Unicast   bool          // no group is joined
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
	Virtual   ownership.MAC // frames from it are no claim of another
}

// Claim says that another host has an address.
type Claim struct {
	Address netip.Addr
	MAC     ownership.MAC
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
	// TryRead reads one packet into b, which it may alias; ok is false when none
	// is there. It never blocks. A *vrrp.DropError is about the packet alone.
	TryRead(b []byte) (p vrrp.Packet, ok bool, err error)
	// Send sends a VRRP message to a router or to the group. It never blocks.
	Send(payload []byte, to netip.Addr) error
	Close() error
}
