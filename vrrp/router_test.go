package vrrp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

func TestLoserSaysFarewell(t *testing.T) {
	r, now := active(t, params())
	out := r.Receive(now.Add(1), upper, advert(250))
	wantSent(t, out, 200)
	if out.Announce {
		t.Error("the loser announces the addresses")
	}
}

func TestWinnerAnnouncesAgain(t *testing.T) {
	for _, priority := range []uint8{0, 1, 199} {
		r, now := active(t, params())
		if out := r.Receive(now.Add(1), upper, advert(priority)); !out.Announce {
			t.Errorf("no announcement after priority %d of another Active router", priority)
		}
	}
}

func TestLinger(t *testing.T) {
	const linger = time.Second
	type step struct {
		after time.Duration // since the resignation
		event func(*vrrp.Router, time.Time) vrrp.Output
		holds bool
	}
	hear := func(priority uint8) func(*vrrp.Router, time.Time) vrrp.Output {
		return func(r *vrrp.Router, now time.Time) vrrp.Output { return r.Receive(now, upper, advert(priority)) }
	}
	leave := func(linger time.Duration) func(*vrrp.Router, time.Time) vrrp.Output {
		return func(r *vrrp.Router, now time.Time) vrrp.Output { return r.Shutdown(now, vrrp.Leave{Linger: linger}) }
	}
	tick := (*vrrp.Router).Tick
	const ms = time.Millisecond
	tests := []struct {
		name  string
		steps []step
	}{
		{"nobody comes", []step{{linger - 1, tick, true}, {linger, tick, false}}},
		{"a successor is given its grace", []step{
			{50 * ms, hear(100), true}, {50*ms + grace - 1, tick, true}, {50*ms + grace, tick, false},
		}},
		{"further advertisements do not prolong it", []step{
			{50 * ms, hear(100), true}, {60 * ms, hear(100), true}, {50*ms + grace, tick, false},
		}},
		{"a successor at the last moment", []step{{linger - ms, hear(100), true}, {linger, tick, false}}},
		{"a resignation is no successor", []step{{50 * ms, hear(0), true}, {linger - 1, tick, true}}},
		{"shut down again at once", []step{{50 * ms, leave(0), false}}},
		{"shut down again, sooner", []step{{50 * ms, leave(100 * ms), true}, {150 * ms, tick, false}}},
		{"shut down again, later", []step{{50 * ms, leave(time.Hour), true}, {linger, tick, false}}},
		{"late for the end, any event will do", []step{{2 * linger, hear(100), false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, now := active(t, params())
			out := r.Shutdown(now, vrrp.Leave{Reason: "switchover", Linger: linger})
			wantSent(t, out, 0)
			wantRole(t, r, vrrp.Init)
			wantHolds(t, r, true)
			wantNext(t, r, now.Add(linger))
			for _, s := range tt.steps {
				out := s.event(r, now.Add(s.after))
				wantNothing(t, out)
				if r.Holds() != s.holds {
					t.Fatalf("%v after the resignation it holds the addresses: %v, want %v", s.after, r.Holds(), s.holds)
				}
			}
			wantRole(t, r, vrrp.Init)
			if !r.Holds() {
				wantNext(t, r, time.Time{})
			}
		})
	}
}

func TestStartupWhileLingering(t *testing.T) {
	lingering := func(t *testing.T) (*vrrp.Router, time.Time) {
		r, now := active(t, params())
		r.Shutdown(now, vrrp.Leave{Linger: time.Minute})
		r.Startup(now)
		wantRole(t, r, vrrp.Backup)
		wantHolds(t, r, true)
		wantNext(t, r, now.Add(down200))
		return r, now
	}
	t.Run("alone, the addresses never leave", func(t *testing.T) {
		r, now := lingering(t)
		r.Tick(now.Add(down200))
		wantRole(t, r, vrrp.Active)
		wantHolds(t, r, true)
		t.Log("# nothing is left of the lingering")
		r.Receive(now.Add(down200+1), upper, advert(250))
		wantHolds(t, r, false)
	})
	t.Run("with a successor, they go to it", func(t *testing.T) {
		r, now := lingering(t)
		r.Receive(now.Add(interval), upper, advert(250))
		wantHolds(t, r, true)
		wantNext(t, r, now.Add(interval+grace))
		r.Tick(now.Add(interval + grace))
		wantHolds(t, r, false)
		wantRole(t, r, vrrp.Backup)
	})
	t.Run("shut down again as Backup, they go in silence", func(t *testing.T) {
		r, now := lingering(t)
		wantSent(t, r.Shutdown(now.Add(1), vrrp.Leave{}))
		wantHolds(t, r, false)
		wantNext(t, r, time.Time{})
	})
}

func TestStartupOutsideInitDoesNothing(t *testing.T) {
	r := backup(t, params())
	wantNothing(t, r.Startup(at(1)))
	wantNext(t, r, at(down200))
	r.Tick(at(down200))
	wantNothing(t, r.Startup(at(down200)))
	wantRole(t, r, vrrp.Active)
}

// events are all that can happen to a router, each in a form that leaves a
// Backup at rest.
var events = []struct {
	name string
	do   func(*vrrp.Router, time.Time) vrrp.Output
}{
	{"tick", (*vrrp.Router).Tick},
	{"startup", (*vrrp.Router).Startup},
	{"lesser advertisement", func(r *vrrp.Router, now time.Time) vrrp.Output {
		return r.Receive(now, upper, advert(100))
	}},
	{"better advertisement", func(r *vrrp.Router, now time.Time) vrrp.Output {
		return r.Receive(now, upper, advert(250))
	}},
	{"equal priority", func(r *vrrp.Router, now time.Time) vrrp.Output {
		return r.SetPriority(now, 200)
	}},
	{"new priority", func(r *vrrp.Router, now time.Time) vrrp.Output {
		return r.SetPriority(now, 190)
	}},
}

// Whatever wakes it, an Active router that was stalled finds itself Backup, and
// says nothing.
func TestStalledActiveAssumesItLost(t *testing.T) {
	for _, e := range events {
		t.Run(e.name, func(t *testing.T) {
			r, _ := active(t, params())
			now := r.Next().Add(down200 + 1)
			out := e.do(r, now)
			wantSent(t, out)
			wantReason(t, out, "stalled for 322ms")
			if out.Announce {
				t.Error("the addresses are announced")
			}
			wantRole(t, r, vrrp.Backup)
			wantHolds(t, r, false)
			if next := r.Next(); next.Before(now.Add(3*interval)) || next.After(now.Add(4*interval)) {
				t.Errorf("claims again after %v, want Active_Down_Interval", next.Sub(now))
			}
		})
	}
	t.Run("shutdown", func(t *testing.T) {
		r, _ := active(t, params())
		now := r.Next().Add(5 * time.Second)
		got := r.Shutdown(now, vrrp.Leave{Reason: "stop", Linger: time.Second})
		want := vrrp.Output{Change: &vrrp.Change{
			At: now, From: vrrp.Active, To: vrrp.Init, Reason: "shutdown: stop", Priority: 200,
		}}
		if diff := cmp.Diff(want, got, byValue); diff != "" {
			t.Errorf("output (-want +got):\n%s", diff)
		}
		wantHolds(t, r, false)
	})
}

func TestActiveThatIsMerelyLateGoesOn(t *testing.T) {
	r, _ := active(t, params())
	now := r.Next().Add(down200)
	wantSent(t, r.Tick(now), 200)
	wantRole(t, r, vrrp.Active)
	wantNext(t, r, now.Add(interval))
}

// A queue of old advertisements makes no storm of announcements: an event asks for
// one at most, and the one that slept asks for none before it is Active again.
func TestStallMakesNoStorm(t *testing.T) {
	const queued = 25
	wake := func(t *testing.T, priority uint8, take int) (sent, announced int) {
		r, _ := active(t, params())
		now := r.Next().Add(800 * time.Millisecond)
		for range take {
			out := r.Receive(now, upper, advert(priority))
			sent += len(out.Send)
			if out.Announce {
				announced++
			}
		}
		out := r.Tick(now)
		wantRole(t, r, vrrp.Backup)
		return sent + len(out.Send), announced
	}
	for _, priority := range []uint8{0, 100, 250} {
		for _, take := range []int{1, queued} {
			if sent, announced := wake(t, priority, take); sent != 0 || announced != 0 {
				t.Errorf("priority %d, %d packets: %d sent, %d announced; want none", priority, take, sent, announced)
			}
		}
	}
	t.Run("merely late, one for each packet that is judged", func(t *testing.T) {
		for _, take := range []int{1, queued} {
			r, now := active(t, params())
			announced := 0
			for range take {
				if r.Receive(now.Add(down200), upper, advert(100)).Announce {
					announced++
				}
			}
			if announced != take {
				t.Errorf("%d announcements asked for after %d packets", announced, take)
			}
		}
	})
}

// Its socket may have been as frozen as its timer.
func TestStalledBackupListensFirst(t *testing.T) {
	t.Run("stalled", func(t *testing.T) {
		for _, e := range events[:3] {
			r := backup(t, params())
			now := at(2*down200 + 1)
			wantNothing(t, e.do(r, now))
			wantNext(t, r, now.Add(down200))
		}
	})
	t.Run("merely late", func(t *testing.T) {
		r := backup(t, params())
		wantSent(t, r.Tick(at(2*down200)), 200)
		wantRole(t, r, vrrp.Active)
	})
}

// A timer that has passed is not acted on before what has been received is.
func TestAdvertisementBeatsExpiredTimer(t *testing.T) {
	r := backup(t, params())
	now := at(down200 + time.Millisecond)
	wantNothing(t, r.Receive(now, upper, advert(250)))
	wantRole(t, r, vrrp.Backup)
	wantNext(t, r, now.Add(down200))
}

func TestSetPriority(t *testing.T) {
	t.Run("Active says so at once", func(t *testing.T) {
		r, now := active(t, params())
		now = now.Add(interval / 2)
		out := r.SetPriority(now, 50)
		wantSent(t, out, 50)
		if out.Change != nil || out.Announce {
			t.Errorf("output beside the advertisement: %+v", out)
		}
		wantNext(t, r, now.Add(interval))
		t.Log("# and judges by it")
		wantReason(t, r.Receive(now, upper, advert(60)), "higher priority 60 from 192.0.2.12")
	})
	t.Run("unchanged, nothing is said", func(t *testing.T) {
		r, now := active(t, params())
		wantNothing(t, r.SetPriority(now.Add(1), 200))
	})
	t.Run("Backup's timer moves with its skew", func(t *testing.T) {
		r := backup(t, params())
		wantNothing(t, r.SetPriority(at(interval), 100))
		wantNext(t, r, at(3*interval+(256-100)*interval/256))
		wantNothing(t, r.SetPriority(at(interval), 200))
		wantNext(t, r, at(down200))
	})
	t.Run("in Init it waits for the start", func(t *testing.T) {
		r := newRouter(t, params())
		wantNothing(t, r.SetPriority(epoch, 100))
		wantNext(t, r, time.Time{})
		r.Startup(epoch)
		wantNext(t, r, at(3*interval+(256-100)*interval/256))
	})
	t.Run("an owner can step down and return", func(t *testing.T) {
		p := params()
		p.Priority = 255
		r := newRouter(t, p)
		r.Startup(epoch)
		wantSent(t, r.SetPriority(at(1), 10), 10)
		wantSent(t, r.SetPriority(at(2), 255), 255)
	})
}

func TestSetPriorityPanicsOnNonsense(t *testing.T) {
	for _, p := range []uint8{0, 255} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			r := newRouter(t, params())
			defer func() {
				if recover() == nil {
					t.Errorf("priority %d was taken", p)
				}
			}()
			r.SetPriority(epoch, p)
		})
	}
}

func TestReasonsToBecomeActive(t *testing.T) {
	tests := []struct {
		name  string
		hear  map[time.Duration]uint8
		want  vrrp.Reason
		class vrrp.NewActiveReason
	}{
		{"nobody was ever heard", nil, "no advertisement from the Active router for 322ms", vrrp.NoResponse},
		{"the better one fell silent", map[time.Duration]uint8{interval: 250},
			"no advertisement from the Active router for 322ms", vrrp.NoResponse},
		{"it resigned", map[time.Duration]uint8{interval: 0}, "the Active router resigned (priority 0)", vrrp.ByPriority},
		{"a lesser one is heard", map[time.Duration]uint8{interval: 100},
			"took over from lower priority 100 of 192.0.2.12", vrrp.ByPreemption},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := backup(t, params())
			for d, priority := range tt.hear {
				r.Receive(at(d), upper, advert(priority))
			}
			if got := r.Status().NewActiveReason; got != vrrp.NotActive {
				t.Errorf("class %v before it was ever Active", got)
			}
			out := r.Tick(r.Next())
			wantReason(t, out, tt.want)
			wantClass(t, r, out, tt.class)
			t.Log("# it is remembered after that")
			out = r.Shutdown(r.Next(), vrrp.Leave{})
			if out.Change.NewActive != vrrp.NotActive {
				t.Errorf("a change to %v has the class %v", out.Change.To, out.Change.NewActive)
			}
			if got := r.Status().NewActiveReason; got != tt.class {
				t.Errorf("class %v after it was Active, want %v", got, tt.class)
			}
		})
	}
	t.Run("it was woken late, after a lesser one fell silent", func(t *testing.T) {
		r := backup(t, params())
		r.Receive(at(time.Millisecond), upper, advert(100))
		wantReason(t, r.Tick(at(down200+50*time.Millisecond)), "no advertisement from the Active router for 371ms")
	})
	t.Run("the process of the Active router died", func(t *testing.T) {
		r := backup(t, params())
		r.Receive(at(1), upper, advert(250))
		wantClass(t, r, r.PeerDied(at(2), upper, "connection refused"), vrrp.NoResponse)
	})
	t.Run("it owns the address", func(t *testing.T) {
		p := params()
		p.Priority = 255
		r := newRouter(t, p)
		wantClass(t, r, r.Startup(epoch), vrrp.ByPriority)
	})
}

func wantClass(t *testing.T, r *vrrp.Router, out vrrp.Output, want vrrp.NewActiveReason) {
	t.Helper()
	if out.Change == nil || out.Change.NewActive != want {
		t.Errorf("change %+v, want the class %v", out.Change, want)
	}
	if got := r.Status().NewActiveReason; got != want {
		t.Errorf("status has the class %v, want %v", got, want)
	}
}

func TestStatus(t *testing.T) {
	r, since := active(t, params())
	want := vrrp.Status{
		Role: vrrp.Active, Priority: 200, Since: since, Interval: interval,
		Reason:          "no advertisement from the Active router for 322ms",
		NewActiveReason: vrrp.NoResponse,
		Counters:        vrrp.Counters{Transitions: 1, Sent: 1},
	}
	if diff := cmp.Diff(want, r.Status(), byValue); diff != "" {
		t.Errorf("status in silence (-want +got):\n%s", diff)
	}

	heard := since.Add(interval / 2)
	r.Receive(heard, lower, advert(100))
	want.Peer, want.PeerPriority, want.PeerHeard = lower, 100, heard
	want.Counters.Sent++
	if diff := cmp.Diff(want, r.Status(), byValue); diff != "" {
		t.Errorf("status beside a lesser router (-want +got):\n%s", diff)
	}

	left := heard.Add(1)
	r.Shutdown(left, vrrp.Leave{Reason: "stop"})
	want.Role, want.Since, want.Reason = vrrp.Init, left, "shutdown: stop"
	want.Counters.Sent++
	want.Counters.SentZero++
	if diff := cmp.Diff(want, r.Status(), byValue); diff != "" {
		t.Errorf("status after resigning (-want +got):\n%s", diff)
	}
}

func TestChangeTellsWhoItIsAbout(t *testing.T) {
	r, now := active(t, params())
	now = now.Add(time.Millisecond)
	got := r.Receive(now, upper, advert(250)).Change
	want := &vrrp.Change{
		At: now, From: vrrp.Active, To: vrrp.Backup, Reason: "higher priority 250 from 192.0.2.12",
		Priority: 200, Peer: upper, PeerPriority: 250,
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
}
