package agent

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/vrrp"
)

// down is how long lb2, of priority 150, waits for an Active router at 100 ms.
const down = 341 * time.Millisecond

func TestTakeoverAdvertisesThenHoldsThenAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		synctest.Wait()
		n.expectOwners()
		time.Sleep(down)
		n.expectOwners("lb1")
		if got := n.seen(""); !slices.Equal(got[:3], []string{"lb1 advert 200", "lb1 hold", "lb1 announce"}) {
			t.Errorf("order of a takeover: %v", got)
		}
		if s := lb1.state(); s.Status.Role != vrrp.Active || !s.Holds || s.Error != "" {
			t.Errorf("state %+v", s)
		}
	})
}

func TestOneOwnerOfTwoAndTakeoverWhenItVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		lb2 := n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(5 * time.Second)
		n.expectOwners("lb1")

		t.Log("# lb1 is cut off: both believe they are Active")
		lb1.setCut(true)
		time.Sleep(down)
		n.expectOwners("lb1", "lb2")

		t.Log("# the cut heals: one owner, and its announcement is the last")
		n.seen("")
		lb1.setCut(false)
		time.Sleep(time.Second)
		n.expectOwners("lb1")
		announced := n.seen("announce")
		if len(announced) == 0 || announced[len(announced)-1] != "lb1 announce" {
			t.Errorf("announcements after the heal: %v", announced)
		}
		if s := lb2.state(); s.Status.Role != vrrp.Backup || s.Holds {
			t.Errorf("lb2 %+v", s)
		}
	})
}

func TestUnfitNodeYieldsAtOnceAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)
		n.expectOwners("lb1")

		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "the proxy does not serve"}}
		synctest.Wait()
		n.expectOwners() // given up in no time, taken over after lb2's skew
		time.Sleep(50 * time.Millisecond)
		n.expectOwners("lb2")
		if s := lb1.state(); s.Status.Role != vrrp.Init || s.Error != "the proxy does not serve" {
			t.Errorf("lb1 %+v", s)
		}

		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(down)
		n.expectOwners("lb1")
	})
}

func TestDemotedNodeStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		lb2 := n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)
		n.expectOwners("lb1")

		t.Log("# demoted: the other takes over after its skew, and keeps the VIP")
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true, Demoted: true, Reason: "it reaches no server"}}
		time.Sleep(100 * time.Millisecond)
		n.expectOwners("lb2")
		time.Sleep(time.Minute)
		n.expectOwners("lb2")
		if s := lb1.state().Status; s.Role != vrrp.Backup || s.Priority != 1 {
			t.Errorf("lb1 %+v", s)
		}

		t.Log("# but when nobody better is left, it serves within four intervals")
		lb2.setCut(true)
		time.Sleep(400 * time.Millisecond)
		n.mu.Lock()
		has := lb1.has()
		n.mu.Unlock()
		if !has {
			t.Error("lb1 did not take over")
		}
		lb2.setCut(false)
		time.Sleep(time.Second)
		n.expectOwners("lb2")

		t.Log("# as good as ever")
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(time.Second)
		n.expectOwners("lb1")
	})
}

func TestLeaveNeverLeavesTheVIPWithoutOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)

		lb1.messages <- ipc.ToAgent{Leave: &ipc.Leave{}}
		for range 200 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if len(n.owners()) == 0 {
				t.Fatal("nobody has the VIP")
			}
		}
		n.expectOwners("lb2")
		<-lb1.done
	})
}

func TestLeaveWithoutSuccessorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Second)
		began := time.Now()
		lb1.messages <- ipc.ToAgent{Leave: &ipc.Leave{}}
		<-lb1.done
		if d := time.Since(began); d > lingerAtMost {
			t.Errorf("it took %v", d)
		}
		n.expectOwners()
	})
}

func TestDeathOfTheSupervisorYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)
		n.seen("")
		close(lb1.messages)
		<-lb1.done
		if got := n.seen("lb1"); !slices.Equal(got, []string{"lb1 advert 0", "lb1 release"}) {
			t.Errorf("lb1 did %v", got)
		}
		time.Sleep(50 * time.Millisecond)
		n.expectOwners("lb2")
	})
}

func TestLeaseIsRenewedOnlyWhileTheLoopTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute)
		n.expectOwners("lb1")
		if got := n.seen("hold"); len(got) != 1 {
			t.Errorf("the address was set %d times, want once", len(got))
		}
		t.Log("# the loop dies without a word; nothing else may renew")
		lb1.stop()
		<-lb1.done
		n.expectOwners()
	})
}

func TestAddressRemovedByHandIsSetAgainAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute)
		n.seen("")
		lb1.remove()
		synctest.Wait()
		n.expectOwners("lb1")
		time.Sleep(minAnnounceGap)
		synctest.Wait()
		if got := n.seen(""); !slices.Contains(got, "lb1 hold") || !slices.Contains(got, "lb1 announce") {
			t.Errorf("lb1 did %v", got)
		}

		t.Log("# somebody removes it all the time: the node stands down, and tries again later")
		for range 1000 {
			lb1.remove()
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if holds := len(n.seen("hold")); holds < 3 || holds > 6 {
			t.Errorf("set %d times in 10 s", holds)
		}
		s := lb1.state()
		if s.Status.Role != vrrp.Init || !strings.Contains(s.Error, "keeps being removed from eth0 by someone else") || s.Removals < 5 {
			t.Errorf("lb1 %+v", s)
		}
		time.Sleep(holdDown)
		n.expectOwners("lb1")
	})
}

func TestNodeThatCannotHoldDoesNotAdvertise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.holdErr = errors.New("hold 192.0.2.100/24: operation not permitted")
		lb1.run(router("192.0.2.11", 200))
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(2 * time.Second)
		n.expectOwners("lb2")
		if s := lb1.state(); s.Status.Role != vrrp.Init || !strings.Contains(s.Error, "operation not permitted") {
			t.Errorf("lb1 %+v", s)
		}
		if got := n.seen("lb1 advert 200"); len(got) != 1 {
			t.Errorf("it advertised %d times", len(got))
		}

		t.Log("# the cause is gone: it returns after the hold-down")
		n.mu.Lock()
		lb1.holdErr = nil
		n.mu.Unlock()
		time.Sleep(holdDown + time.Second)
		n.expectOwners("lb1")
	})
}

func TestNodeThatCannotAdvertiseDoesNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Second)
		n.expectOwners("lb1")
		n.mu.Lock()
		lb1.sendErr = errors.New("send VRRP: network is unreachable")
		n.mu.Unlock()
		time.Sleep(3 * time.Second)
		n.expectOwners()
		if s := lb1.state(); !strings.Contains(s.Error, "nobody hears this node") {
			t.Errorf("lb1 %+v", s)
		}
		n.mu.Lock()
		lb1.sendErr = nil
		n.mu.Unlock()
		time.Sleep(holdDown)
		n.expectOwners("lb1")
	})
}

func TestLinkLossYieldsAndItsReturnAsksTheElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		n.start("lb2", router("192.0.2.12", 150))
		lb1.onLink(Link{Name: "eth0", Up: true, Index: 2})
		time.Sleep(time.Second)
		n.expectOwners("lb1")

		lb1.setCut(true)
		lb1.onLink(Link{Name: "eth0", Index: 2})
		synctest.Wait()
		n.expectOwners()
		time.Sleep(down)
		n.expectOwners("lb2")
		if s := lb1.state(); s.Error != "link eth0 is down" {
			t.Errorf("lb1 %+v", s)
		}

		lb1.setCut(false)
		lb1.onLink(Link{Name: "eth0", Up: true, Index: 2})
		time.Sleep(100 * time.Millisecond)
		n.expectOwners("lb2")
		time.Sleep(down)
		n.expectOwners("lb1")
	})
}

func TestAnotherInterfaceOfTheNameGetsANewSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		lb1.onLink(Link{Name: "eth0", Up: true, Index: 2})
		time.Sleep(time.Second)
		n.mu.Lock()
		first := lb1.socket
		n.mu.Unlock()
		lb1.onLink(Link{Name: "eth0", Index: 2})
		lb1.onLink(Link{Name: "eth0", Up: true, Index: 9})
		time.Sleep(2 * time.Second)
		n.expectOwners("lb1")
		n.mu.Lock()
		defer n.mu.Unlock()
		if lb1.socket == first {
			t.Error("the socket of the deleted interface is still in use")
		}
	})
}

func TestSocketThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.listenErr = errors.New("raw sockets need CAP_NET_RAW")
		lb1.run(router("192.0.2.11", 200))
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(10 * time.Second)
		n.expectOwners()
		if s := lb1.state(); !strings.Contains(s.Error, "CAP_NET_RAW") {
			t.Errorf("lb1 %+v", s)
		}
		if got := len(lb1.logs); got != 1 {
			t.Errorf("%d log lines, want one: %v", got, lb1.logs)
		}
		n.mu.Lock()
		lb1.listenErr = nil
		n.mu.Unlock()
		time.Sleep(2 * time.Second)
		n.expectOwners("lb1")
	})
}

func TestLeftOverAddressIsSweptBeforeAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.leftOver, lb1.expires = true, time.Now().Add(time.Hour)
		lb1.run(router("192.0.2.11", 200))
		n.expectOwners()
	})
}

func TestPermanentAddressKeepsTheNodeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.sweepErr = errors.New(`192.0.2.100/24 on "eth0" is set permanently`)
		lb1.run(router("192.0.2.11", 200))
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(5 * time.Second)
		n.expectOwners()
		if s := lb1.state(); !strings.Contains(s.Error, "set permanently") {
			t.Errorf("lb1 %+v", s)
		}
		n.mu.Lock()
		lb1.sweepErr = nil
		n.mu.Unlock()
		time.Sleep(2 * time.Second)
		n.expectOwners("lb1")
	})
}

func TestReconfigurationTouchesOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		same := router("192.0.2.11", 200)
		lb1 := n.start("lb1", same)
		time.Sleep(time.Second)
		since := lb1.state().Status.Since
		lb1.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{Routers: []ipc.Router{same}}}
		time.Sleep(time.Second)
		if got := lb1.state().Status; got.Role != vrrp.Active || !got.Since.Equal(since) {
			t.Errorf("an equal router became %+v", got)
		}

		t.Log("# another priority is another router")
		lb1.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{Routers: []ipc.Router{router("192.0.2.11", 120)}}}
		time.Sleep(time.Second)
		n.expectOwners("lb1")
		if got := lb1.state().Status; got.Priority != 120 {
			t.Errorf("it became %+v", got)
		}

		t.Log("# none at all")
		lb1.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{}}
		n.expectOwners()
	})
}

func TestForeignAndMalformedPacketsChangeNothing(t *testing.T) {
	good := func(mutate func([]byte)) []byte {
		p := router("192.0.2.12", 250).Params
		b, err := vrrp.Advert{Version: 3, VRID: 51, Priority: 250, Interval: p.Interval, Addresses: p.Addresses}.
			Append(nil, vrrp.Header{Source: p.Self, Destination: groupIPv4}, vrrp.PseudoHeader)
		if err != nil {
			t.Fatal(err)
		}
		mutate(b)
		return b
	}
	from := router("192.0.2.12", 250).Params.Self
	for name, packet := range map[string][]byte{
		"wrong TTL":       ipv4(from, 254, good(func([]byte) {})),
		"wrong VRID":      ipv4(from, 255, good(func(b []byte) { b[1] = 52 })),
		"foreign version": ipv4(from, 255, good(func(b []byte) { b[0] = 0x41 })),
		"wrong checksum":  ipv4(from, 255, good(func(b []byte) { b[6]++ })),
		"cut short":       ipv4(from, 255, good(func([]byte) {})[:9]),
		"empty":           {},
		"one byte":        {0x45},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newLAN(t)
				lb1 := n.start("lb1", router("192.0.2.11", 200))
				time.Sleep(time.Second)
				for range 100 {
					n.mu.Lock()
					lb1.socket.deliver(packet)
					n.mu.Unlock()
					time.Sleep(10 * time.Millisecond)
				}
				n.expectOwners("lb1")
				if got := lb1.state().Status; got.Counters.Transitions != 1 || got.Counters.Received != 0 {
					t.Errorf("counters %+v", got.Counters)
				}
			})
		})
	}
	t.Run("the good one is believed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newLAN(t)
			lb1 := n.start("lb1", router("192.0.2.11", 200))
			time.Sleep(time.Second)
			n.mu.Lock()
			lb1.socket.deliver(ipv4(from, 255, good(func([]byte) {})))
			n.mu.Unlock()
			n.expectOwners()
		})
	})
}

func TestDeathNoticeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		lb2 := n.start("lb2", router("192.0.2.12", 150))
		watched := &ipc.Notice{Node: "lb2", Self: netip.MustParseAddrPort("192.0.2.12:7947"), Peer: netip.MustParseAddrPort("192.0.2.11:7947")}
		lb2.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{Routers: []ipc.Router{router("192.0.2.12", 150)}, Notice: watched}}
		time.Sleep(time.Second)
		n.expectOwners("lb1")

		t.Log("# what proves nothing changes nothing")
		for _, k := range []notice.Kind{notice.Connected, notice.Lost, notice.Goodbye, notice.Unreachable} {
			lb2.watch.events <- notice.Event{Kind: k, Evidence: "evidence"}
			n.expectOwners("lb1")
		}

		t.Log("# a proof that is none: who is said to be dead is heard, and the watch is told")
		lb2.watch.events <- notice.Event{Kind: notice.Died, Evidence: "a firewall"}
		time.Sleep(time.Second)
		n.mu.Lock()
		if lb2.watch.contradicted == 0 {
			t.Error("the watch is not told that the peer is heard")
		}
		n.mu.Unlock()
		lb2.watch.events <- notice.Event{Kind: notice.Distrusted}
		n.expectOwners("lb1")

		t.Log("# proof does, in no time")
		lb1.setCut(true)
		lb1.stop()
		<-lb1.done
		died := time.Now()
		lb2.watch.events <- notice.Event{Kind: notice.Died, Evidence: "connection refused"}
		n.expectOwners("lb2")
		s := lb2.state()
		if d := s.Status.Since.Sub(died); d != 0 || !strings.Contains(string(s.Status.Reason), "died: connection refused") {
			t.Errorf("after %v, because %q", d, s.Status.Reason)
		}

		t.Log("# and who leaves says goodbye")
		lb2.messages <- ipc.ToAgent{Leave: &ipc.Leave{}}
		<-lb2.done
		if !slices.Equal(lb2.watch.goodbyes, []string{"leaving"}) {
			t.Errorf("goodbyes %q", lb2.watch.goodbyes)
		}
	})
}

func TestNoiseMakesNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute)
		n.seen("")
		t.Log("# a node that does not hear lb1 advertises its lesser priority for a minute")
		p := router("192.0.2.12", 150).Params
		b, err := vrrp.Advert{Version: 3, VRID: 51, Priority: 150, Interval: p.Interval, Addresses: p.Addresses}.
			Append(nil, vrrp.Header{Source: p.Self, Destination: groupIPv4}, vrrp.PseudoHeader)
		if err != nil {
			t.Fatal(err)
		}
		for range 6000 {
			n.mu.Lock()
			lb1.socket.deliver(ipv4(p.Self, 255, b))
			n.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
		n.expectOwners("lb1")
		if got := len(n.seen("announce")); got < 50 || got > 200 {
			t.Errorf("announced %d times in a minute", got)
		}
	})
}

func TestClaimThatNobodyHearsIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		n.start("lb2", router("192.0.2.12", 150))
		time.Sleep(time.Second)
		n.expectOwners("lb2")
		n.seen("")
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.sendErr = errors.New("send VRRP: operation not permitted: a packet filter drops it")
		lb1.run(router("192.0.2.11", 200))
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			n.expectOwners("lb2")
		}
		if got := n.seen("lb1"); len(got) != 0 {
			t.Errorf("lb1 did %v", got)
		}
		if s := lb1.state(); !strings.Contains(s.Error, "a packet filter drops it") {
			t.Errorf("lb1 %+v", s)
		}
	})
}

// TestLoopDoesNotSpin lets time pass in states that once left a deadline in the
// past: then it would not pass at all.
func TestLoopDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.host("lb1", router("192.0.2.11", 200).Params.Self)
		lb1.holdErr = errors.New("no")
		lb1.run(router("192.0.2.11", 200))
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(time.Minute)
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "unfit"}}
		time.Sleep(time.Minute)
		n.mu.Lock()
		lb1.holdErr, lb1.listenErr = nil, errors.New("no socket")
		n.mu.Unlock()
		lb1.messages <- ipc.ToAgent{Leave: &ipc.Leave{}}
		<-lb1.done
	})
}

func TestHealedBackupShowsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Second)
		n.start("lb2", router("192.0.2.12", 250))
		n.mu.Lock()
		lb1.sendErr = errors.New("network is unreachable")
		n.mu.Unlock()
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "unfit"}} // its resignation cannot be sent
		time.Sleep(time.Second)
		n.mu.Lock()
		lb1.sendErr = nil
		n.mu.Unlock()
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(time.Second)
		if s := lb1.state(); s.Status.Role != vrrp.Backup || s.Error != "" {
			t.Errorf("lb1 %+v", s)
		}
	})
}

func TestForeignAnnouncementIsAnsweredInALaterEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute)
		before := lb1.state().Epoch
		if before == 0 {
			t.Error("a takeover has no epoch")
		}
		n.seen("")
		lb1.messages <- ipc.ToAgent{Announce: &ipc.Announce{Router: "main", Above: before + 7}}
		if got := lb1.state(); got.Epoch != before+8 || got.Heard != before+7 {
			t.Errorf("epoch %d, heard %d, want %d, %d", got.Epoch, got.Heard, before+8, before+7)
		}
		if got := n.seen("announce"); len(got) == 0 {
			t.Error("nothing was announced")
		}

		t.Log("# a node without the address does not announce it")
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "unfit"}}
		synctest.Wait()
		n.seen("")
		lb1.messages <- ipc.ToAgent{Announce: &ipc.Announce{Router: "main", Above: before + 99}}
		synctest.Wait()
		if got := n.seen("announce"); len(got) != 0 {
			t.Errorf("announced %v", got)
		}

		t.Log("# but it begins above it, and does not answer what is older")
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
		time.Sleep(time.Minute)
		if got := lb1.state().Epoch; got != before+100 {
			t.Errorf("epoch %d, want %d", got, before+100)
		}
		n.seen("")
		lb1.messages <- ipc.ToAgent{Announce: &ipc.Announce{Router: "main", Above: before + 99}}
		synctest.Wait()
		if got := n.seen("announce"); len(got) != 0 {
			t.Errorf("announced %v", got)
		}
	})
}

func TestOnlyTheNewestOfAQueueIsJudged(t *testing.T) {
	a, b := &instance{}, &instance{}
	p, q := router("192.0.2.11", 1).Params.Self, router("192.0.2.12", 1).Params.Self
	adv := func(priority uint8) vrrp.Advert { return vrrp.Advert{Priority: priority} }
	got := newest([]heard{{a, p, adv(1)}, {b, p, adv(2)}, {a, q, adv(3)}, {a, p, adv(4)}, {a, p, adv(5)}, {b, p, adv(6)}})
	var priorities []uint8
	for _, h := range got {
		priorities = append(priorities, h.adv.Priority)
	}
	if want := []uint8{3, 5, 6}; !slices.Equal(priorities, want) {
		t.Errorf("judged %v, want %v", priorities, want)
	}
}
