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
	// NewActiveReason is why the Router last became Active, also after it ceased
	// to be: vrrpv3StatisticsNewMasterReason of RFC 6527.
	NewActiveReason NewActiveReason
	// Due means that this Backup would be Active by itself, and waits for the
	// other routers of its Group.
	Due bool
	// Peer is the router that was last heard to be Active, with its priority;
	// invalid and 0 when none was.
	Peer         netip.Addr
	PeerPriority uint8
	PeerHeard    time.Time     // when Peer's newest advertisement was judged
	Interval     time.Duration // Active_Adver_Interval: the Active router's, learned from it
	Peers        []PeerStatus  `json:",omitempty"` // the routers heard last, 8 at most, by address
	Facts        Facts
	// Slept is for how long the Router was not run when it last assumed to have
	// lost for that reason (Tick); 0: never.
	Slept    time.Duration
	LastDrop Drop // why the newest dropped packet was: vrrpv3StatisticsProtoErrReason of RFC 6527
	Counters Counters
}
