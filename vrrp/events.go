package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// handoverGrace is how long a lingering router keeps the addresses after it has
// heard a successor, which advertises before it has configured them. It is
// generous for a netlink call and short for a client: while both answer, each
// serves what reaches it.
const handoverGrace = 20 * time.Millisecond

// Startup begins to take part in the election (RFC 9568, section 6.4.1). It does
// nothing unless the Router is in Init. A Router that lingers goes on holding
// the addresses until it is Active again or a successor is heard.
func (r *Router) Startup(now time.Time) Output {
	out := r.wake(now)
	if r.status.Role != Init {
		return out
	}
	r.becomeBackup(now, r.params.Interval, reasonStarted, &out)
	if r.status.Priority == priorityOwner {
		r.down.known = claim{why: reasonOwner, class: ByPriority}
		r.expire(now, &out)
	}
	return out
}

// Shutdown ends taking part in the election. An Active router resigns, so that
// the next one takes over without waiting for its silence (RFC 9568, section
// 6.4.3); a Backup leaves without a word (section 6.4.2). Lingering that is
// under way is shortened to s.Linger, never prolonged: with 0 it ends at once.
func (r *Router) Shutdown(now time.Time, s Leave) Output {
	out := r.wake(now)
	if r.lingers() {
		r.releaseBy(now, now.Add(s.Linger))
	}
	if r.status.Role == Active {
		r.send(priorityResigned, &out)
		if s.Linger > 0 {
			r.linger = now.Add(s.Linger)
		}
	}
	if r.status.Role != Init {
		r.becomeInit(now, reasonShutdown(s.Reason), &out)
	}
	return out
}

// Tick acts on the timers. It is called when Next has passed; early, it does
// nothing.
//
// A router whose timer is overdue by more than Active_Down_Interval was not run:
// its process was stopped or starved, its machine suspended or moved. An Active
// router must then assume that a peer has taken over, and becomes Backup without
// a word; that it rules again needs the same proof as at the start. A Backup did
// not hear the Active router because it did not listen, and starts to wait anew.
// Every event looks at this first, before it judges anything else: the packets
// of a socket that was not read are as old as the stall.
func (r *Router) Tick(now time.Time) Output {
	out := r.wake(now)
	if r.deadline.IsZero() || now.Before(r.deadline) {
		return out
	}
	switch r.status.Role {
	case Backup:
		r.expire(now, &out)
	case Active:
		r.advertise(now, &out)
	}
	return out
}

// Receive acts on an advertisement that Accept has accepted, sent by from.
func (r *Router) Receive(now time.Time, from netip.Addr, a Advert) Output {
	out := r.wake(now)
	from = from.WithZone("")
	if p := r.peers.find(from); p != nil {
		p.Heard = now
	}
	if a.Priority != priorityResigned {
		r.status.Peer, r.status.PeerPriority, r.status.PeerHeard = from, a.Priority, now
		if r.lingers() {
			r.releaseBy(now, now.Add(handoverGrace))
		}
	}
	switch r.status.Role {
	case Backup:
		r.receiveBackup(now, a)
	case Active:
		r.receiveActive(now, from, a, &out)
	}
	return out
}

// receiveBackup follows RFC 9568, section 6.4.2.
func (r *Router) receiveBackup(now time.Time, a Advert) {
	switch {
	case a.Priority == priorityResigned:
		r.waitSkew(now)
	case r.preempts(now) && a.Priority < r.status.Priority:
		// Discarded: the timer runs on, and the lesser router is preempted when
		// it expires.
	default: // not better, perhaps, but not to be disturbed, or not yet
		r.status.Interval = a.Interval
		r.waitDown(now)
	}
}

// receiveActive follows RFC 9568, section 6.4.3, and adds what keeps switches
// from sending to the loser of an election after a partition has healed. Whoever
// loses sends one more advertisement, its farewell; whoever hears another Active
// router announces the addresses again. So the winner knows of the other even if
// it was the first to speak, and its announcement comes after the loser's last.
// A resignation, too, tells of another that was Active.
//
// This ends at once: the farewell is answered, but its sender is Backup by then,
// and a Backup answers nothing.
func (r *Router) receiveActive(now time.Time, from netip.Addr, a Advert, out *Output) {
	if a.Priority == priorityResigned {
		r.advertise(now, out)
		out.Announce = true
		return
	}
	why, lost := r.outranks(from, a.Priority)
	if lost || r.params.Version != version2 {
		// The advertisement that asserts the Active router against another does
		// not touch the Adver_Timer: noise must not keep it from its rhythm.
		r.send(r.status.Priority, out)
	}
	if lost {
		r.becomeBackup(now, a.Interval, why, out)
		return
	}
	out.Announce = true
}

// PeerDied takes in proof that the process of the router at from has died: its
// own kernel said so, and nothing that is sent by it can come any more. A Backup
// that heard it as the Active router takes over without waiting for its silence,
// nor for Skew_Time: whoever else waits will hear this router's advertisement.
func (r *Router) PeerDied(now time.Time, from netip.Addr, evidence string) Output {
	out := r.wake(now)
	from = from.WithZone("")
	if r.status.Role == Backup && r.status.Peer == from {
		r.down.known = claim{why: reasonDied(from, evidence), class: NoResponse}
		r.expire(now, &out)
	}
	return out
}

// SetPriority changes the effective priority to p: 1..254, or 255 for a Router
// that was made with it. The role stays: an Active router says so at once, and
// who ranks higher takes over; a Backup's timer moves with its Skew_Time.
func (r *Router) SetPriority(now time.Time, p uint8) Output {
	if p == priorityResigned || p == priorityOwner && r.params.Priority != priorityOwner {
		panic(fmt.Sprintf("vrrp: priority %d cannot be set on a router of priority %d", p, r.params.Priority))
	}
	out := r.wake(now)
	if p == r.status.Priority {
		return out
	}
	before := r.skew()
	r.status.Priority = p
	switch r.status.Role {
	case Backup:
		if !r.due() {
			r.deadline = r.deadline.Add(r.skew() - before)
		}
	case Active:
		r.advertise(now, &out)
	}
	return out
}

// wake is the beginning of every event: it ends lingering that is due, and
// judges whether the Router was stalled (see Tick).
func (r *Router) wake(now time.Time) Output {
	var out Output
	if r.lingers() {
		r.releaseBy(now, r.linger)
	}
	if r.deadline.IsZero() {
		return out
	}
	late := now.Sub(r.deadline)
	if late <= r.downInterval() {
		return out
	}
	r.status.Slept = late
	r.status.Counters.Stalls++
	switch r.status.Role {
	case Backup:
		r.waitDown(now)
	case Active:
		r.becomeBackup(now, r.params.Interval, reasonStalled(late), &out)
	}
	return out
}

// releaseBy lets a lingering router keep the addresses until t at the latest.
func (r *Router) releaseBy(now, t time.Time) {
	if t.Before(r.linger) {
		r.linger = t
	}
	if !now.Before(r.linger) {
		r.linger = time.Time{}
	}
}
