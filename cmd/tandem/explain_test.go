package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// explained is a backup that is well, beside lb1.
func explained() *admin.Explanation {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	lb1 := netip.MustParseAddr("192.0.2.11")
	return &admin.Explanation{At: now, Status: admin.Status{
		Node: "lb2", Fit: true, Servers: 3, Reachable: 3, Config: admin.Config{Hash: "0123456789ab"},
		Agent: &admin.Process{Realtime: "yes", Lateness: 1234567, Notice: "connected: session with \"lb1\""},
		VIPs: []admin.VIP{{
			Name: "main", VIP: "main", Group: "main", Role: vrrp.Backup, Since: ago(time.Minute), Reason: "started",
			Base: 150, Priority: 150, Preempt: true, PreemptDelay: 3 * time.Second, DownInterval: 341406250,
			Active: lb1, ActivePrio: 200, Tracked: []string{"gateway 192.0.2.1"},
			Speakers: []admin.Speaker{{Address: lb1, Node: "lb1", Version: 3, Priority: 200, Interval: 100 * time.Millisecond, Heard: ago(20 * time.Millisecond)}},
		}},
		Peers: []admin.Peer{{Name: "lb1", Alive: true, Since: ago(time.Minute), Fit: true, Hash: "0123456789ab", Servers: 3, Reachable: 2,
			Priorities: map[string]uint8{"main": 200}}},
	}, History: []admin.Event{
		{Node: "lb2", At: ago(time.Minute), Kind: admin.RoleEvent, Subject: "main", What: "init -> backup: started", Evidence: "priority 150"},
		{Node: "lb2", At: ago(59 * time.Second), Kind: admin.FitnessEvent, What: "fit"},
		{Node: "lb1", At: ago(58 * time.Second), Kind: admin.GossipEvent, Subject: "lb2", What: "alive"},
	}}
}

func TestExplanationForPeople(t *testing.T) {
	want := strings.TrimLeft(`
vip main   BACKUP for 1m0s: started
  priority base 150; lb1 has 200
  preempt  yes, but the active node's priority 200 is not below 150
  vrrp     lb1 (192.0.2.11) heard 20ms ago: priority 200, every 100ms, version 3, checksum with pseudo-header
           takes over after 341ms of silence
  tracks   gateway 192.0.2.1: there

node lb2     fit
  servers    reaches 3 of 3
  heartbeat  late by 1.23ms at most in the last second, real time: yes

peer lb1        fit
  gossip        alive for 1m0s
  death notice  connected: session with "lb1"
  servers       reaches 2 of 3

last changes
  1m0s ago  role main  init -> backup: started (priority 150)
  59s ago   fitness    fit
  58s ago   lb1: gossip lb2  alive
`, "\n")
	var got strings.Builder
	if err := printExplanation(&got, explained()); err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if diff := cmp.Diff(squeeze(want), squeeze(got.String())); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
}

// Each of these changes the picture, and is to be read in it.
func TestExplanationOfTrouble(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *admin.Status)
		want   string
	}{
		"active": {func(s *admin.Status) { s.VIPs[0].Role = vrrp.Active }, "vip main ACTIVE for 1m0s: started"},
		"lowered": {func(s *admin.Status) {
			s.VIPs[0].Priority, s.VIPs[0].Lowered = 99, &admin.Lowered{By: 51, Reason: "gateway 192.0.2.1 does not answer; lb1 misses nothing"}
		}, "priority base 150, -51 gateway 192.0.2.1 does not answer; lb1 misses nothing = 99; lb1 has 200"},
		"lost": {func(s *admin.Status) {
			s.VIPs[0].Lost = []admin.Lost{{What: "gateway 192.0.2.1", Since: time.Date(2026, 1, 2, 14, 59, 58, 0, time.UTC)}}
		}, "tracks gateway 192.0.2.1: MISSED for 2s"},
		"demoted": {func(s *admin.Status) {
			s.Demoted, s.Unfit, s.VIPs[0].Priority = true, "it reaches none of its servers, and lb1 does", 1
		}, "priority base 150, demoted to 1: it reaches none of its servers, and lb1 does; lb1 has 200"},
		"not preempting": {func(s *admin.Status) { s.VIPs[0].Preempt = false }, "preempt no: it leaves the active node alone as long as that serves"},
		"about to preempt": {func(s *admin.Status) {
			s.VIPs[0].ActivePrio, s.VIPs[0].Since = 100, time.Date(2026, 1, 2, 14, 59, 59, 0, time.UTC)
		}, "preempt in 2s, when it has been fit for 3s"},
		"cut":  {func(s *admin.Status) { s.Peers[0].Verdict, s.Peers[0].Explained = "cut", "both nodes are active" }, "verdict CUT for -: both nodes are active"},
		"dead": {func(s *admin.Status) { s.Peers[0].Verdict, s.Peers[0].Alive = "death", false }, "gossip SILENT for 1m0s"},
		"stall": {func(s *admin.Status) {
			s.Peers[0].Slept = &admin.Sleep{At: time.Date(2026, 1, 2, 14, 59, 57, 0, time.UTC), For: 812 * time.Millisecond, Count: 1}
		}, "slept for 812ms, 3s ago (1 times since its agent started)"},
		"conflict": {func(s *admin.Status) {
			s.VIPs[0].Conflict = &admin.AddressClaim{Address: netip.MustParseAddr("192.0.2.100"), MAC: "02:00:00:00:00:66", Count: 3, At: time.Date(2026, 1, 2, 14, 59, 59, 0, time.UTC)}
		}, "ALARM 02:00:00:00:00:66 answers for 192.0.2.100, seen 1s ago, 3 times: another host has the address"},
		"other addresses": {func(s *admin.Status) { s.VIPs[0].AddressMismatch, s.VIPs[0].Speakers[0].AddressesDiffer = true, true },
			"ALARM 192.0.2.11 advertises other addresses: the configs have drifted apart"},
		"drift":  {func(s *admin.Status) { s.Peers[0].Drift, s.Peers[0].Hash = true, "ba9876543210" }, "ALARM CONFIG DRIFT: it runs ba9876543210, this node 0123456789ab"},
		"no VIP": {func(s *admin.Status) { s.VIPs = nil }, "This node has no VIP: it is a plain proxy, and takes part in no election."},
	} {
		e := explained()
		tc.change(&e.Status)
		var got strings.Builder
		if err := printExplanation(&got, e); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(got.String()), " "); !strings.Contains(text, tc.want) {
			t.Errorf("%s: no %q in\n%s", name, tc.want, got.String())
		}
	}
}
