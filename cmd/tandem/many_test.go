package main

import (
	"fmt"
	"net/netip"
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
	// The cap on announcements: what may go out at once, and what follows in a
	// second.
	framesAtOnce    = 200
	framesPerSecond = 1000
)

// manyVIPs is a config with a hundred addresses in one VIP, and a hundred VIPs of
// one address.
func manyVIPs() (config string, all []netip.Addr) {
	address := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, last}) }
	var together []string
	var entries strings.Builder
	for i := range byte(100) {
		a := address(100 + i) // the first is that of the scene
		all = append(all, a)
		together = append(together, a.String()+"/24")
	}
	for i := range byte(100) {
		a := address(200 + i)
		if i >= 50 {
			a = address(i - 30) // from 20 on, where no host is but the client
			if i >= 80 {
				a = address(i - 29)
			}
		}
		all = append(all, a)
		fmt.Fprintf(&entries, "  more-%d: {addresses: %s/24, advertise: 200ms, preempt: 300ms}\n", i, a)
	}
	config = strings.Replace(failover.Config(200*time.Millisecond), "["+failover.VIP().String()+"]", "["+strings.Join(together, ", ")+"], preempt: 300ms", 1)
	return strings.Replace(config, "listeners:", entries.String()+"listeners:", 1), all
}

// TestManyVIPsMoveWithoutAStorm has two hundred addresses move at once.
func TestManyVIPsMoveWithoutAStorm(t *testing.T) {
	t.Parallel()
	config, all := manyVIPs()
	s := scene(t)
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	announcements := listenForAnnouncements(t, s.Lab.Host(failover.Client))
	for _, n := range []*node{p.lb1, p.lb2} {
		n.start()
		role := map[*node]vrrp.Role{p.lb1: vrrp.Active, p.lb2: vrrp.Backup}[n]
		n.waitStatus("is "+role.String()+" for all", func(s *admin.Status) bool {
			return s.Fit && len(s.VIPs) == 101 && !slices.ContainsFunc(s.VIPs, func(v admin.VIP) bool {
				return v.Role != role || v.Holds != (role == vrrp.Active)
			})
		})
	}
	p.lb2.waitStatus("watches lb1", watchesPeer)

	killed := time.Now()
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitStatus("is active for all", func(s *admin.Status) bool {
		return !slices.ContainsFunc(s.VIPs, func(v admin.VIP) bool { return v.Role != vrrp.Active || !v.Holds })
	})
	mac := p.lb2.mac()
	p.lb2.eventually(patience, "all are announced", func() (bool, string) {
		missing := slices.Clone(all)
		for _, a := range announcements.between(killed, time.Time{}) {
			if a.mac == mac {
				missing = slices.DeleteFunc(missing, func(b netip.Addr) bool { return a.addr == b })
			}
		}
		return len(missing) == 0, fmt.Sprintf("missing: %v", missing)
	})
	t.Logf("all announced %v after the kill", time.Since(killed))
	p.expectAnswers(all, mac)

	// The burst goes on for five seconds. What it says after two is paced for some
	// tenths; the second time and the third share their frames with those that wait.
	pause(t, time.Until(killed.Add(3500*time.Millisecond)))
	from := announcements.between(killed, time.Time{})
	if n := by(from)[mac]; n < 3*2*len(all) {
		t.Errorf("%d frames, not even three announcements of each", n)
	}
	for _, window := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		most := busiest(from, window)
		limit := framesAtOnce + int(window.Seconds()*framesPerSecond) + framesAtOnce/10 // as the wire bunches them
		t.Logf("at most %d announcements within %v; the cap is %d", most, window, limit)
		if most > limit {
			t.Errorf("%d announcements within %v, more than %d", most, window, limit)
		}
	}
}

// expectAnswers fails unless the client reaches all the addresses, at mac.
func (p *pair) expectAnswers(all []netip.Addr, mac string) {
	p.t.Helper()
	client := p.Lab.Host(failover.Client)
	for _, a := range all {
		p.lb2.eventually(patience, a.String()+" answers", func() (bool, string) {
			d, err := client.DialContext(p.t.Context(), "tcp", netip.AddrPortFrom(a, 80).String())
			if err != nil {
				return false, err.Error()
			}
			d.Close()
			found, err := client.Neighbor(a)
			if err != nil {
				p.t.Fatal(err)
			}
			return found.String() == mac, found.String()
		})
	}
}

// busiest returns how many announcements there were in the busiest span of time.
func busiest(all []announcement, span time.Duration) (most int) {
	first := 0
	for i, a := range all {
		for a.at.Sub(all[first].at) > span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
