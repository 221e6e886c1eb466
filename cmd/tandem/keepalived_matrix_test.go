package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// A rivalry is a way in which Tandem and keepalived share a VIP.
type rivalry struct {
	name   string
	tandem string // config of Tandem's VIP, beside its addresses and priority
	rival  keepalivedConfig
	vip    string
}

var rivalries = []rivalry{
	{"version 2", "version: 2, advertise: 1s", keepalivedConfig{version: 2, interval: "1"}, failover.VIP().Addr().String()},
	{"version 3, IPv6", "advertise: 100ms", keepalivedConfig{ipv6: true}, vip6},
	{"version 3, unicast", "unicast: true, advertise: 100ms", keepalivedConfig{peer: "10.77.0.1"}, failover.VIP().Addr().String()},
	{"version 2, unicast", "version: 2, unicast: true, advertise: 1s", keepalivedConfig{version: 2, interval: "1", peer: "10.77.0.1"}, failover.VIP().Addr().String()},
}

// config is that of Tandem's node lb1, with a priority.
func (r rivalry) config(priority int) string {
	vip := failover.VIP().String()
	if r.rival.ipv6 {
		vip = vip6 + "/64"
	}
	text := strings.Replace(failover.Config(100*1000*1000), "["+failover.VIP().String()+"], advertise: 100ms",
		fmt.Sprintf("[%q], router_id: 100, preempt: 300ms, priority: {%s: %d, %s: 254}, %s", vip, lb1, priority, lb2, r.tandem), 1)
	return text
}

// encounter is both on the network, at rest.
type encounter struct {
	*pair
	tandem *node
	rival  *keepalived
	vip    netip.Addr
}

func meet(t *testing.T, r rivalry, tandem, rival int) *encounter {
	t.Helper()
	s := dualScene(t)
	r.rival.priority = rival
	e := &encounter{pair: &pair{Scene: s, t: t}, tandem: newNode(t, s, lb1, r.config(tandem)), rival: newKeepalived(t, s, lb2, r.rival), vip: netip.MustParseAddr(r.vip)}
	e.lb1, e.lb2 = e.tandem, e.rival.node
	answer(t, e.rival.host)
	return e
}

// settled waits until Tandem has that role, and one of them alone has the VIP, and
// the client believes that.
func (e *encounter) settled(role vrrp.Role) *admin.Status {
	e.t.Helper()
	s := e.tandem.waitStatus("is "+role.String(), func(s *admin.Status) bool {
		return s.VIPs[0].Role == role && s.VIPs[0].Holds == (role == vrrp.Active)
	})
	owner, other := e.tandem, e.rival.node
	if role == vrrp.Backup {
		owner, other = other, owner
	}
	e.tandem.eventually(patience, owner.name+" alone has the VIP", func() (bool, string) {
		has, err := owner.host.Has(e.vip)
		too, err2 := other.host.Has(e.vip)
		return err == nil && err2 == nil && has && !too, fmt.Sprintf("%s %v, %s %v", owner.name, has, other.name, too)
	})
	e.expectServed(owner.mac(), e.vip.String())
	return s
}

// TestKeepalivedInEveryForm has each take over from the other, in good order and
// after a kill.
func TestKeepalivedInEveryForm(t *testing.T) {
	for _, r := range rivalries {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			t.Run("Tandem leads", func(t *testing.T) {
				t.Parallel()
				e := meet(t, r, 200, 150)
				e.tandem.start()
				e.settled(vrrp.Active)
				e.rival.start()
				e.tandem.waitStatus("goes on", func(s *admin.Status) bool { return s.VIPs[0].Counters.Sent > 5 })
				e.settled(vrrp.Active)

				e.tandem.kill()
				e.tandem.waitGone(leaseEnds + leaseEnds)
				e.expectServed(e.rival.mac(), e.vip.String())
				e.tandem.start()
				e.settled(vrrp.Active)
				e.tandem.stop()
				e.expectServed(e.rival.mac(), e.vip.String())
			})
			t.Run("keepalived leads", func(t *testing.T) {
				t.Parallel()
				e := meet(t, r, 150, 200)
				e.rival.start()
				e.tandem.start()
				s := e.settled(vrrp.Backup)
				if d := s.VIPs[0].Counters.Dropped; len(d) > 0 {
					t.Errorf("dropped %v", d)
				}
				e.rival.stop()
				if s := e.settled(vrrp.Active); s.VIPs[0].Reason != "the Active router resigned (priority 0)" {
					t.Errorf("active because of %s", s.VIPs[0].Reason)
				}
				e.rival.start()
				e.settled(vrrp.Backup)
				e.rival.kill()
				e.tandem.waitStatus("is active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
			})
		})
	}
}

// Between equals the higher address wins, on either side.
func TestKeepalivedOfEqualPriority(t *testing.T) {
	for _, at := range []string{lb1, lb2} {
		t.Run("Tandem at "+at, func(t *testing.T) {
			t.Parallel()
			d := newDuel(t, at, 150, keepalivedConfig{priority: 150})
			d.lb1, d.lb2 = d.tandem, d.rival.node
			if at == lb2 {
				d.lb1, d.lb2 = d.lb2, d.lb1
			}
			// Neither hears the other at first, so that both are Active.
			d.cut()
			d.tandem.start()
			d.waitActive()
			d.rival.start()
			d.rival.eventually(patience, "keepalived is active too", func() (bool, string) { return d.rival.has(), "it is not" })
			d.heal()
			d.expectOwner(d.lb2, patience) // 10.77.0.2
		})
	}
}

// A keepalived that does not preempt, and a Tandem that does not, leave the other
// alone.
func TestNobodyPreempts(t *testing.T) {
	t.Parallel()
	s := scene(t)
	d := &duel{pair: &pair{Scene: s, t: t}, tandem: newNode(t, s, lb1, strings.Replace(besideKeepalived(lb1, lb2, 200), "preempt: 300ms", "preempt: false", 1)),
		rival: newKeepalived(t, s, lb2, keepalivedConfig{priority: 150, stay: true})}
	answer(t, d.rival.host)
	d.rival.start()
	d.expectOwner(d.rival.node, patience)
	d.tandem.start()
	d.tandem.waitStatus("hears keepalived", func(s *admin.Status) bool { return s.VIPs[0].Counters.Received > manyIntervals })
	d.expectOwner(d.rival.node, patience)
	d.rival.stop()
	d.waitActive()
	d.rival.start()
	before, err := d.tandem.status()
	if err != nil {
		t.Fatal(err)
	}
	d.tandem.waitStatus("goes on", func(s *admin.Status) bool {
		return s.VIPs[0].Counters.Sent > before.VIPs[0].Counters.Sent+manyIntervals
	})
	d.expectOwner(d.tandem, patience)
}

// keepalived 2.2 requires the pseudo-header: without it the two cannot pair, and
// Tandem says what it refuses of nothing, since it accepts both forms.
func TestChecksumWithoutPseudoHeader(t *testing.T) {
	t.Parallel()
	s := scene(t)
	d := &duel{pair: &pair{Scene: s, t: t}, tandem: newNode(t, s, lb1, strings.Replace(besideKeepalived(lb1, lb2, 150), "preempt: 300ms", "checksum: rfc9568, preempt: 300ms", 1)),
		rival: newKeepalived(t, s, lb2, keepalivedConfig{priority: 200})}
	answer(t, d.rival.host)
	d.startBehind()
	st := d.tandem.waitStatus("counts the other form", func(s *admin.Status) bool { return s.VIPs[0].Counters.ChecksumVariant > 0 })
	if len(st.VIPs[0].Speakers) != 1 || st.VIPs[0].Speakers[0].Checksum != vrrp.PseudoHeader {
		t.Errorf("speakers %+v", st.VIPs[0].Speakers)
	}
}
