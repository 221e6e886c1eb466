package admin

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tandemlb/tandem/vrrp"
)

func TestMetrics(t *testing.T) {
	node := &fakeNode{status: &Status{
		Fit: true, Agent: &Process{Lateness: 2 * time.Millisecond, Slept: &Sleep{Count: 3}}, Worker: Process{Restarts: 2},
		VIPs: []VIP{{
			Name: "front/4", Role: vrrp.Active, Holds: true, Base: 200, Priority: 149, Epoch: 7, Lost: []Lost{{What: "gateway 192.0.2.1"}},
			Activations: map[vrrp.NewActiveReason]uint64{vrrp.NoResponse: 4}, Conflict: &AddressClaim{Count: 5}, Removals: 6,
			Counters: vrrp.Counters{Sent: 10, Received: 11, AddressMismatch: 12, Dropped: map[vrrp.Drop]uint64{vrrp.DropTTL: 13}},
		}},
		Peers: []Peer{{Name: "lb2", Alive: true, Drift: true, Verdict: "cut"}, {Name: "lb3"}},
	}}
	if problems, err := testutil.CollectAndLint(collector{node}); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	w := httptest.NewRecorder()
	handler(node).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`tandem_node_fit 1`, `tandem_node_demoted 0`, `tandem_process_restarts_total{process="worker"} 2`, `tandem_heartbeat_lateness_seconds 0.002`,
		`tandem_heartbeat_stalls_total 3`, `tandem_vip_role{role="active",vip="front/4"} 1`, `tandem_vip_role{role="backup",vip="front/4"} 0`,
		`tandem_vip_held{vip="front/4"} 1`, `tandem_vip_priority{vip="front/4"} 149`, `tandem_vip_base_priority{vip="front/4"} 200`,
		`tandem_vip_announcement_epoch{vip="front/4"} 7`, `tandem_vip_tracked_lost{vip="front/4"} 1`,
		`tandem_vip_activations_total{reason="` + vrrp.NoResponse.String() + `",vip="front/4"} 4`, `tandem_vip_conflicts_total{vip="front/4"} 5`,
		`tandem_vip_removals_total{vip="front/4"} 6`, `tandem_vip_advertisements_sent_total{vip="front/4"} 10`,
		`tandem_vip_advertisements_received_total{vip="front/4"} 11`, `tandem_vip_address_mismatches_total{vip="front/4"} 12`,
		`tandem_vip_advertisements_dropped_total{reason="ttl",vip="front/4"} 13`, `tandem_peer_alive{peer="lb2"} 1`, `tandem_peer_alive{peer="lb3"} 0`,
		`tandem_peer_config_drift{peer="lb2"} 1`, `tandem_peer_verdict{peer="lb2",verdict="cut"} 1`, `tandem_peer_verdict{peer="lb2",verdict="none"} 0`,
		`tandem_peer_verdict{peer="lb3",verdict="none"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	manual, err := os.ReadFile("../../docs/election.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(w.Body.String(), -1) {
		if !strings.Contains(string(manual), "`"+name[1]) {
			t.Errorf("docs/election.md does not explain %s", name[1])
		}
	}
	if t.Failed() {
		t.Log(w.Body.String())
	}
}
