package vrrp

import (
	"net/netip"
	"time"
)

// Role is the state of a virtual router on this node (RFC 9568, section 6.3).
type Role uint8

// The three states of RFC 9568.
const (
	Init   Role = iota // takes no part in the election
	Backup             // listens for the Active router
	Active             // owns the addresses and advertises
)

// Params configures one virtual router: one VRID, on one interface, of one
// address family.
type Params struct {
	VRID      uint8         // 1..255
	Priority  uint8         // 1..254; 255 when this node owns an address (RFC 9568, section 5.2.4)
	Preempt   bool          // whether to take over from an Active router of lower priority
	Interval  time.Duration // between advertisements: 10 ms..40.95 s, in steps of 10 ms
	Addresses []netip.Addr  // the virtual addresses, in configured order, all of one family
	Self      netip.Addr    // primary address of the interface: source of adverts, breaks ties
}

// A Reason says in a few words why a virtual router changed its role.
type Reason string
