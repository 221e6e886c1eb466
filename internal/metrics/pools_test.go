package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
)

func TestMetricsOfPools(t *testing.T) {
	node := &fakeNode{status: &admin.Status{
		Pools: []admin.Pool{{
			Name: "web", Active: 1, Waiting: 2, Queued: 3, QueueRefused: 4, QueueLeft: 5, Retries: 6, RetriesRefused: 7, RetryBudget: 8.5,
			Breaker: admin.Breaker{State: "half-open", Opens: 9},
			Servers: []admin.Server{
				{
					Name: "a", Health: "unknown", Active: 10, Served: 11, Failed: 12, Share: admin.Share{State: "drain", Weight: 0.5},
					Ejected: admin.Ejection{Until: time.Now(), Count: 13}, Breaker: admin.Breaker{State: "open", Opens: 14},
				},
				{Name: "b", Health: "down", Share: admin.Share{State: "ready", Weight: 1}},
			},
		}},
		Overload: admin.Overload{Reason: "memory", Count: 15},
	}}
	if problems, err := testutil.CollectAndLint(collector{node}); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	w := httptest.NewRecorder()
	Handler(node, zap.NewNop()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`tandem_pool_active{pool="web"} 1`, `tandem_pool_waiting{pool="web"} 2`, `tandem_pool_queued_total{pool="web"} 3`,
		`tandem_pool_queue_refused_total{pool="web"} 4`, `tandem_pool_queue_left_total{pool="web"} 5`, `tandem_pool_retries_total{pool="web"} 6`,
		`tandem_pool_retries_refused_total{pool="web"} 7`, `tandem_pool_retry_budget{pool="web"} 8.5`,
		`tandem_pool_breaker{pool="web",state="half-open"} 1`, `tandem_pool_breaker{pool="web",state="closed"} 0`,
		`tandem_pool_breaker_opened_total{pool="web"} 9`,
		`tandem_server_up{pool="web",server="a"} 1`, `tandem_server_up{pool="web",server="b"} 0`,
		`tandem_server_state{pool="web",server="a",state="drain"} 1`, `tandem_server_state{pool="web",server="a",state="ready"} 0`,
		`tandem_server_weight{pool="web",server="a"} 0.5`, `tandem_server_active{pool="web",server="a"} 10`,
		`tandem_server_served_total{pool="web",server="a"} 11`, `tandem_server_failed_total{pool="web",server="a"} 12`,
		`tandem_server_ejected{pool="web",server="a"} 1`, `tandem_server_ejected{pool="web",server="b"} 0`,
		`tandem_server_ejections_total{pool="web",server="a"} 13`, `tandem_server_breaker{pool="web",server="a",state="open"} 1`,
		`tandem_server_breaker_opened_total{pool="web",server="a"} 14`, `tandem_worker_overloaded 1`, `tandem_worker_overloads_total 15`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(w.Body.String(), `tandem_server_breaker{pool="web",server="b"`) {
		t.Error("a server without a breaker has the state of one")
	}
}
