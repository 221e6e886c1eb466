package vrrp

import (
	"net/netip"
	"time"
)

// Output is what an event asks of the driver. Its zero value asks for nothing.
type Output struct {
	// Send is what to send to all of Router.Destinations, BEFORE anything else
	// is done: peers wait for it, and an election is settled by it. It is one
	// advertisement or none. The slice and what it holds belong to the Router:
	// they are not to be changed, and good until its next event.
	Send []Advert

	// Change is a change of role to act on and to publish, or nil. Whether the
	// addresses are to be held is for Router.Holds to say.
	Change *Change

	// Announce asks for the addresses to be announced to the link (gratuitous
	// ARP, unsolicited neighbour advertisements) AFTER they are held. It can be
	// set often in a short time; the driver makes one announcement of several
	// that come close together.
	Announce bool
}

// Change is a change of role.
type Change struct {
	At       time.Time
	From, To Role
	Reason   Reason
	// NewActive classes the Reason of a change to Active; else it is NotActive.
	NewActive NewActiveReason
	Priority  uint8 // effective, at the change
	// Peer is the router that was last heard to be Active, with its priority;
	// invalid and 0 when none was.
	Peer         netip.Addr
	PeerPriority uint8
	Facts        Facts // what was known beside the advertisements
}

// Leave says how a virtual router is shut down.
type Leave struct {
	Reason Reason // why, for the operator; may be empty

	// Linger lets an Active router keep the addresses, after it resigned, until
	// a successor has been heard, and for this long at most: the move is made
	// before the old owner breaks. With 0 it lets go at once.
	Linger time.Duration
}
