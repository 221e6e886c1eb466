package vrrp

import (
	"net/netip"
	"time"
)

// Output is what an event asks of the driver. Its zero value asks for nothing.
type Output struct {
	// Send lists advertisements to send, in order, BEFORE anything else is
	// done: peers wait for them, and an election is settled by them. They share
	// memory with the Router and are not to be changed.
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
	Priority uint8 // effective, at the change
	// Peer is the router that was last heard to be Active, with its priority;
	// invalid and 0 when none was.
	Peer         netip.Addr
	PeerPriority uint8
}

// Leave says how a virtual router is shut down.
type Leave struct {
	Reason Reason // why, for the operator; may be empty

	// Linger lets an Active router keep the addresses, after it resigned, until
	// a successor has been heard, and for this long at most: the move is made
	// before the old owner breaks. With 0 it lets go at once.
	Linger time.Duration
}
