package vrrp

import (
	"net/netip"
	"time"
)

// Status is a snapshot of a virtual router.
type Status struct {
	Role     Role
	Priority uint8     // effective
	Since    time.Time // when Role was entered
	Reason   Reason    // why Role was entered
	// Peer is the router that was last heard to be Active, with its priority;
	// invalid and 0 when none was.
	Peer         netip.Addr
	PeerPriority uint8
	PeerHeard    time.Time     // when Peer's newest advertisement was judged
	Interval     time.Duration // Active_Adver_Interval: the Active router's, learned from it
	Counters     Counters
}
