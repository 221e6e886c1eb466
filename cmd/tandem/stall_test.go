package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

const (
	// wakeful is how long after the end of a stall the announcements are counted.
	wakeful = 500 * time.Millisecond
	// oneBurst is how many frames a burst of announcements has in that time: a
	// request and a reply at once, after 50 ms and after 500 ms.
	oneBurst = 6
)

// TestStalls stops every process of the Active node for a while, as a host does
// to a virtual machine, and lets it go on.
func TestStalls(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		length time.Duration
		moves  bool // lb2 must take over meanwhile; else it may
	}{
		{300 * time.Millisecond, false}, {800 * time.Millisecond, true}, {2 * time.Second, true}, {10 * time.Second, true},
	} {
		t.Run(tc.length.String(), func(t *testing.T) {
			t.Parallel()
			p := startPair(t, pairConfig("preempt: 1s"))
			p.expectOwner(p.lb1, patience)
			announcements := listenForAnnouncements(t, p.Lab.Host(failover.Client))
			takeovers := p.lb2.takeovers()

			frozen, err := p.lb1.proc.Stop()
			if err != nil {
				t.Fatal(err)
			}
			pause(t, tc.length)
			if tc.moves {
				p.expectServedBy(p.lb2)
				p.lb2.waitTakeover(takeovers)
			}
			if tc.length > leaseEnds && p.lb1.has() {
				t.Errorf("lb1 has the VIP although it was not run for %v", tc.length)
			}
			resumed := time.Now()
			if err := p.lb1.proc.Continue(frozen); err != nil {
				t.Fatal(err)
			}
			p.expectOneOwner()
			pause(t, time.Until(resumed.Add(wakeful)))
			said := announcements.between(resumed, resumed.Add(wakeful))
			t.Logf("frames that announced the VIP within %v of the end: %v (lb1 is %s, lb2 %s)", wakeful, by(said), p.lb1.mac(), p.lb2.mac())
			for mac, n := range by(said) {
				if n > oneBurst {
					t.Errorf("%s was announced in %d frames, more than %d", mac, n, oneBurst)
				}
			}
			p.expectOneOwner()
			if s := p.lb2.waitStatus("answers", func(*admin.Status) bool { return true }); s.VIPs[0].Counters.Transitions > takeovers+1 {
				t.Errorf("lb2 took over %d times", s.VIPs[0].Counters.Transitions-takeovers)
			}
			p.settle()
			p.expectOwner(p.lb1, patience)
		})
	}
}

// expectServedBy fails unless the client is served and believes that n has the VIP:
// one that is not run cannot be asked to let go of it.
func (p *pair) expectServedBy(n *node) {
	p.t.Helper()
	if _, err := p.get("/"); err != nil {
		p.t.Errorf("the client is not served: %v", err)
	}
	if believed := p.believed(); believed != n.mac() || !n.has() {
		p.t.Errorf("%s has the VIP: %t, and the client believes %s of %s", n.name, n.has(), believed, n.mac())
	}
}

// expectOneOwner waits until one node alone has the VIP, whichever it is, and the
// client believes it.
func (p *pair) expectOneOwner() {
	p.t.Helper()
	p.lb2.eventually(time.Second, "one node owns the VIP, and the client is served there", func() (bool, string) {
		owners, err := p.Owners()
		if err != nil {
			p.t.Fatal(err)
		}
		believed := p.believed()
		mac := map[string]string{lb1: p.lb1.mac(), lb2: p.lb2.mac()}
		return len(owners) == 1 && mac[owners[0]] == believed, fmt.Sprintf("owners %v, the client believes %s of %v", owners, believed, mac)
	})
}

// believed returns the hardware address that the client takes for the VIP's.
func (p *pair) believed() string {
	p.t.Helper()
	mac, err := p.Lab.Host(failover.Client).Neighbor(failover.VIP().Addr())
	if err != nil {
		p.t.Fatal(err)
	}
	return mac.String()
}
