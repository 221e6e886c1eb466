package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/netio"
)

// logs waits until the node's log has a line with all of these parts.
func (n *node) logs(parts ...string) {
	n.t.Helper()
	n.eventually(patience, n.name+" logs "+strings.Join(parts, ", "), func() (bool, string) {
		return n.logged(parts...) > 0, "it does not"
	})
}

// logged counts the lines of the node's log that have all of these parts.
func (n *node) logged(parts ...string) (count int) {
	n.t.Helper()
	text, err := os.ReadFile(n.log)
	if err != nil {
		n.t.Fatal(err)
	}
lines:
	for line := range strings.Lines(string(text)) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		count++
	}
	return count
}

// TestAnotherHostHasTheVIP gives the VIP to a server as an address of its own, as a
// mistaken operator would.
func TestAnotherHostHasTheVIP(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.expectOwner(p.lb1, patience)
	takeovers := p.lb2.takeovers()
	rival := p.Lab.Host(failover.Servers()[2].Name)
	mac, err := rival.MAC()
	if err != nil {
		t.Fatal(err)
	}
	announcements := listenForAnnouncements(t, p.Lab.Host(failover.Client))
	// The first second after a takeover is not judged.
	p.lb1.eventually(patience, "lb1 is past its takeover", func() (bool, string) {
		s, err := p.lb1.status()
		return err == nil && time.Since(s.VIPs[0].Since) > 1500*time.Millisecond, "not yet"
	})

	if err := rival.AddAddress(failover.VIP()); err != nil {
		t.Fatal(err)
	}
	var arp *netio.Announcer
	if err := rival.Do(func() (err error) {
		arp, err = netio.DialAnnouncer("eth0", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer arp.Close()
	began := time.Now()
	if err := arp.Announce(failover.VIP().Addr()); err != nil {
		t.Fatal(err)
	}
	p.lb1.logs("another host answers for an address of this node", mac.String(), failover.VIP().Addr().String())
	p.lb1.eventually(time.Second, "lb1 announces against it, and the client believes that", func() (bool, string) {
		said := announcements.between(began, time.Time{})
		return len(said) > 0 && said[len(said)-1].mac == p.lb1.mac() && p.believed() == p.lb1.mac(), p.believed()
	})

	t.Log("# it goes on, every 5 ms for a second: neither a storm nor silence answers")
	loud := time.Now()
	for time.Since(loud) < time.Second {
		if err := arp.Announce(failover.VIP().Addr()); err != nil {
			t.Fatal(err)
		}
		pause(t, 5*time.Millisecond)
	}
	n := by(announcements.between(loud, time.Now()))
	t.Logf("the other host sent %d frames, lb1 %d", n[mac.String()], n[p.lb1.mac()])
	if got := n[p.lb1.mac()]; got == 0 || got > 40 {
		t.Errorf("lb1 answered with %d frames within a second, want 1 to 40", got)
	}
	if lines := p.lb1.logged("another host answers"); lines != 1 {
		t.Errorf("%d lines of log", lines)
	}

	t.Log("# it goes")
	if err := rival.DelAddress(failover.VIP()); err != nil {
		t.Fatal(err)
	}
	p.expectOwner(p.lb1, patience)
	if p.lb2.takeovers() != takeovers {
		t.Error("the VIP moved")
	}
}
