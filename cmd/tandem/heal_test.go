package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// healRounds is how often each way of owning an address is cut in two.
	healRounds = 50
	// healedWithin is how long a client may believe the wrong node after a
	// partition has healed.
	healedWithin = 2 * time.Second
)

// quickPairConfig has a node noticed as gone after some 70 ms.
func quickPairConfig(vip string) string {
	return strings.Replace(failover.Config(20*time.Millisecond), "advertise:", "preempt: 0s, "+vip+"advertise:", 1)
}

// cut keeps multicast from both nodes: each takes the other for dead, and both
// are reached by the client.
func (p *pair) cut() {
	p.t.Helper()
	for _, n := range []*node{p.lb1, p.lb2} {
		if err := n.host.CutMulticast(); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pair) heal() {
	p.t.Helper()
	for _, n := range []*node{p.lb1, p.lb2} {
		if err := n.host.Heal(); err != nil {
			p.t.Fatal(err)
		}
	}
}

// TestHealedPartitionHasOneOwner cuts the nodes from each other and not from the
// client, and heals that at any moment: before the backup has taken over, while
// it does, and later.
func TestHealedPartitionHasOneOwner(t *testing.T) {
	t.Run("gratuitous ARP", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, quickPairConfig(""))
		p.healAgainAndAgain(p.lb1.mac())
	})
	t.Run("virtual MAC", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, quickPairConfig("virtual_mac: true, "))
		p.healAgainAndAgain("00:00:5e:00:01:64")
	})
}

// healAgainAndAgain heals partitions of a pair whose preferred node announces the VIP
// at mac.
func (p *pair) healAgainAndAgain(mac string) {
	t := p.t
	p.expectServed(mac, failover.VIP().Addr().String())
	announcements := listenForAnnouncements(t, p.Lab.Host(failover.Client))
	var split int
	var slowest time.Duration
	for round := range healRounds {
		began := time.Now()
		p.cut()
		pause(t, rand.N(200*time.Millisecond))
		if p.lb2.has() {
			split++
		}
		p.heal()
		healed := time.Now()
		adverts := p.adverts(mac, p.lb2)
		p.lb2.eventually(healedWithin, fmt.Sprintf("round %d: lb1 alone owns the VIP, announced it last, and is believed", round), func() (bool, string) {
			last := mac
			if said := announcements.between(began, time.Time{}); len(said) > 0 {
				last = said[len(said)-1].mac
			}
			ok, seen := p.atRest(mac)
			return adverts() >= 3 && ok && last == mac, fmt.Sprintf("%s; last announcement %q, heard %d", seen, last, adverts())
		})
		slowest = max(slowest, time.Since(healed))
	}
	t.Logf("%d of %d partitions made two owners; the slowest heal took %v", split, healRounds, slowest)
	if split == 0 || split == healRounds {
		t.Errorf("%d of %d partitions made two owners: the moments were not spread", split, healRounds)
	}
	p.lb2.waitStatus("is backup", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Backup })
	p.expectServed(mac, failover.VIP().Addr().String())
}

// atRest reports whether lb1 alone owns the VIP, the client believes it at mac, and
// the switch sends there what is for mac.
func (p *pair) atRest(mac string) (ok bool, seen string) {
	p.t.Helper()
	owners, err := p.Owners()
	if err != nil {
		p.t.Fatal(err)
	}
	neighbour, err := p.Lab.Host(failover.Client).Neighbor(failover.VIP().Addr())
	if err != nil {
		p.t.Fatal(err)
	}
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		p.t.Fatal(err)
	}
	port, err := p.Lab.Learned([6]byte(hardware))
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.Equal(owners, []string{lb1}) && neighbour.String() == mac && port == lb1,
		fmt.Sprintf("owners %v, the client believes %v of %v, the switch sends that to %q", owners, neighbour, mac, port)
}

// adverts begins to count the advertisements from a MAC address that reach a node.
func (p *pair) adverts(from string, to *node) func() int {
	p.t.Helper()
	mac, err := net.ParseMAC(from)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := to.host.Capture(func(f lab.Frame) bool {
		return !f.Sent && slices.Equal(f.Data[6:12], mac) && isAdvert(f)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return func() int { return len(c.Frames()) }
}

// isAdvert reports whether a frame is a VRRP packet of IPv4.
func isAdvert(f lab.Frame) bool {
	p, err := vrrp.ParseIPv4(f.Data[ethernetHeader:])
	return err == nil && len(p.Payload) > 0
}
