package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// A Reason says in a few words why a virtual router changed its role.
type Reason string

// NewActiveReason classes the reasons to become Active as
// vrrpv3StatisticsNewMasterReason of RFC 6527 does.
type NewActiveReason uint8

// The classes, with the values of RFC 6527.
const (
	NotActive    NewActiveReason = iota // never was
	ByPriority                          // the owner of the address, or the best when the Active router resigned
	ByPreemption                        // took over from a lower priority
	NoResponse                          // the Active router was silent, or its process died
)

// String returns the name of the class in RFC 6527, in the words of RFC 9568.
func (n NewActiveReason) String() string {
	switch n {
	case NotActive:
		return "notActive"
	case ByPriority:
		return "priority"
	case ByPreemption:
		return "preempted"
	case NoResponse:
		return "noResponse"
	}
	return fmt.Sprintf("new active reason %d", uint8(n))
}

// MarshalText returns what String returns.
func (n NewActiveReason) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText accepts what MarshalText returns for the four classes.
func (n *NewActiveReason) UnmarshalText(text []byte) error {
	return unmarshalName(n, text, "new active reason", []NewActiveReason{NotActive, ByPriority, ByPreemption, NoResponse})
}

// A claim is why a Backup becomes Active.
type claim struct {
	why   Reason
	class NewActiveReason
	doubt bool // silence is all there is to go by
}

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

func reasonGroup(cause *Router) Reason {
	family := "IPv4"
	if cause.params.Self.Is6() {
		family = "IPv6"
	}
	s := cause.status
	text := fmt.Sprintf("virtual router %d (%s) of its group is %v", cause.params.VRID, family, s.Role)
	if s.Reason != "" {
		text += ": " + string(s.Reason)
	}
	return Reason(text)
}

func reasonShutdown(why Reason) Reason {
	if why == "" {
		return "shutdown"
	}
	return "shutdown: " + why
}
