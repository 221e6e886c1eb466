package vrrp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

var upper6 = netip.MustParseAddr("fe80::12")

// pair4and6 returns the two routers of a service of both families, started at the
// epoch, and their group.
func pair4and6(t *testing.T) (four, six *vrrp.Router, g *vrrp.Group) {
	t.Helper()
	four, six = newRouter(t, params()), newRouter(t, params6())
	g = vrrp.NewGroup(four, six)
	four.Startup(epoch)
	six.Startup(epoch)
	wantSettled(t, g, epoch)
	return four, six, g
}

// activeGroup returns the same, Active since the returned time.
func activeGroup(t *testing.T) (four, six *vrrp.Router, g *vrrp.Group, now time.Time) {
	t.Helper()
	four, six, g = pair4and6(t)
	now = at(down200)
	four.Tick(now)
	six.Tick(now)
	g.Settle(now)
	wantRole(t, four, vrrp.Active)
	wantRole(t, six, vrrp.Active)
	return four, six, g, now
}

// wantSettled settles g and wants it to ask for nothing.
func wantSettled(t *testing.T, g *vrrp.Group, now time.Time) {
	t.Helper()
	for i, out := range g.Settle(now) {
		if diff := cmp.Diff(vrrp.Output{}, out, byValue); diff != "" {
			t.Errorf("output of router %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestGroupTakesOverTogether(t *testing.T) {
	four, six, g := pair4and6(t)
	now := at(down200)
	wantNothing(t, four.Tick(now))
	wantRole(t, four, vrrp.Backup)
	if !four.Status().Due || six.Status().Due {
		t.Errorf("due: %v and %v, want the first alone", four.Status().Due, six.Status().Due)
	}
	wantNext(t, four, time.Time{})
	wantSettled(t, g, now)
	t.Log("# however long it has to wait, that is no stall")
	wantNothing(t, four.Tick(now.Add(time.Hour)))

	now = now.Add(time.Millisecond)
	wantNothing(t, six.Tick(now))
	outs := g.Settle(now)
	for i, out := range outs {
		if len(out.Send) != 1 || out.Send[0].Priority != 200 || !out.Announce {
			t.Errorf("router %d asks for %+v", i, out)
		}
	}
	wantReason(t, outs[0], "no advertisement from the Active router for 323ms")
	wantReason(t, outs[1], "no advertisement from the Active router for 323ms")
	if got := outs[0].Change.NewActive; got != vrrp.NoResponse {
		t.Errorf("class %v, want %v", got, vrrp.NoResponse)
	}
	for _, r := range []*vrrp.Router{four, six} {
		wantRole(t, r, vrrp.Active)
		wantNext(t, r, now.Add(interval))
		if r.Status().Due {
			t.Error("an Active router is due")
		}
	}
	wantSettled(t, g, now)
}

func TestGroupYieldsTogether(t *testing.T) {
	tests := []struct {
		name  string
		event func(four *vrrp.Router, now time.Time)
		want  vrrp.Reason
	}{
		{"to a better router in one family", func(four *vrrp.Router, now time.Time) {
			four.Receive(now, upper, advert(250))
		}, "virtual router 51 (IPv4) of its group is backup: higher priority 250 from 192.0.2.12"},
		{"when one is shut down", func(four *vrrp.Router, now time.Time) {
			four.Shutdown(now, vrrp.Leave{Reason: "link down"})
		}, "virtual router 51 (IPv4) of its group is init: shutdown: link down"},
		{"when one lingers", func(four *vrrp.Router, now time.Time) {
			four.Shutdown(now, vrrp.Leave{Linger: time.Second})
		}, "virtual router 51 (IPv4) of its group is init: shutdown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			four, six, g, now := activeGroup(t)
			now = now.Add(time.Millisecond)
			tt.event(four, now)
			role, holds := four.Role(), four.Holds()
			outs := g.Settle(now)
			wantReason(t, outs[1], tt.want)
			if len(outs[1].Send) != 1 || outs[1].Send[0].Priority != 0 {
				t.Errorf("sent %v, want a resignation", outs[1].Send)
			}
			wantRole(t, six, vrrp.Backup)
			wantHolds(t, six, false)
			wantNothing(t, outs[0])
			if four.Role() != role || four.Holds() != holds {
				t.Errorf("the cause is touched: %v, holds %v", four.Role(), four.Holds())
			}
			wantSettled(t, g, now)
		})
	}
	t.Run("before one was ever started", func(t *testing.T) {
		four, six := newRouter(t, params()), newRouter(t, params6())
		six.Startup(epoch)
		six.Tick(six.Next())
		wantRole(t, six, vrrp.Active)
		outs := vrrp.NewGroup(four, six).Settle(at(down200))
		wantReason(t, outs[1], "virtual router 51 (IPv4) of its group is init")
	})
	t.Run("when it slept", func(t *testing.T) {
		_, six, g, now := activeGroup(t)
		outs := g.Settle(now.Add(10 * time.Second))
		wantReason(t, outs[0], "stalled for 9.9s")
		wantReason(t, outs[1], "stalled for 9.9s")
		wantSent(t, outs[0])
		wantRole(t, six, vrrp.Backup)
	})
}

// Of groups that lost to each other, the one that had won the first router comes
// back an interval before the others, whatever it still hears of them.
func TestGroupThatWonItsFirstAgainstAnEqualHurries(t *testing.T) {
	tests := []struct {
		name  string
		lose  func(four, six *vrrp.Router, now time.Time)
		waits time.Duration
	}{
		{"lost the second to an equal", func(_, six *vrrp.Router, now time.Time) {
			six.Receive(now, upper6, advert6(200))
		}, down200 - interval},
		{"lost the second to a better", func(_, six *vrrp.Router, now time.Time) {
			six.Receive(now, upper6, advert6(250))
		}, down200},
		{"lost the first to an equal", func(four, _ *vrrp.Router, now time.Time) {
			four.Receive(now, upper, advert(200))
		}, down200},
		{"lost both to an equal", func(four, six *vrrp.Router, now time.Time) {
			four.Receive(now, upper, advert(200))
			six.Receive(now, upper6, advert6(200))
		}, down200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			four, six, g, now := activeGroup(t)
			now = now.Add(time.Millisecond)
			tt.lose(four, six, now)
			g.Settle(now)
			wantNext(t, four, now.Add(tt.waits))
			wantNext(t, six, now.Add(tt.waits))
			t.Log("# a farewell on its way")
			wantNothing(t, four.Receive(now.Add(1), upper, advert(200)))
			wantNext(t, four, now.Add(1+tt.waits))
			t.Log("# an Active router that stays")
			later := now.Add(3 * interval)
			four.Receive(later.Add(-interval), upper, advert(200))
			four.Receive(later, upper, advert(200))
			four.Receive(now.Add(down200), upper, advert(200))
			wantNext(t, four, now.Add(2*down200))
		})
	}
	t.Run("the hurry ends when it is Active", func(t *testing.T) {
		four, six, g, now := activeGroup(t)
		six.Receive(now.Add(1), upper6, advert6(200))
		g.Settle(now.Add(1))
		now = six.Next()
		four.Tick(now)
		six.Tick(now)
		g.Settle(now)
		wantRole(t, six, vrrp.Active)
		four.Receive(now.Add(1), upper, advert(200))
		g.Settle(now.Add(1))
		wantNext(t, four, now.Add(1+down200))
		wantNext(t, six, now.Add(1+down200))
	})
}

func TestDueIsTakenBack(t *testing.T) {
	tests := []struct {
		name  string
		event func(r *vrrp.Router, now time.Time) vrrp.Output
		due   bool
		next  time.Duration // from then; -1: none
	}{
		{"by an acceptable advertisement", func(r *vrrp.Router, now time.Time) vrrp.Output {
			return r.Receive(now, upper, advert(250))
		}, false, down200},
		{"by a resignation", func(r *vrrp.Router, now time.Time) vrrp.Output {
			return r.Receive(now, upper, advert(0))
		}, false, skew200},
		{"not by one that is preempted", func(r *vrrp.Router, now time.Time) vrrp.Output {
			return r.Receive(now, upper, advert(100))
		}, true, -1},
		{"not by a new priority", func(r *vrrp.Router, now time.Time) vrrp.Output {
			return r.SetPriority(now, 190)
		}, true, -1},
		{"not by another start", (*vrrp.Router).Startup, true, -1},
		{"by the end of it all", func(r *vrrp.Router, now time.Time) vrrp.Output {
			r.Shutdown(now, vrrp.Leave{})
			return vrrp.Output{}
		}, false, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			four, _, g := pair4and6(t)
			now := at(down200)
			four.Tick(now)
			wantSettled(t, g, now)
			wantNothing(t, tt.event(four, now.Add(time.Minute)))
			if got := four.Status().Due; got != tt.due {
				t.Errorf("due %v, want %v", got, tt.due)
			}
			want := time.Time{}
			if tt.next >= 0 {
				want = now.Add(time.Minute + tt.next)
			}
			wantNext(t, four, want)
		})
	}
}

// The reason is that of the moment in which the group acts.
func TestGroupGivesEachItsReason(t *testing.T) {
	four, six, g := pair4and6(t)
	four.Receive(at(1), upper, advert(250))
	six.Receive(at(1), upper6, advert6(0))
	six.Tick(at(1 + skew200))
	wantSettled(t, g, at(1+skew200))
	wantNothing(t, four.PeerDied(at(interval), upper, "connection refused"))
	outs := g.Settle(at(interval))
	wantReason(t, outs[0], "the process of the Active router 192.0.2.12 died: connection refused")
	wantReason(t, outs[1], "the Active router resigned (priority 0)")
	if a, b := outs[0].Change.NewActive, outs[1].Change.NewActive; a != vrrp.NoResponse || b != vrrp.ByPriority {
		t.Errorf("classes %v and %v", a, b)
	}
	wantRole(t, four, vrrp.Active)
	wantRole(t, six, vrrp.Active)
}

func TestOwnerInGroup(t *testing.T) {
	p4, p6 := params(), params6()
	p4.Priority, p6.Priority = 255, 255
	four, six := newRouter(t, p4), newRouter(t, p6)
	g := vrrp.NewGroup(four, six)
	wantReason(t, four.Startup(epoch), "started")
	wantRole(t, four, vrrp.Backup)
	wantSettled(t, g, epoch)
	six.Startup(at(1))
	outs := g.Settle(at(1))
	wantReason(t, outs[0], "this node owns the address")
	wantSent(t, outs[0], 255)
	wantRole(t, four, vrrp.Active)
	wantRole(t, six, vrrp.Active)
}

// A group of one is no group, and a router that leaves its group is free.
func TestRouterAloneInItsGroup(t *testing.T) {
	four := newRouter(t, params())
	g := vrrp.NewGroup(four)
	four.Startup(epoch)
	wantSettled(t, g, epoch)
	wantSent(t, four.Tick(at(down200)), 200)
	wantSettled(t, g, at(down200))

	t.Log("# due in the old group, Active in the new")
	four, _, _ = pair4and6(t)
	wantNothing(t, four.Tick(at(down200)))
	outs := vrrp.NewGroup(four).Settle(at(down200))
	wantSent(t, outs[0], 200)
	wantRole(t, four, vrrp.Active)
}
