package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case Init:
		return "init"
	case Backup:
		return "backup"
	case Active:
		return "active"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// MarshalText returns what String returns.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText accepts what MarshalText returns for the three roles.
func (r *Role) UnmarshalText(text []byte) error {
	for _, role := range []Role{Init, Backup, Active} {
		if role.String() == string(text) {
			*r = role
			return nil
		}
	}
	return fmt.Errorf("unknown role %q: want init, backup or active", text)
}

// Priorities with a meaning of their own (RFC 9568, section 5.2.4).
const (
	priorityResigned uint8 = 0   // the Active router stops taking part
	priorityOwner    uint8 = 255 // the router owns an address of the virtual router
)

// MinInterval and MaxInterval bound the interval between advertisements, which
// travels in a field of 12 bits that counts centiseconds.
const (
	MinInterval = centisecond
	MaxInterval = 4095 * centisecond
)

const centisecond = 10 * time.Millisecond

// maxAddresses is what the field "IPvX Addr Count" can count.
const maxAddresses = 255

// Params configures one virtual router: one VRID, on one interface, of one
// address family.
type Params struct {
	// Version is 3 (RFC 9568) or 2 (RFC 3768: IPv4 alone, an interval of whole
	// seconds, that both routers must share); 0 means 3.
	Version  uint8
	VRID     uint8 // 1..255
	Priority uint8 // 1..254; 255 when this node owns an address (RFC 9568, section 5.2.4)
	Preempt  bool  // whether to take over from an Active router of lower priority
	// PreemptDelay is how long a Backup that preempts leaves a lesser Active
	// router alone first, 0 or more. It counts from the Backup's beginning: a
	// node that comes back should be warm before it takes over from one that
	// serves. It does not delay taking over from silence.
	PreemptDelay time.Duration
	Interval     time.Duration // between advertisements: 10 ms..40.95 s, in steps of 10 ms
	Addresses    []netip.Addr  // the virtual addresses, in configured order, all of one family
	Self         netip.Addr    // primary address of the interface: source of adverts, breaks ties
	Checksum     ChecksumPolicy
	// Peers are the addresses of the other routers, of the family of Self: when
	// there are any, advertisements are sent to each of them instead of the
	// multicast group, and accepted from nobody else.
	Peers []netip.Addr
}

// validate reports everything that is wrong with p, in words for an operator.
func (p Params) validate() error {
	var errs []error
	if p.VRID == 0 {
		errs = append(errs, errors.New("VRID 0 is reserved: use 1..255"))
	}
	if p.Priority == priorityResigned {
		errs = append(errs, errors.New("priority 0 means resignation: use 1..254, or 255 for the owner of an address"))
	}
	if p.Interval < MinInterval || p.Interval > MaxInterval || p.Interval%centisecond != 0 {
		errs = append(errs, fmt.Errorf("interval %v cannot be advertised: use %v..%v in steps of %v",
			p.Interval, MinInterval, MaxInterval, centisecond))
	}
	if p.PreemptDelay < 0 {
		errs = append(errs, fmt.Errorf("preempt delay %v is negative", p.PreemptDelay))
	}
	if !p.Self.IsValid() {
		errs = append(errs, errors.New("the interface has no address to send advertisements from"))
	} else if err := p.validateAddresses(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p Params) validateAddresses() error {
	if n := len(p.Addresses); n == 0 || n > maxAddresses {
		return fmt.Errorf("%d virtual addresses: use 1..%d", n, maxAddresses)
	}
	for i, a := range p.Addresses {
		switch {
		case !a.IsValid():
			return fmt.Errorf("virtual address %d is empty", i+1)
		case a.Is4() != p.Self.Is4():
			return fmt.Errorf("virtual address %q is not of the family of the interface address %q: "+
				"use one virtual router for each family", a, p.Self)
		case slices.Contains(p.Addresses[:i], a):
			return fmt.Errorf("virtual address %q is listed twice", a)
		case a == p.Self && p.Priority != priorityOwner:
			return fmt.Errorf("virtual address %q is this node's own: choose another, "+
				"or give its owner priority %d", a, priorityOwner)
		}
	}
	// RFC 9568, section 5.2.9: the first IPv6 address of an advertisement is
	// the link-local address of the virtual router.
	if first := p.Addresses[0]; first.Is6() && !first.IsLinkLocalUnicast() {
		return fmt.Errorf("virtual address %q comes first but is not link-local: "+
			"an IPv6 virtual router needs one from fe80::/10 in first place", first)
	}
	return nil
}
