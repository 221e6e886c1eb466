package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

var stranger = Claim{Address: vipPrefix.Addr(), MAC: ownership.MAC{0x02, 0, 0, 0, 0, 0x66}}

func TestClaimOfAnotherHostIsReportedAndAnnouncedAgainst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute)
		if s := lb1.state(); s.Conflict != nil {
			t.Errorf("a conflict from nowhere: %+v", s.Conflict)
		}
		n.seen("")

		lb1.claims(stranger)
		time.Sleep(time.Millisecond)
		if got := n.seen("announce"); len(got) != 1 {
			t.Errorf("announced against it %d times at once", len(got))
		}
		s := lb1.state()
		if s.Conflict == nil || s.Conflict.Address != vipPrefix.Addr() || s.Conflict.MAC != "02:00:00:00:00:66" || s.Conflict.Count != 1 {
			t.Errorf("reported %+v", s.Conflict)
		}

		t.Log("# it claims the address a hundred times a second: counted, without a storm and without a flood of logs")
		n.mu.Lock()
		lb1.logs = nil
		n.mu.Unlock()
		for range 1000 {
			lb1.claims(stranger)
			time.Sleep(10 * time.Millisecond)
		}
		if got := len(n.seen("announce")); got < 10 || got > 60 {
			t.Errorf("announced %d times in 10 s", got)
		}
		if s := lb1.state(); s.Conflict.Count != 1001 {
			t.Errorf("counted %d claims", s.Conflict.Count)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, line := range lb1.logs {
			if strings.Contains(line, "another host answers") {
				t.Errorf("logged again: %q", line)
			}
		}
	})
}

// The node that had the addresses may still say so, right after it lost them; and
// who has none cannot be in conflict.
func TestClaimsThatSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Second)
		lb2 := n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)
		lb2.claims(stranger)
		if s := lb2.state(); s.Conflict != nil {
			t.Errorf("a backup reports %+v", s.Conflict)
		}
		other := stranger
		other.Address = netip.MustParseAddr("192.0.2.9")
		lb1.claims(other)
		if s := lb1.state(); s.Conflict != nil {
			t.Errorf("another's address: %+v", s.Conflict)
		}
		lb1.setCut(true)
		time.Sleep(400 * time.Millisecond)
		lb2.claims(stranger)
		if s := lb2.state(); s.Status.Role != vrrp.Active || s.Conflict != nil {
			t.Errorf("right after the takeover: %+v", s)
		}
	})
}

func TestHeldAddressesAreProbedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		n.start("lb1", router("192.0.2.11", 200))
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(5*time.Minute + 5*time.Second)
		probes := n.seen("probe")
		if len(probes) < 7 || len(probes) > 11 || slices.ContainsFunc(probes, func(s string) bool { return s != "lb1 probe" }) {
			t.Errorf("probed %d times in 5 minutes: %v", len(probes), probes)
		}
	})
}

func TestVirtualMACLivesOnADeviceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		r := router("192.0.2.11", 200)
		r.VirtualMAC = true
		lb1 := n.start("lb1", r)
		time.Sleep(time.Second)
		n.expectOwners("lb1")
		n.mu.Lock()
		if on := lb1.heldOn[vipPrefix]; on != "vrrp4-51-eth0" {
			t.Errorf("held on %q", on)
		}
		if o := lb1.listened; o.Virtual != (ownership.MAC{0, 0, 0x5e, 0, 1, 51}) || o.Interface != "eth0" {
			t.Errorf("listened with %+v", o)
		}
		n.mu.Unlock()

		t.Log("# an address that vanishes from the device is set again")
		n.seen("")
		n.mu.Lock()
		lb1.expires = time.Time{}
		n.mu.Unlock()
		lb1.onGone("vrrp4-51-eth0", vipPrefix)
		n.expectOwners("lb1")

		t.Log("# unfit: the address goes first, then the device is silenced; at the end it is removed")
		n.seen("")
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "unfit"}}
		synctest.Wait()
		if got := n.seen(""); !slices.Equal(got, []string{"lb1 advert 0", "lb1 release", "lb1 device down"}) {
			t.Errorf("lb1 did %v", got)
		}
		lb1.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{Routers: []ipc.Router{router("192.0.2.11", 200)}}}
		synctest.Wait()
		if got := n.seen("device"); !slices.Equal(got, []string{"lb1 device remove"}) {
			t.Errorf("without virtual MAC: %v", got)
		}
	})
}

func TestDeviceIsRemovedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		r := router("192.0.2.11", 200)
		r.VirtualMAC = true
		lb1 := n.start("lb1", r)
		time.Sleep(time.Second)
		n.seen("")
		lb1.messages <- ipc.ToAgent{Leave: &ipc.Leave{}}
		<-lb1.done
		got := n.seen("")
		if len(got) < 3 || !slices.Equal(got[len(got)-3:], []string{"lb1 release", "lb1 device down", "lb1 device remove"}) {
			t.Errorf("lb1 did %v", got)
		}
	})
}

func TestWhatIsTrackedIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		r := router("192.0.2.11", 200)
		r.Track = ipc.Track{Interfaces: []string{"eth1"}, Gateway: netip.MustParseAddr("192.0.2.1")}
		lb1 := n.start("lb1", r)
		time.Sleep(time.Second)
		if lost := lb1.state().Lost; len(lost) != 1 || lost[0].What != "interface eth1" {
			t.Errorf("an interface that does not exist: %+v", lost)
		}
		lb1.onLink(Link{Name: "eth1", Up: true, Index: 3})
		lb1.gatewayAnswers(true)
		if lost := lb1.state().Lost; len(lost) != 0 {
			t.Errorf("all is there: %+v", lost)
		}
		time.Sleep(time.Second)
		down := time.Now()
		lb1.onLink(Link{Name: "eth1", Index: 3})
		lb1.gatewayAnswers(false)
		time.Sleep(time.Second)
		want := []ipc.Lost{{What: "interface eth1", Since: down}, {What: "gateway 192.0.2.1", Since: down}}
		if lost := lb1.state().Lost; !slices.EqualFunc(lost, want, func(a, b ipc.Lost) bool { return a.What == b.What && a.Since.Equal(b.Since) }) {
			t.Errorf("lost %+v, want %+v", lost, want)
		}
	})
}

func TestLoweredPriorityMovesTheVIPWithoutAGap(t *testing.T) {
	for _, preempt := range []bool{true, false} {
		t.Run(fmt.Sprintf("preempt %v", preempt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newLAN(t)
				a, b := router("192.0.2.11", 200), router("192.0.2.12", 150)
				a.Params.Preempt, b.Params.Preempt = preempt, preempt
				lb1 := n.start("lb1", a)
				time.Sleep(time.Second)
				n.start("lb2", b)
				time.Sleep(time.Second)
				n.expectOwners("lb1")
				lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true, Lowered: map[string]ipc.Lowered{
					"main": {By: 51, Reason: "gateway 192.0.2.1 does not answer"}, "other": {By: 199}}}}
				for range 500 {
					synctest.Wait()
					if len(n.owners()) == 0 {
						t.Fatal("nobody has the VIP")
					}
					time.Sleep(time.Millisecond)
				}
				n.expectOwners("lb2")
				if s := lb1.state().Status; s.Priority != 149 {
					t.Errorf("lb1 has priority %d", s.Priority)
				}
			})
		})
	}
}

func TestStallIsPublished(t *testing.T) {
	var c = newCore(outside{owner: nowhere{}, reporter: nowhere{}, watches: nowhere{}, sockets: nowhere{}, jitter: halfway}, &peerWatch{})
	now := time.Unix(1000, 0)
	c.step(now, func(now time.Time) { c.configure(now, []ipc.Router{router("192.0.2.11", 200)}) })
	c.step(now, func(now time.Time) { c.fitness(now, ipc.Fitness{Fit: true}) })
	c.step(now, func(now time.Time) {
		c.opened(now, opened{options: c.instances[0].socket, conn: nowhere{}})
		c.fact(now, ownership.Fact{Name: "main"})
	})
	run := func(d time.Duration) {
		for end := now.Add(d); ; {
			next := c.deadline
			if next.After(end) {
				now = end
				return
			}
			now = next
			c.step(now, nil)
		}
	}
	run(time.Second)
	c.fact(now, ownership.Fact{Name: "main", Generation: 1, Held: true, At: now})
	if c.instances[0].vr.Status().Role != vrrp.Active || c.slept.Count != 0 {
		t.Fatalf("%+v, slept %+v", c.instances[0].vr.Status(), c.slept)
	}
	now = now.Add(200 * time.Millisecond)
	c.step(now, nil)
	if c.slept.Count != 0 {
		t.Errorf("a short delay is taken for a stall: %+v", c.slept)
	}
	now = now.Add(812 * time.Millisecond)
	c.step(now, nil)
	if c.slept.Count != 1 || c.slept.For < 700*time.Millisecond || c.slept.For > 812*time.Millisecond || !c.slept.At.Equal(now) {
		t.Errorf("slept %+v", c.slept)
	}
	if role := c.instances[0].vr.Status().Role; role != vrrp.Backup {
		t.Errorf("after the stall it is %v", role)
	}
}

// nowhere does nothing of what the core asks for.
type nowhere struct{}

func (nowhere) Set(ownership.Want)                                 {}
func (nowhere) Emit(ownership.Emission)                            {}
func (nowhere) state(*ipc.AgentState)                              {}
func (nowhere) log(string, string, map[string]any)                 {}
func (nowhere) role(string, string, map[string]any)                {}
func (nowhere) want([]GatewayOptions, []ClaimOptions)              {}
func (nowhere) open(SocketOptions)                                 {}
func (nowhere) close(Socket)                                       {}
func (nowhere) TryRead([]byte) (p vrrp.Packet, ok bool, err error) { return p, false, nil }
func (nowhere) Send([]byte, netip.Addr) error                      { return nil }
func (nowhere) Close() error                                       { return nil }
