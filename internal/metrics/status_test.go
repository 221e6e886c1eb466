package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

func TestMetrics(t *testing.T) {
	node := &fakeNode{status: &admin.Status{
		Fit: true, Agent: &admin.Process{Lateness: 2 * time.Millisecond, Slept: &admin.Sleep{Count: 3}}, Worker: admin.Process{Restarts: 2},
		VIPs: []admin.VIP{{
			Name: "front/4", Role: vrrp.Active, Holds: true, Base: 200, Priority: 149, Epoch: 7, Lost: []admin.Lost{{What: "gateway 192.0.2.1"}},
			Activations: map[vrrp.NewActiveReason]uint64{vrrp.NoResponse: 4}, Conflicts: 5, Removals: 6,
			Counters: vrrp.Counters{Sent: 10, Received: 11, AddressMismatch: 12, Dropped: map[vrrp.Drop]uint64{vrrp.DropTTL: 13}},
		}},
		Listeners: []admin.Listener{
			{Name: "shop", Protocol: "http", Connections: 21, Accepted: 22, Requests: 23, Failed: 24, Shed: 25, Refused: map[string]uint64{"host_missing": 27, "connections": 28}},
			{Name: "db", Protocol: "tcp", Accepted: 29},
		},
		LogDropped: 30, Panics: 26, Traces: admin.Traces{Receiver: "http://127.0.0.1:4318", Sent: 32, Dropped: 33},
		Peers: []admin.Peer{{Name: "lb2", Alive: true, Drift: true, Verdict: "cut"}, {Name: "lb3"}},
	}}
	if problems, err := testutil.CollectAndLint(collector{node}); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	w := httptest.NewRecorder()
	Handler(node, zap.NewNop()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
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
		`tandem_listener_connections{listener="shop"} 21`, `tandem_listener_accepted_total{listener="shop"} 22`, `tandem_http_requests_total{listener="shop"} 23`,
		`tandem_listener_failed_total{listener="shop"} 24`, `tandem_listener_refused_total{listener="shop",reason="shed"} 25`,
		`tandem_worker_panics_total 26`, `tandem_listener_refused_total{listener="shop",reason="host_missing"} 27`,
		`tandem_listener_refused_total{listener="shop",reason="connections"} 28`, `tandem_listener_accepted_total{listener="db"} 29`,
		`tandem_listener_refused_total{listener="db",reason="shed"} 0`, `tandem_access_log_dropped_total 30`,
		`tandem_trace_spans_total{outcome="sent"} 32`, `tandem_trace_spans_total{outcome="dropped"} 33`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(w.Body.String(), `tandem_http_requests_total{listener="db"}`) {
		t.Error("requests of HTTP are counted for a listener of TCP")
	}
	if t.Failed() {
		t.Log(w.Body.String())
	}
}
