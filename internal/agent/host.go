package agent

import (
	"context"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/notice"
)

// Host is what the agent needs of the machine it runs on. The functions of the
// real one are in kernel.go; tests bring their own.
type Host struct {
	// Listen opens a VRRP socket on an interface that has the address self.
	Listen func(ifname string, self netip.Addr) (Socket, error)
	// DialARP opens what announces addresses on an interface.
	DialARP func(ifname string) (Announcer, error)
	// WatchPeer returns a watch over the peer's process, which Run starts.
	WatchPeer func(notice.Options) PeerWatch
	// Sweep removes the addresses that an earlier process of ours left behind. One
	// that is not ours, because it has no lease, is an error.
	Sweep func([]netip.Prefix) (removed []string, err error)
	// Addresses sets and removes addresses. Only one goroutine uses it.
	Addresses Addresses
	// WatchAddresses calls gone for each address that disappears from an
	// interface, whoever removed it, until ctx is done.
	WatchAddresses func(ctx context.Context, gone func(ifname string, p netip.Prefix)) error
	// WatchLinks calls changed with the state of each interface, first as it is
	// and then whenever it changes, until ctx is done.
	WatchLinks func(ctx context.Context, changed func(Link)) error
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
	// TryRead reads one packet with its IP header; ok is false when none is
	// there. It never blocks.
	TryRead(b []byte) (n int, ok bool, err error)
	// Send sends a VRRP message to the group. It never blocks.
	Send(payload []byte) error
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

// Announcer tells the neighbours on a link that this host has an address.
type Announcer interface {
	Announce(addr netip.Addr) error
	Close() error
}
