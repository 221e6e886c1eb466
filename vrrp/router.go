package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// A Router is one virtual router as this node takes part in it. Every method
// that takes the time is an event; time must not run backwards. A Router is not
// safe for concurrent use.
//
//	                        +--------+
//	       Shutdown:        |        |        Shutdown:
//	    .------------------>|  Init  |<-------------------.
//	    |                   |        |     resign         |
//	    |                   +--------+     (and linger)   |
//	    |     Startup, priority   Startup, priority       |
//	    |     below 255  |           |  255               |
//	    |                v           v                    |
//	+--------+ <---------'           '---------> +--------+
//	|        |  Active_Down_Timer: advertise     |        |
//	| Backup | --------------------------------> | Active |
//	|        |                                   |        |
//	|        |  a better advertisement: farewell |        |
//	|        |  stalled: in silence              |        |
//	+--------+ <-------------------------------- +--------+
//	 accepted advertisement:                      Adver_Timer: advertise
//	   restart Active_Down_Timer                  lesser advertisement: advertise,
//	 priority 0: wait for Skew_Time                 announce
//	 stalled: restart Active_Down_Timer
//
// Holding the addresses is the same as being Active, but for a router that
// lingers: it has resigned, and keeps them in Init until a successor is heard.
//
// In a Group, a Backup whose Active_Down_Timer has expired is due: it waits for
// Settle to make it Active with the others.
type Router struct {
	params       Params
	destinations []netip.Addr
	status       Status // but for what Status fills in
	peers        peers
	grouped      bool // Settle decides when to become Active

	// deadline is the Active_Down_Timer of a Backup, zero when it is due; the
	// Adver_Timer of an Active router; zero in Init.
	deadline time.Time
	down     downTimer
	patience time.Time // until when a Backup does not preempt
	hurried  time.Time // until when a Backup is content with a shorter silence (hurry)
	linger   time.Time // when to let go of the addresses at the latest; zero: not lingering

	sent [1]Advert // what Output.Send shows
}

// downTimer is what is remembered about the Active_Down_Timer, to be able to say
// why it expired.
type downTimer struct {
	set   time.Time
	known claim // why it will expire; zero: what has been heard by then will say
}

// NewRouter returns a virtual router in Init. The error lists everything that is
// wrong with p.
func NewRouter(p Params) (*Router, error) {
	p = p.normal()
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("virtual router %d: %w", p.VRID, err)
	}
	return &Router{
		params:       p,
		destinations: p.destinations(),
		status:       Status{Priority: p.Priority, Interval: p.Interval},
	}, nil
}

// Params returns a copy of what the Router was made from, without IPv6 zones,
// and with its version.
func (r *Router) Params() Params { return r.params.normal() }

// Status returns a copy of the Router's state.
func (r *Router) Status() Status {
	s := r.status
	s.Due = r.due()
	s.Peers = r.peers.status()
	s.Counters = s.Counters.clone()
	return s
}

// Role returns Status().Role, without the rest.
func (r *Router) Role() Role { return r.status.Role }

// Holds reports whether the addresses are to be held by this node.
func (r *Router) Holds() bool { return r.status.Role == Active || r.lingers() }

// Next returns when Tick is to be called, or the zero time when it need not be.
// It changes with any event.
func (r *Router) Next() time.Time {
	if r.deadline.IsZero() || r.lingers() && r.linger.Before(r.deadline) {
		return r.linger
	}
	return r.deadline
}

func (r *Router) lingers() bool { return !r.linger.IsZero() }

func (r *Router) due() bool { return r.status.Role == Backup && r.deadline.IsZero() }

// skew returns Skew_Time (RFC 9568, section 6.1; RFC 3768, section 6.1, where it
// is a part of a second), to the nanosecond: rounded to centiseconds, as the RFC
// counts, all high priorities would share one skew.
func (r *Router) skew() time.Duration {
	unit := r.status.Interval
	if r.params.Version == version2 {
		unit = time.Second
	}
	return time.Duration(256-int(r.status.Priority)) * unit / 256
}

// downInterval returns Active_Down_Interval (RFC 9568, section 6.1).
func (r *Router) downInterval() time.Duration { return 3*r.status.Interval + r.skew() }

// preempts reports whether a Backup ignores an Active router of lower priority.
// The owner of the address does, whatever Preempt_Mode says (RFC 9568, section
// 6.1).
func (r *Router) preempts(now time.Time) bool {
	return r.status.Priority == priorityOwner || r.params.Preempt && !now.Before(r.patience)
}

// claim returns why the Active_Down_Timer has expired.
func (r *Router) claim(now time.Time) claim {
	if r.down.known != (claim{}) {
		return r.down.known
	}
	// Advertisements heard since the timer was set are those of a lesser router.
	silence := now.Sub(r.down.set)
	if heard := r.status.PeerHeard; heard.After(r.down.set) {
		silence = now.Sub(heard)
		if silence < r.downInterval() {
			return claim{why: reasonPreempting(r.status.Peer, r.status.PeerPriority), class: ByPreemption}
		}
	}
	return claim{why: reasonSilence(silence), class: NoResponse, doubt: true}
}

// become changes the role. All that a role consists of is set by the three
// methods below.
func (r *Router) become(now time.Time, to Role, why Reason, out *Output) {
	from := r.status.Role
	if out.Change != nil {
		from = out.Change.From // one event, one change
	}
	r.status.Role, r.status.Since, r.status.Reason = to, now, why
	out.Change = &Change{
		At: now, From: from, To: to, Reason: why,
		Priority: r.status.Priority,
		Peer:     r.status.Peer, PeerPriority: r.status.PeerPriority,
		Facts: r.status.Facts,
	}
}

func (r *Router) becomeInit(now time.Time, why Reason, out *Output) {
	r.deadline = time.Time{}
	r.status.Interval = r.params.Interval
	r.become(now, Init, why, out)
}

// becomeBackup waits for an Active router whose interval is given.
func (r *Router) becomeBackup(now time.Time, interval time.Duration, why Reason, out *Output) {
	r.status.Interval = interval
	r.patience = now.Add(r.params.PreemptDelay)
	r.waitDown(now)
	r.become(now, Backup, why, out)
}

// becomeActive advertises with the Router's own interval, whatever it learned
// from another as Backup.
func (r *Router) becomeActive(now time.Time, c claim, out *Output) {
	r.linger, r.hurried = time.Time{}, time.Time{}
	r.status.Interval = r.params.Interval
	r.status.NewActiveReason = c.class
	r.status.Counters.Transitions++
	r.advertise(now, out)
	r.become(now, Active, c.why, out)
	out.Change.NewActive = c.class
	out.Announce = true
}

// expire acts on the end of the Active_Down_Timer.
func (r *Router) expire(now time.Time, out *Output) {
	switch c := r.claim(now); {
	case c.doubt && !decide(r.params.Doubt, r.status.Facts):
		r.waitDown(now)
	case r.grouped:
		r.deadline = time.Time{}
	default:
		r.becomeActive(now, c, out)
	}
}

// waitDown sets the Active_Down_Timer to Active_Down_Interval, or less by an
// interval in a hurry.
func (r *Router) waitDown(now time.Time) {
	r.deadline = now.Add(r.downInterval())
	if now.Before(r.hurried) {
		r.deadline = r.deadline.Add(-r.status.Interval)
	}
	r.down = downTimer{set: now}
}

// waitSkew sets the Active_Down_Timer to Skew_Time.
func (r *Router) waitSkew(now time.Time) {
	r.deadline = now.Add(r.skew())
	r.down = downTimer{set: now, known: claim{why: reasonResigned, class: ByPriority}}
}

// advertise sends an advertisement and sets the Adver_Timer.
func (r *Router) advertise(now time.Time, out *Output) {
	r.send(r.status.Priority, out)
	r.deadline = now.Add(r.params.Interval)
}

func (r *Router) send(priority uint8, out *Output) {
	r.status.Counters.Sent++
	if priority == priorityResigned {
		r.status.Counters.SentZero++
	}
	r.sent[0] = Advert{
		Version:   r.params.Version,
		VRID:      r.params.VRID,
		Priority:  priority,
		Interval:  r.params.Interval,
		Addresses: r.params.Addresses,
	}
	out.Send = r.sent[:]
}

// outranks reports whether an advertisement beats this Active router, and why.
// Between equals the higher address wins, compared as an unsigned integer in
// network byte order (RFC 9568, section 6.4.3).
func (r *Router) outranks(from netip.Addr, priority uint8) (Reason, bool) {
	switch own := r.status.Priority; {
	case priority > own:
		return reasonOutranked(from, priority), true
	case priority == own && from.Compare(r.params.Self) > 0:
		return reasonTie(from, priority), true
	}
	return "", false
}
