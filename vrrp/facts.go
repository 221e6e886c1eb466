package vrrp

import (
	"fmt"
	"time"
)

// Fact is the answer to a question that somebody else can answer, or not.
type Fact uint8

// The answers.
const (
	Unknown Fact = iota
	Yes
	No
)

// String returns the answer in lower case.
func (f Fact) String() string {
	switch f {
	case Unknown:
		return "unknown"
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return fmt.Sprintf("fact %d", uint8(f))
}

// MarshalText returns what String returns.
func (f Fact) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts what MarshalText returns for the three answers.
func (f *Fact) UnmarshalText(text []byte) error {
	return unmarshalName(f, text, "fact", []Fact{Unknown, Yes, No})
}

// Facts are what is known of the other routers beside their advertisements.
type Facts struct {
	PeerAlive Fact // another channel hears the Active router's node
	Witness   Fact // a third party says that this node may take over
}

// Doubt is the policy for an Active router that is silent without another sign of
// its end: it may be dead, or cut off.
type Doubt uint8

// Claim takes the addresses, whatever is known: somebody owns them.
const Claim Doubt = 0

// decide reports whether the policy has a Backup succeed a silent Active router.
// It is not asked where there is no doubt: after a resignation, after a proven
// death, and when a lesser router is preempted.
func decide(policy Doubt, _ Facts) bool {
	if policy == Claim {
		return true
	}
	panic(fmt.Sprintf("vrrp: unhandled policy %d for doubt", policy))
}

// SetFacts takes in what is known beside advertisements. It is asked when the
// Active_Down_Timer expires, and kept with every change of role.
func (r *Router) SetFacts(now time.Time, f Facts) Output {
	out := r.wake(now)
	r.status.Facts = f
	return out
}
