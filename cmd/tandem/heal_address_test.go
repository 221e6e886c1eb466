package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// healsWithin is how long an address may be missing that somebody removed, where
// nothing else of the machine gets in the way.
const healsWithin = 80 * time.Millisecond

// TestRemovedVIPIsSetAndAnnouncedAgain is about one mistake.
func TestRemovedVIPIsSetAndAnnouncedAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.expectOwner(p.lb1, patience)
	takeovers := p.lb2.takeovers()
	announcements := listenForAnnouncements(t, p.Lab.Host(failover.Client))
	var quickest time.Duration
	for range 3 {
		removed := time.Now()
		if err := p.lb1.host.DelAddress(failover.VIP()); err != nil {
			t.Fatal(err)
		}
		p.lb1.eventually(patience, "the VIP is back", func() (bool, string) { return p.lb1.has(), "it is not" })
		took := time.Since(removed)
		if quickest == 0 || took < quickest {
			quickest = took
		}
		p.lb1.eventually(time.Second, "it is announced again", func() (bool, string) {
			return len(announcements.between(removed, time.Time{})) > 0, "it is not"
		})
	}
	t.Logf("back after %v at best", quickest)
	if quickest > healsWithin {
		t.Errorf("it took %v, more than %v, each time", quickest, healsWithin)
	}
	if p.lb2.takeovers() != takeovers {
		t.Error("it moved")
	}
}

// TestVIPThatKeepsDisappearingMoves has something on the active node remove the
// VIP whenever it is there, as a network manager does that owns the interface.
func TestVIPThatKeepsDisappearingMoves(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.expectOwner(p.lb1, patience)
	announcements := listenForAnnouncements(t, p.Lab.Host(failover.Client))
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var manager sync.WaitGroup
	defer manager.Wait()
	defer cancel()
	manager.Go(func() {
		ticker := time.NewTicker(3 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			<-ticker.C
			if err := p.lb1.host.DelAddress(failover.VIP()); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Error(err)
				return
			}
		}
	})
	p.lb1.waitStatus("stands down, and says why", func(s *admin.Status) bool {
		v := s.VIPs[0]
		return v.Role != vrrp.Active && strings.Contains(v.Error, "10.77.0.100/24 keeps being removed from eth0 by someone else")
	})
	p.expectOwner(p.lb2, patience)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the client was served elsewhere after %v only", took)
	}

	t.Log("# the VIP rests there while lb1 stands down")
	pause(t, 2*time.Second)
	p.expectOwner(p.lb2, patience)
	n := by(announcements.between(began, time.Now()))
	t.Logf("frames of lb1: %d, of lb2: %d", n[p.lb1.mac()], n[p.lb2.mac()])
	for mac, frames := range n {
		// Five repairs, and what is left of the burst.
		if frames > 2*2*5+oneBurst {
			t.Errorf("%s was announced in %d frames", mac, frames)
		}
	}
	cancel()
	manager.Wait()
	p.lb1.waitStatus("is itself again", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Error == "" })
	p.expectOwner(p.lb1, patience)
}
