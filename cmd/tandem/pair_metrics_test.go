package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// metrics returns what the node says on its socket, by series as it is written.
func (n *node) metrics() map[string]float64 {
	n.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", n.socket)
	}}}
	res, err := c.Get("http://tandem/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		n.t.Fatalf("%s: %v, %s", res.Status, err, text)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasSuffix(line, "\n") && !strings.Contains(line, "}") {
			series, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		} else {
			series += "}"
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			all[series] = v
		}
	}
	return all
}

func TestPairTellsItsMetricsOfATakeover(t *testing.T) {
	p := newPair(t)
	if res, err := p.get("/"); err != nil {
		t.Fatal(err)
	} else {
		res.Body.Close()
	}
	var before map[string]float64
	p.lb1.eventually(patience, "it has renewed the lease", func() (bool, string) {
		before = p.lb1.metrics()
		renewals := before[`tandem_vip_lease_renewals_total{vip="main"}`]
		return renewals >= 2, fmt.Sprint(renewals, " renewals")
	})
	p.lb1.signal("worker", 9)
	p.lb2.waitStatus("active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active })
	p.lb1.waitStatus("has lost", func(s *admin.Status) bool { return s.VIPs[0].Lease.Losses > 0 && s.Worker.Restarts == 1 })
	one, two := p.lb1.metrics(), p.lb2.metrics()

	for _, test := range []struct {
		what     string
		got      float64
		min, max float64
	}{
		{"was Active", before[`tandem_vip_role{role="active",vip="main"}`], 1, 1},
		{"held the addresses", before[`tandem_vip_held{vip="main"}`], 1, 1},
		{"renewals before", before[`tandem_vip_lease_renewals_total{vip="main"}`], 1, 1e6},
		{"announcements before", before[`tandem_vip_announcements_total{vip="main"}`], 1, 1e6},
		{"requests before", before[`tandem_http_requests_total{listener="web"}`], 1, 1e6},
		{"durations before", before[`tandem_http_request_duration_seconds_count{listener="web",pool="web"}`], 1, 1e6},
		{"turns of the heartbeat", before[`tandem_heartbeat_delay_seconds_count`], 1, 1e9},
		{"errors of the addresses", before[`tandem_vip_lease_errors_total{vip="main"}`], 0, 0},
		{"losses", one[`tandem_vip_losses_total{vip="main"}`], 1, 10},
		{"restarts of the worker", one[`tandem_process_restarts_total{process="worker"}`], 1, 1},
		{"is Active now", two[`tandem_vip_role{role="active",vip="main"}`], 1, 1},
		{"advertisements that the other one has heard", two[`tandem_vip_advertisements_received_total{vip="main"}`], 1, 1e9},
		{"memory of the agent", two[`tandem_process_resident_memory_bytes{process="agent"}`], 1 << 20, 1 << 40},
		{"CPU time of the agent", two[`tandem_process_cpu_seconds_total{process="agent"}`], 1e-6, 1e6},
		{"descriptors of the worker", two[`tandem_process_open_fds{process="worker"}`], 5, 1e6},
		{"goroutines of the supervisor", two[`tandem_process_goroutines{process="supervisor"}`], 5, 1e4},
		{"its peer", two[`tandem_peer_alive{peer="lb1"}`], 1, 1},
		{"its drift", two[`tandem_peer_config_drift{peer="lb1"}`], 0, 0},
		{"a fresh scrape", two[`tandem_worker_scrape_ok`], 1, 1},
	} {
		if test.got < test.min || test.got > test.max {
			t.Errorf("%s: %v, want %v to %v", test.what, test.got, test.min, test.max)
		}
	}
	hashes := func(m map[string]float64) (hash string) {
		for series := range m {
			if strings.HasPrefix(series, "tandem_config_info{") {
				hash = series
			}
		}
		return hash
	}
	if a, b := hashes(one), hashes(two); a != b || a == "" {
		t.Errorf("the nodes say that they run %q and %q", a, b)
	}
}
