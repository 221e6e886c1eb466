package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// A Reason says in a few words why a virtual router changed its role.
//
// The ways to become Active map to vrrpv3StatisticsNewMasterReason of RFC 6527:
// owning the address and the Active router's resignation are priority(1), taking
// over from a lower priority is preempted(2), silence and the death of its process are masterNoResponse(3).
type Reason string

// The reasons that are the same whenever they apply.
const (
	reasonStarted  Reason = "started"
	reasonOwner    Reason = "this node owns the address"
	reasonResigned Reason = "the Active router resigned (priority 0)"
)

func reasonSilence(d time.Duration) Reason {
	return Reason(fmt.Sprintf("no advertisement from the Active router for %v", d.Round(time.Millisecond)))
}

func reasonDied(peer netip.Addr, evidence string) Reason {
	return Reason(fmt.Sprintf("the process of the Active router %s died: %s", peer, evidence))
}

func reasonPreempting(peer netip.Addr, priority uint8) Reason {
	return Reason(fmt.Sprintf("took over from lower priority %d of %s", priority, peer))
}

func reasonOutranked(peer netip.Addr, priority uint8) Reason {
	return Reason(fmt.Sprintf("higher priority %d from %s", priority, peer))
}

func reasonTie(peer netip.Addr, priority uint8) Reason {
	return Reason(fmt.Sprintf("equal priority %d from %s, the higher address", priority, peer))
}

func reasonStalled(d time.Duration) Reason {
	return Reason(fmt.Sprintf("stalled for %v", d.Round(time.Millisecond)))
}

func reasonShutdown(why Reason) Reason {
	if why == "" {
		return "shutdown"
	}
	return "shutdown: " + why
}
