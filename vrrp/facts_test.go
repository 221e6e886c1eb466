package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// The policy claims whatever is known, and is no other policy.
func TestClaimClaims(t *testing.T) {
	for _, alive := range []Fact{Unknown, Yes, No} {
		for _, witness := range []Fact{Unknown, Yes, No} {
			if f := (Facts{alive, witness}); !decide(Claim, f) {
				t.Errorf("%+v: the addresses are not claimed", f)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown policy decides")
		}
	}()
	decide(Claim+1, Facts{})
}

// Silence alone is a doubt, and goes by the policy: a router with one that does
// not exist panics. All else does not ask.
func TestDoubtIsAskedAboutSilenceAlone(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.12")
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		event func(r *Router)
		asked bool
	}{
		{"silence", func(r *Router) { r.Tick(r.Next()) }, true},
		{"resignation", func(r *Router) {
			r.Receive(begin, peer, Advert{Priority: 0})
			r.Tick(r.Next())
		}, false},
		{"proven death", func(r *Router) {
			r.Receive(begin, peer, Advert{Priority: 250, Interval: time.Second})
			r.PeerDied(begin, peer, "connection refused")
		}, false},
		{"preemption", func(r *Router) {
			r.Receive(r.Next().Add(-1), peer, Advert{Priority: 100, Interval: time.Second})
			r.Tick(r.Next())
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRouter(Params{
				VRID: 51, Priority: 200, Preempt: true, Interval: time.Second,
				Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}, Self: netip.MustParseAddr("192.0.2.11"),
			})
			if err != nil {
				t.Fatal(err)
			}
			r.Startup(begin)
			r.params.Doubt = Claim + 1
			defer func() {
				if asked := recover() != nil; asked != tt.asked {
					t.Errorf("asked %v, want %v", asked, tt.asked)
				}
				if !tt.asked && r.Role() != Active {
					t.Errorf("role is %v, want %v", r.Role(), Active)
				}
			}()
			tt.event(r)
		})
	}
}

func TestFactsAreKept(t *testing.T) {
	r, err := NewRouter(Params{
		VRID: 51, Priority: 200, Interval: time.Second,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}, Self: netip.MustParseAddr("192.0.2.11"),
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Startup(begin)
	want := Facts{PeerAlive: Yes, Witness: No}
	if out := r.SetFacts(begin, want); out.Change != nil || out.Send != nil || out.Announce {
		t.Errorf("asked for %+v, want nothing", out)
	}
	if got := r.Status().Facts; got != want {
		t.Errorf("status has %+v, want %+v", got, want)
	}
	if got := r.Tick(r.Next()).Change.Facts; got != want {
		t.Errorf("change has %+v, want %+v", got, want)
	}
	if out := r.SetFacts(begin.Add(time.Minute), Facts{}); out.Change == nil || out.Change.To != Backup {
		t.Errorf("a stall goes unnoticed: %+v", out)
	}
}
