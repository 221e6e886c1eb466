package vrrp_test

// Each test here is one sentence of RFC 9568, given above it in substance with
// its section. Those about packets are in rfc9568_packet_test.go, those that
// version 2 has of its own in rfc3768_test.go.

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// 6.1: "Skew_Time: (((256 - Priority) * Active_Adver_Interval) / 256)";
// "Active_Down_Interval: (3 * Active_Adver_Interval) + Skew_Time".
func TestTimersFollowTheFormulas(t *testing.T) {
	tests := []struct {
		name     string
		priority uint8
		interval time.Duration
		down     time.Duration
	}{
		{"the default", 100, time.Second, 3609375 * time.Microsecond},
		{"lowest priority", 1, time.Second, 3996093750},
		{"highest priority", 254, time.Second, 3007812500},
		{"shortest interval", 254, 10 * time.Millisecond, 30078125},
		{"longest interval", 1, 40950 * time.Millisecond, 163640039062},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			p.Priority, p.Interval = tt.priority, tt.interval
			wantNext(t, backup(t, p), at(tt.down))
		})
	}
}

// 6.1: Skew_Time is there "to skew Active_Down_Interval", so that of several
// Backups the one of the highest priority takes over, from silence as after a
// resignation.
func TestHigherPriorityTakesOverFirst(t *testing.T) {
	for _, resigned := range []bool{false, true} {
		last := time.Time{}
		for _, priority := range []uint8{254, 253, 100, 2, 1} {
			p := params()
			p.Priority, p.Interval = priority, vrrp.MinInterval
			r := backup(t, p)
			if resigned {
				r.Receive(at(1), upper, advert(0))
			}
			if next := r.Next(); !next.After(last) {
				t.Errorf("priority %d claims %v after the epoch, the higher one before it at %v (resigned: %v)",
					priority, next.Sub(epoch), last.Sub(epoch), resigned)
			}
			last = r.Next()
		}
	}
}

// 6.4.1: "If a Startup event is received, then: if the Priority = 255 [...],
// send an ADVERTISEMENT [...] set the Adver_Timer to Advertisement_Interval,
// transition to the Active state."
func TestOwnerStartsAsActive(t *testing.T) {
	p := params()
	p.Priority = 255
	r := newRouter(t, p)
	out := r.Startup(epoch)
	wantSent(t, out, 255)
	wantReason(t, out, "this node owns the address")
	if !out.Announce {
		t.Error("the addresses are not announced")
	}
	wantRole(t, r, vrrp.Active)
	wantHolds(t, r, true)
	wantNext(t, r, at(interval))
}

// 6.4.1: "else: set Active_Adver_Interval to Advertisement_Interval, set the
// Active_Down_Timer to Active_Down_Interval, transition to the Backup state."
func TestOthersStartAsBackup(t *testing.T) {
	r := newRouter(t, params())
	wantNext(t, r, time.Time{})
	out := r.Startup(epoch)
	wantSent(t, out)
	wantReason(t, out, "started")
	wantRole(t, r, vrrp.Backup)
	wantHolds(t, r, false)
	wantNext(t, r, at(down200))
}

// 6.4.2: "If a Shutdown event is received, then: cancel the Active_Down_Timer,
// transition to the Initialize state." Nothing is sent.
func TestBackupLeavesInSilence(t *testing.T) {
	r := backup(t, params())
	out := r.Shutdown(at(time.Millisecond), vrrp.Leave{Reason: "node is drained", Linger: time.Second})
	wantSent(t, out)
	wantReason(t, out, "shutdown: node is drained")
	wantRole(t, r, vrrp.Init)
	wantHolds(t, r, false)
	wantNext(t, r, time.Time{})
}

// 6.4.2: "If the Active_Down_Timer fires, then: send an ADVERTISEMENT, [...] set
// the Adver_Timer to Advertisement_Interval, transition to the Active state."
func TestBackupTakesOverFromSilence(t *testing.T) {
	r := backup(t, params())
	wantNothing(t, r.Tick(at(down200-1)))
	out := r.Tick(at(down200))
	wantSent(t, out, 200)
	wantReason(t, out, "no advertisement from the Active router for 322ms")
	if !out.Announce {
		t.Error("the addresses are not announced")
	}
	wantRole(t, r, vrrp.Active)
	wantHolds(t, r, true)
	wantNext(t, r, at(down200+interval))
}

// 6.4.2: "If an ADVERTISEMENT is received, then: if the Priority in the
// ADVERTISEMENT is 0, set the Active_Down_Timer to Skew_Time." This holds also when
// Preempt_Mode is false.
func TestBackupWaitsForSkewAfterResignation(t *testing.T) {
	for _, preempt := range []bool{true, false} {
		p := params()
		p.Preempt = preempt
		r := backup(t, p)
		wantNothing(t, r.Receive(at(50*time.Millisecond), upper, advert(0)))
		wantNext(t, r, at(50*time.Millisecond+skew200))
		wantReason(t, r.Tick(r.Next()), "the Active router resigned (priority 0)")
		wantRole(t, r, vrrp.Active)
	}
}

// 6.4.2: "if Preempt_Mode is False, or if the Priority in the ADVERTISEMENT is
// greater than or equal to the local Priority, then: set Active_Adver_Interval
// to Max Advertise Interval contained in the ADVERTISEMENT, recompute [...], set
// the Active_Down_Timer to Active_Down_Interval." Addresses are
// not compared, and the interval need not be ours.
func TestBackupFollowsAcceptableActive(t *testing.T) {
	tests := []struct {
		name     string
		preempt  bool
		priority uint8
		from     netip.Addr
	}{
		{"higher priority", true, 201, upper},
		{"equal priority", true, 200, upper},
		{"equal priority, lower address", true, 200, lower},
		{"lower priority, not preempting", false, 1, upper},
		{"the owner", true, 255, upper},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			p.Preempt = tt.preempt
			r := backup(t, p)
			a := advert(tt.priority)
			a.Interval = time.Second
			wantNothing(t, r.Receive(at(interval), tt.from, a))
			wantRole(t, r, vrrp.Backup)
			wantNext(t, r, at(interval+3*time.Second+218750*time.Microsecond))
			if got := r.Status().Interval; got != time.Second {
				t.Errorf("Active_Adver_Interval is %v, want 1s", got)
			}
		})
	}
}

// 6.4.2: "else (Preempt_Mode is True and the Priority is lower): discard the
// ADVERTISEMENT."
func TestBackupPreemptsLesserActive(t *testing.T) {
	r := backup(t, params())
	for d := interval; d < down200; d += interval {
		a := advert(199)
		a.Interval = time.Second
		wantNothing(t, r.Receive(at(d), upper, a))
	}
	wantNext(t, r, at(down200))
	wantReason(t, r.Tick(at(down200)), "took over from lower priority 199 of 192.0.2.12")
}

// Not of the RFC: proof that the Active router's process is dead needs no timer.
func TestProvenDeathIsNotWaitedFor(t *testing.T) {
	const evidence = "connection refused"
	t.Run("of the Active router", func(t *testing.T) {
		r := backup(t, params())
		r.Receive(at(interval), upper, advert(250))
		out := r.PeerDied(at(interval+time.Millisecond), upper, evidence)
		wantSent(t, out, 200)
		wantReason(t, out, "the process of the Active router 192.0.2.12 died: connection refused")
		wantHolds(t, r, true)
	})
	t.Run("of another", func(t *testing.T) {
		r := backup(t, params())
		r.Receive(at(interval), upper, advert(250))
		wantNothing(t, r.PeerDied(at(interval+time.Millisecond), lower, evidence))
		wantNext(t, r, at(interval+down200))
	})
	t.Run("before anybody was heard", func(t *testing.T) {
		wantNothing(t, backup(t, params()).PeerDied(at(interval), upper, evidence))
	})
	t.Run("of a Backup, told to the Active router", func(t *testing.T) {
		r, now := active(t, params())
		wantNothing(t, r.PeerDied(now.Add(time.Millisecond), upper, evidence))
	})
	t.Run("told to a router that takes no part", func(t *testing.T) {
		r := newRouter(t, params())
		wantNothing(t, r.PeerDied(epoch, upper, evidence))
		wantRole(t, r, vrrp.Init)
	})
}

// Not of the RFC: a node that comes back leaves a lesser Active router alone for
// PreemptDelay, and takes over from silence or a resignation all the same.
func TestPreemptDelay(t *testing.T) {
	const delay = time.Second
	p := params()
	p.PreemptDelay = delay
	t.Run("a lesser router is preempted after it", func(t *testing.T) {
		r := backup(t, p)
		for d := interval; d < delay; d += interval {
			wantNothing(t, r.Receive(at(d), upper, advert(199)))
			wantNext(t, r, at(d+down200))
		}
		last := delay - interval
		for d := delay; d < last+down200; d += interval {
			wantNothing(t, r.Receive(at(d), upper, advert(199)))
			wantNext(t, r, at(last+down200))
		}
		wantReason(t, r.Tick(at(last+down200)), "took over from lower priority 199 of 192.0.2.12")
	})
	t.Run("silence is not waited for", func(t *testing.T) {
		r := backup(t, p)
		wantNothing(t, r.Receive(at(interval), upper, advert(199)))
		r.Tick(at(interval + down200))
		wantRole(t, r, vrrp.Active)
	})
	t.Run("nor is a resignation", func(t *testing.T) {
		r := backup(t, p)
		r.Receive(at(interval), upper, advert(199))
		r.Receive(at(2*interval), upper, advert(0))
		r.Tick(at(2*interval + skew200))
		wantRole(t, r, vrrp.Active)
	})
	t.Run("the owner does not wait", func(t *testing.T) {
		owner := p
		owner.Priority = 255
		r, now := newRouter(t, owner), epoch
		r.Startup(now)
		wantRole(t, r, vrrp.Active)
	})
}

// 6.1: "the Virtual Router that owns the IPvX address(es) always preempts,
// independent of the setting of this flag."
func TestOwnerPreemptsWhateverTheMode(t *testing.T) {
	p := params()
	p.Priority, p.Preempt = 255, false
	r := newRouter(t, p)
	r.Startup(epoch)
	t.Log("# stalled, so that the owner is a Backup")
	r.Tick(at(time.Minute))
	wantRole(t, r, vrrp.Backup)
	next := r.Next()
	wantNothing(t, r.Receive(at(time.Minute+interval), upper, advert(254)))
	wantNext(t, r, next)
}

// 6.4.3: "If a Shutdown event is received, then: cancel the Adver_Timer, send an
// ADVERTISEMENT with Priority = 0, transition to the Initialize state." All else
// in it is as ever.
func TestActiveResigns(t *testing.T) {
	r, now := active(t, params())
	out := r.Shutdown(now.Add(1), vrrp.Leave{})
	wantSent(t, out, 0)
	wantReason(t, out, "shutdown")
	wantRole(t, r, vrrp.Init)
	wantHolds(t, r, false)
	wantNext(t, r, time.Time{})
}

// 6.4.3: "If the Adver_Timer fires, then: send an ADVERTISEMENT, reset the
// Adver_Timer to Advertisement_Interval."
func TestActiveAdvertises(t *testing.T) {
	r, now := active(t, params())
	for range 3 {
		wantNothing(t, r.Tick(now.Add(interval-1)))
		now = now.Add(interval)
		out := r.Tick(now)
		wantSent(t, out, 200)
		if out.Change != nil || out.Announce {
			t.Errorf("output beside the advertisement: %+v", out)
		}
		wantNext(t, r, now.Add(interval))
	}
}

// 6.4.3: "If an ADVERTISEMENT is received, then: if the Priority in the
// ADVERTISEMENT is 0, send an ADVERTISEMENT, reset the Adver_Timer to
// Advertisement_Interval."
func TestActiveAnswersResignation(t *testing.T) {
	r, now := active(t, params())
	now = now.Add(interval / 2)
	wantSent(t, r.Receive(now, upper, advert(0)), 200)
	wantRole(t, r, vrrp.Active)
	wantNext(t, r, now.Add(interval))
}

// 6.4.3: "if the Priority in the ADVERTISEMENT is greater than the local
// Priority, or equal and the primary IPvX address of the sender is greater than
// the local primary IPvX address (based on an unsigned integer comparison in
// network byte order), then: cancel the Adver_Timer, set Active_Adver_Interval
// to Max Advertise Interval contained in the ADVERTISEMENT, [...] set the
// Active_Down_Timer to Active_Down_Interval, transition to the Backup state."
// Preempt_Mode does not matter.
func TestActiveYieldsToBetter(t *testing.T) {
	tests := []struct {
		name     string
		from     netip.Addr
		priority uint8
		want     vrrp.Reason
	}{
		{"higher priority", upper, 201, "higher priority 201 from 192.0.2.12"},
		{"higher priority, lower address", lower, 201, "higher priority 201 from 192.0.2.10"},
		{"equal priority, higher address", upper, 200, "equal priority 200 from 192.0.2.12, the higher address"},
		{"equal priority, address above 127", netip.MustParseAddr("203.0.113.1"), 200,
			"equal priority 200 from 203.0.113.1, the higher address"},
	}
	for _, tt := range tests {
		for _, preempt := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				p := params()
				p.Preempt = preempt
				r, now := active(t, p)
				now = now.Add(interval / 2)
				a := advert(tt.priority)
				a.Interval = time.Second
				out := r.Receive(now, tt.from, a)
				wantReason(t, out, tt.want)
				wantRole(t, r, vrrp.Backup)
				wantHolds(t, r, false)
				wantNext(t, r, now.Add(3*time.Second+218750*time.Microsecond))
			})
		}
	}
}

// 6.4.3: "else: discard the ADVERTISEMENT, send an ADVERTISEMENT immediately to
// assert the Active state to the sending VRRP Router and to update any learning
// bridges."
func TestActiveAssertsItself(t *testing.T) {
	tests := []struct {
		name     string
		from     netip.Addr
		priority uint8
	}{
		{"lower priority", upper, 199},
		{"equal priority, lower address", lower, 200},
		{"equal priority, lower address by a later byte", netip.MustParseAddr("192.0.1.255"), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, now := active(t, params())
			out := r.Receive(now.Add(interval/2), tt.from, advert(tt.priority))
			wantSent(t, out, 200)
			wantRole(t, r, vrrp.Active)
			wantNext(t, r, now.Add(interval))
		})
	}
}

// 6.4.3 and erratum 8298: an owner that hears an advertisement judges it as
// everyone does.
func TestOwnerHearsAnotherOwner(t *testing.T) {
	p := params()
	p.Priority = 255
	r := newRouter(t, p)
	r.Startup(epoch)
	wantSent(t, r.Receive(at(1), lower, advert(255)), 255)
	wantRole(t, r, vrrp.Active)
	r.Receive(at(2), upper, advert(255))
	wantRole(t, r, vrrp.Backup)
}

// 6.3: "The purpose of the Initialize state is to wait for a Startup event."
func TestInitIgnoresAdvertisements(t *testing.T) {
	r := newRouter(t, params())
	wantNothing(t, r.Receive(epoch, upper, advert(100)))
	wantNothing(t, r.Receive(epoch, upper, advert(0)))
	wantNothing(t, r.Tick(at(time.Hour)))
	wantNothing(t, r.Shutdown(at(time.Hour), vrrp.Leave{Linger: time.Second}))
	wantRole(t, r, vrrp.Init)
	wantNext(t, r, time.Time{})
}

// 6.4.3: an Active router uses Advertisement_Interval, its own, whatever it
// learned as Backup.
func TestActiveForgetsTheLearnedInterval(t *testing.T) {
	r := backup(t, params())
	slow := advert(250)
	slow.Interval = time.Second
	r.Receive(at(0), upper, slow)
	now := r.Next()
	wantSent(t, r.Tick(now), 200)
	wantNext(t, r, now.Add(interval))
}

// A timer that was cancelled by a transition does not act after it.
func TestStaleTimersAreHarmless(t *testing.T) {
	r, now := active(t, params())
	adverTimer := r.Next()
	r.Receive(now.Add(1), upper, advert(250))
	wantNothing(t, r.Tick(adverTimer))
	downTimer := r.Next()
	r.Shutdown(now.Add(2), vrrp.Leave{})
	wantNothing(t, r.Tick(downTimer))
}
