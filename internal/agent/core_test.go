package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

// solo is a core in simulated time whose owner succeeds at once.
type solo struct {
	*core
	nowhere
	t     *testing.T
	now   time.Time
	facts []ownership.Fact
	sent  []emitted
}

// emitted is an emission with its time.
type emitted struct {
	at     time.Time
	frames []ownership.Frame
}

func newSolo(t *testing.T, routers ...ipc.Router) *solo {
	s := &solo{t: t, now: time.Unix(1000, 0)}
	s.core = newCore(outside{owner: s, reporter: s.nowhere, watches: s.nowhere, sockets: s.nowhere, jitter: halfway}, &peerWatch{})
	s.core.step(s.now, func(now time.Time) { s.configure(now, routers) })
	s.core.step(s.now, func(now time.Time) { s.fitness(now, ipc.Fitness{Fit: true}) })
	for _, in := range s.instances {
		if in.sock == nil {
			o := opened{options: in.socket, conn: nowhere{}}
			s.core.step(s.now, func(now time.Time) { s.opened(now, o) })
		}
	}
	s.run(0)
	return s
}

func (s *solo) Set(w ownership.Want) {
	s.facts = append(s.facts, ownership.Fact{Name: w.Router.Name, Generation: w.Generation, Held: w.Hold, At: s.now, Device: w.Router.Interface})
}

func (s *solo) Emit(e ownership.Emission) { s.sent = append(s.sent, emitted{s.now, e.Frames}) }

// run lets time pass.
func (s *solo) run(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			s.t.Fatal("the core spins")
		}
		facts := s.facts
		s.facts = nil
		for _, f := range facts {
			s.core.step(s.now, func(now time.Time) { s.fact(now, f) })
		}
		switch {
		case len(s.facts) > 0:
		case s.deadline.After(end):
			s.now = end
			return
		default:
			s.now = s.deadline
			s.core.step(s.now, nil)
		}
	}
}

// numbered returns a router of its own group.
func numbered(i int) ipc.Router {
	r := router("192.0.2.11", 200)
	r.Name = fmt.Sprintf("vip%d", i)
	r.VIP, r.Group = r.Name, r.Name
	a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	r.Params.VRID, r.Params.Addresses, r.Prefixes = uint8(i), []netip.Addr{a}, []netip.Prefix{netip.PrefixFrom(a, 24)}
	return r
}

func TestManyVIPsAreAnnouncedUnderTheCap(t *testing.T) {
	var routers []ipc.Router
	for i := range 200 {
		routers = append(routers, numbered(i+20))
	}
	s := newSolo(t, routers...)
	s.run(12 * time.Second)
	first := map[netip.Addr]time.Time{}
	for i, e := range s.sent {
		frames := 0.0
		for _, later := range s.sent[i:] {
			if later.at.Sub(e.at) >= time.Second {
				break
			}
			for _, f := range later.frames {
				frames += cost(f)
			}
		}
		if frames > framesPerSecond+framesAtOnce {
			t.Fatalf("%v frames in a second", frames)
		}
		for _, f := range e.frames {
			if first[f.Addr].IsZero() {
				first[f.Addr] = e.at
			}
		}
	}
	if len(first) != 200 {
		t.Fatalf("%d of 200 addresses were announced", len(first))
	}
	claimed := s.instances[0].claimedAt
	for addr, at := range first {
		if at.Sub(claimed) > 250*time.Millisecond {
			t.Errorf("%s was first announced %v after the takeover", addr, at.Sub(claimed))
		}
	}
}

func TestGroupTakesPartTogetherOrNotAtAll(t *testing.T) {
	a, b := numbered(51), numbered(52)
	a.Group, b.Group, b.Interface = "all", "all", "eth1"
	s := newSolo(t, a, b)
	s.run(time.Second)
	roles := func(want vrrp.Role) {
		t.Helper()
		for _, in := range s.instances {
			if in.vr.Role() != want {
				t.Errorf("%s is %v, want %v", in.cfg.Name, in.vr.Role(), want)
			}
		}
	}
	roles(vrrp.Active)
	s.core.step(s.now, func(now time.Time) { s.link(now, Link{Name: "eth1", Index: 3}) })
	roles(vrrp.Init)
	if text := s.instances[0].state(s.now, s.fit).Error; text != "vip52: link eth1 is down" {
		t.Errorf("vip51 says %q", text)
	}
	s.core.step(s.now, func(now time.Time) { s.link(now, Link{Name: "eth1", Index: 3, Up: true}) })
	s.run(time.Second)
	roles(vrrp.Active)

	t.Log("# what one of them cannot hold, none does")
	s.core.step(s.now, func(now time.Time) { s.gone(now, gone{"eth1", s.instances[1].cfg.Prefixes[0]}) })
	for range 10 {
		s.core.step(s.now, func(now time.Time) { s.gone(now, gone{"eth1", s.instances[1].cfg.Prefixes[0]}) })
	}
	roles(vrrp.Init)
	if text := s.instances[0].state(s.now, s.fit).Error; !strings.Contains(text, "vip52: addresses cannot be held: 192.0.2.52/24 keeps being removed from eth1") {
		t.Errorf("vip51 says %q", text)
	}
}

// halfway is a jitter that is always the same.
func halfway() float64 { return 0.5 }

// Nobody else is there, so it is still the owner; that the lease ran out meanwhile is
// no fault of the kernel's.
func TestNodeThatWakesAloneSetsItsAddressesAgain(t *testing.T) {
	s := newSolo(t, numbered(51))
	s.run(10 * time.Second)
	s.now = s.now.Add(time.Minute) // in which it does not run
	s.core.step(s.now, nil)
	if len(s.facts) != 1 {
		t.Errorf("the owner was asked %d times when it woke, want once", len(s.facts))
	}
	s.run(time.Second)
	if in := s.instances[0]; in.vr.Role() != vrrp.Active || !in.holds() || in.holdErr != nil {
		t.Errorf("role %v, holds %v, error %v", in.vr.Role(), in.holds(), in.holdErr)
	}
}

// A node that was frozen wakes up to its successor's announcements: they are no
// conflict, since it has lost.
func TestClaimOfASuccessorAfterAStallIsNoConflict(t *testing.T) {
	for _, tc := range []struct {
		stall time.Duration
		want  bool
	}{{50 * time.Millisecond, true}, {time.Second, false}} {
		s := newSolo(t, router("192.0.2.11", 200))
		s.run(5 * time.Second)
		epoch := s.instances[0].epoch
		s.now = s.now.Add(tc.stall)
		s.core.step(s.now, func(now time.Time) { s.saw(now, sight{ifname: "eth0", claim: stranger}) })
		in := s.instances[0]
		if got := in.conflict != nil; got != tc.want || in.epoch > epoch != tc.want {
			t.Errorf("a claim heard after %v: conflict %v, epoch %d after %d; want one: %t", tc.stall, in.conflict, in.epoch, epoch, tc.want)
		}
	}
}
