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
	return unmarshalName(r, text, "role", []Role{Init, Backup, Active})
}

// unmarshalName sets v to the one of all that text names.
func unmarshalName[T fmt.Stringer](v *T, text []byte, kind string, all []T) error {
	for _, one := range all {
		if one.String() == string(text) {
			*v = one
			return nil
		}
	}
	return fmt.Errorf("unknown %s %q: want one of %v", kind, text, all)
}

// Priorities with a meaning of their own (RFC 9568, section 5.2.4).
const (
	priorityResigned uint8 = 0   // the Active router stops taking part
	priorityOwner    uint8 = 255 // the router owns an address of the virtual router
)

// MinInterval and MaxInterval bound the interval between advertisements of
// version 3, which travels in a field of 12 bits that counts centiseconds.
const (
	MinInterval = centisecond
	MaxInterval = 4095 * centisecond
)

const centisecond = 10 * time.Millisecond

// intervalsOf returns the unit in which a version counts its interval, which is
// also the shortest one, and the longest (RFC 9568, section 5.2.7; RFC 3768,
// section 5.3.7). The unit is 0 for a version that does not exist.
func intervalsOf(version uint8) (unit, longest time.Duration) {
	switch version {
	case version2:
		return time.Second, 255 * time.Second
	case version3:
		return centisecond, MaxInterval
	}
	return 0, 0
}

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
	// Interval lies between advertisements: 10 ms..40.95 s in steps of 10 ms; in
	// version 2 1 s..255 s in steps of 1 s.
	Interval  time.Duration
	Addresses []netip.Addr // the virtual addresses, in configured order, all of one family
	Self      netip.Addr   // primary address of the interface: source of adverts, breaks ties
	Checksum  ChecksumPolicy
	// Peers are the addresses of the other routers, of the family of Self: when
	// there are any, advertisements are sent to each of them instead of the
	// multicast group, and accepted from nobody else. They share a link with
	// Self: a TTL of 255 is asked of their packets too, since nothing else tells
	// one that was sent here from one that was forwarded from afar.
	Peers []netip.Addr
	// Doubt says what to do when the Active router is silent.
	Doubt Doubt
}

// normal returns p with its defaults filled in, sharing no memory with p, and
// without IPv6 zones: these say where an address is reached, not whose it is.
func (p Params) normal() Params {
	if p.Version == 0 {
		p.Version = version3
	}
	p.Self = p.Self.WithZone("")
	p.Addresses = slices.Clone(p.Addresses)
	p.Peers = slices.Clone(p.Peers)
	for i, peer := range p.Peers {
		p.Peers[i] = peer.WithZone("")
	}
	return p
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
	if unit, longest := intervalsOf(p.Version); unit == 0 {
		errs = append(errs, fmt.Errorf("version %d does not exist: use %d or %d", p.Version, version2, version3))
	} else if p.Interval < unit || p.Interval > longest || p.Interval%unit != 0 {
		errs = append(errs, fmt.Errorf("interval %v cannot be advertised in version %d: use %v..%v in steps of %v",
			p.Interval, p.Version, unit, longest, unit))
	}
	if p.PreemptDelay < 0 {
		errs = append(errs, fmt.Errorf("preempt delay %v is negative", p.PreemptDelay))
	}
	if p.Checksum > ChecksumRFC5798 {
		errs = append(errs, fmt.Errorf("checksum policy %d does not exist", p.Checksum))
	}
	if p.Doubt != Claim {
		errs = append(errs, fmt.Errorf("policy %d for doubt does not exist", p.Doubt))
	}
	switch {
	case !p.Self.IsValid():
		errs = append(errs, errors.New("the interface has no address to send advertisements from"))
	case p.Version == version2 && !p.Self.Is4():
		errs = append(errs, fmt.Errorf("version 2 at the interface address %q: it knows IPv4 alone, use version 3", p.Self))
	default:
		errs = append(errs, p.validateAddresses(), p.validatePeers())
	}
	return errors.Join(errs...)
}

func (p Params) validatePeers() error {
	for i, a := range p.Peers {
		switch {
		case !a.IsValid() || a.IsMulticast() || a.IsUnspecified():
			return fmt.Errorf("peer %q is not the address of a router", a)
		case a.Is4() != p.Self.Is4():
			return fmt.Errorf("peer %q is not of the family of the interface address %q", a, p.Self)
		case a == p.Self:
			return fmt.Errorf("peer %q is this node itself: list the others alone", a)
		case slices.Contains(p.Peers[:i], a):
			return fmt.Errorf("peer %q is listed twice", a)
		}
	}
	return nil
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
