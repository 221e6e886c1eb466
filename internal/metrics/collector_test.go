package metrics

import (
	"context"
	"errors"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/vrrp"
)

type fakeNode struct {
	status *admin.Status
	counts Counts
	err    error
}

func (n *fakeNode) Status(context.Context) (*admin.Status, error) { return n.status, n.err }
func (n *fakeNode) Counts(context.Context) Counts                 { return n.counts }

// text returns what n says in the format of text.
func (n *fakeNode) text() string {
	w := httptest.NewRecorder()
	Handler(n, zap.NewNop()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func distributed(all ...time.Duration) stats.Distribution {
	var h stats.Histogram
	for _, d := range all {
		h.Observe(d)
	}
	return h.Distribution()
}

// full is a node with something of everything.
func full() *fakeNode {
	page := func(listener, pool, protocol string) stats.PageCounts {
		return stats.PageCounts{
			Key: stats.Key{Listener: listener, Pool: pool}, Protocol: protocol, Begun: 5, Over: 3, In: 100, Out: 200,
			Classes: [stats.Classes]uint64{1, 2, 3, 4, 5, 6, 7}, Ends: map[string]uint64{"closed": 8},
			Total: distributed(time.Second), FirstByte: distributed(time.Millisecond), Connect: distributed(time.Microsecond), Queue: distributed(time.Minute),
		}
	}
	delays := distributed(100 * time.Microsecond)
	return &fakeNode{
		status: &admin.Status{
			Version: "1.2.3", Started: time.Unix(1700000000, 0), Config: admin.Config{Hash: "abc", Loaded: time.Unix(1700000001, 5e8), Refused: "no"},
			Agent: &admin.Process{Realtime: "yes", MemoryLocked: "no", Dropped: map[vrrp.Drop]uint64{vrrp.DropVRID: 1}},
			VIPs: []admin.VIP{{
				Name: "front", Activations: map[vrrp.NewActiveReason]uint64{vrrp.NoResponse: 4}, Flapping: 3,
				Counters: vrrp.Counters{Dropped: map[vrrp.Drop]uint64{vrrp.DropTTL: 13}},
				Lease:    admin.LeaseCounts{Renewals: 51, Announcements: 52, Errors: 53, Losses: 54},
			}},
			Peers:     []admin.Peer{{Name: "lb2", Fit: true}},
			Listeners: []admin.Listener{{Name: "web", Protocol: "http", TLS: &admin.TLSTraffic{TLS12: admin.Handshakes{Full: 71}, TLS13: admin.Handshakes{Full: 72, Resumed: 73}}}, {Name: "dns", Protocol: "udp", In: admin.Datagrams{Count: 1, Bytes: 2}, Out: admin.Datagrams{Count: 3, Bytes: 4}}},
			Pools: []admin.Pool{{
				Name: "app", Most: 9, QueueLength: 10, Breaker: admin.Breaker{State: "open"},
				Servers: []admin.Server{{Name: "a", Breaker: admin.Breaker{State: "closed"}}},
			}},
			Traces:  admin.Traces{Receiver: "http://127.0.0.1:4318", Sent: 2, Dropped: 1},
			Tickets: admin.Tickets{Shared: true, Keys: []admin.TicketKey{{Born: time.Unix(1700000002, 0)}, {Born: time.Unix(1, 0)}}},
			Certificates: admin.Certificates{
				List: []admin.Certificate{{Listener: "web", Path: "/a.pem", NotAfter: time.Unix(1800000000, 0)}, {Listener: "web", Path: "/a.pem"}, {Pool: "app", Path: "/b.pem", NotAfter: time.Unix(1900000000, 0)}},
				Revoked: []admin.RevokedList{
					{Listener: "web", Path: "/a.crl", Issuer: "CN=Root", Next: time.Unix(1790000000, 0)},
					{Listener: "web", Path: "/a.crl", Issuer: "CN=Root", Next: time.Unix(1780000000, 0)},
					{Listener: "web", Path: "/a.crl", Issuer: "CN=Silent"},
				},
				Problems: []admin.FilesProblem{{Paths: []string{"/a.pem", "/a.key"}}}, Reloads: 61, Errors: 62,
			},
			Console: &admin.Console{Watchers: 2, Refused: map[string]uint64{"host": 1}},
		},
		counts: Counts{
			Fresh: true, Delays: &delays,
			Traffic: stats.Snapshot{
				Pages:   []stats.PageCounts{page("web", "", "http"), page("web", "app", "http"), page("db", "", "tcp"), page("db", "rows", "tcp")},
				Servers: []stats.ServerCounts{{ServerKey: stats.ServerKey{Pool: "app", Server: "a"}, Classes: [stats.Classes]uint64{0, 41}}},
			},
			Processes: map[string]ipc.Process{"worker": {CPU: 1500 * time.Millisecond, Memory: 1 << 20, Descriptors: 7, DescriptorLimit: 1024, Goroutines: 9}},
		},
	}
}

func TestEveryFamilyIsThere(t *testing.T) {
	n := full()
	if problems, err := testutil.CollectAndLint(collector{n}); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	text := n.text()
	for i, f := range families {
		if f.name == "" || f.kind == 0 || f.help == "" {
			t.Errorf("family %d says nothing: %+v", i, f)
		}
		if !strings.Contains(text, "# TYPE "+prefix+f.name+" ") {
			t.Errorf("a full node has no %s%s", prefix, f.name)
		}
	}
}

func TestTrafficAndProcesses(t *testing.T) {
	text := full().text()
	for _, line := range []string{
		`tandem_build_info{version="1.2.3"} 1`, `tandem_config_info{hash="abc"} 1`, `tandem_config_loaded_timestamp_seconds 1.7000000015e+09`,
		`tandem_config_refused 1`, `tandem_worker_scrape_ok 1`, `tandem_agent_realtime 1`, `tandem_agent_memory_locked 0`,
		`tandem_vrrp_packets_dropped_total{reason="` + string(vrrp.DropVRID) + `"} 1`,
		`tandem_process_cpu_seconds_total{process="worker"} 1.5`, `tandem_process_resident_memory_bytes{process="worker"} 1.048576e+06`,
		`tandem_process_open_fds{process="worker"} 7`, `tandem_process_max_fds{process="worker"} 1024`, `tandem_process_goroutines{process="worker"} 9`,
		`tandem_heartbeat_delay_seconds_count 1`, `tandem_vip_lease_renewals_total{vip="front"} 51`, `tandem_vip_announcements_total{vip="front"} 52`,
		`tandem_vip_lease_errors_total{vip="front"} 53`, `tandem_vip_losses_total{vip="front"} 54`, `tandem_vip_flapping{vip="front"} 3`,
		`tandem_peer_fit{peer="lb2"} 1`, `tandem_http_requests_in_flight{listener="web"} 2`,
		`tandem_http_responses_total{class="2xx",listener="web",pool="app"} 2`, `tandem_http_responses_total{class="499",listener="web",pool=""} 5`,
		`tandem_http_failures_total{listener="web",pool="app",reason="closed"} 8`,
		`tandem_http_request_duration_seconds_bucket{listener="web",pool="app",le="0.5"} 0`,
		`tandem_http_request_duration_seconds_bucket{listener="web",pool="app",le="1"} 1`,
		`tandem_http_request_duration_seconds_sum{listener="web",pool=""} 1`,
		`tandem_http_first_byte_seconds_bucket{listener="web",pool="app",le="0.0009765625"} 0`,
		`tandem_http_first_byte_seconds_bucket{listener="web",pool="app",le="0.001953125"} 1`,
		`tandem_tcp_connections_ended_total{end="closed",listener="db",pool="rows"} 8`, `tandem_tcp_connection_duration_seconds_count{listener="db",pool="rows"} 1`,
		`tandem_connect_duration_seconds_bucket{listener="db",pool="rows",le="0.000244140625"} 1`,
		`tandem_queue_duration_seconds_bucket{listener="web",pool="app",le="32"} 0`, `tandem_queue_duration_seconds_bucket{listener="web",pool="app",le="64"} 1`,
		`tandem_carried_bytes_total{direction="in",listener="web",pool="app"} 100`, `tandem_carried_bytes_total{direction="out",listener="db",pool="rows"} 200`,
		`tandem_carried_bytes_total{direction="out",listener="dns",pool=""} 4`, `tandem_udp_datagrams_total{direction="in",listener="dns"} 1`,
		`tandem_server_responses_total{class="2xx",pool="app",server="a"} 41`, `tandem_pool_active_limit{pool="app"} 9`, `tandem_pool_waiting_limit{pool="app"} 10`,
		`tandem_certificate_not_after_seconds{listener="web",path="/a.pem",pool=""} 1.8e+09`,
		`tandem_certificate_not_after_seconds{listener="",path="/b.pem",pool="app"} 1.9e+09`,
		`tandem_crl_next_update_seconds{issuer="CN=Root",listener="web",path="/a.crl"} 1.78e+09`,
		`tandem_tls_handshakes_total{listener="web",resumed="false",version="1.2"} 71`,
		`tandem_tls_handshakes_total{listener="web",resumed="true",version="1.3"} 73`,
		`tandem_tls_tickets_shared 1`, `tandem_tls_ticket_key_born_timestamp_seconds 1.700000002e+09`,
		`tandem_certificate_reloads_total 61`, `tandem_certificate_errors_total 62`, `tandem_certificate_files_refused 2`,
		`tandem_admin_refused_total{reason="host"} 1`, `tandem_admin_watchers 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, none := range []string{`CN=Silent`, `tandem_http_first_byte_seconds_count{listener="web",pool=""}`, `class="1xx",pool="app",server="a"`, `tandem_http_requests_in_flight{listener="db"}`} {
		if strings.Contains(text, none) {
			t.Errorf("there is %s", none)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestNodeInTroubleIsScrapedAllTheSame(t *testing.T) {
	n := &fakeNode{status: &admin.Status{}}
	text := n.text()
	if !strings.Contains(text, "tandem_worker_scrape_ok 0\n") || !strings.Contains(text, "tandem_node_fit 0\n") {
		t.Errorf("a node without a worker says:\n%s", text)
	}
	n = full()
	n.counts.Traffic.Pages[1].Total.From = -1
	if got := n.text(); !strings.Contains(got, `tandem_http_request_duration_seconds_count{listener="web",pool=""} 1`) || strings.Contains(got, `tandem_http_request_duration_seconds_count{listener="web",pool="app"}`) {
		t.Errorf("impossible buckets take others with them, or are shown: %.300s", got)
	}
	n.err = errors.New("it is stopping")
	if got := n.text(); !strings.Contains(got, "it is stopping") {
		t.Errorf("without a status it says %q", got)
	}
}

// classic and native are two forms of one histogram.
func TestBothFormsOfAHistogramSayTheSame(t *testing.T) {
	for name, d := range map[string]stats.Distribution{
		"empty":      {},
		"no time":    distributed(0, 0),
		"one":        distributed(3 * time.Millisecond),
		"a bound":    distributed(time.Second, 500*time.Millisecond),
		"far apart":  distributed(time.Microsecond, time.Millisecond, time.Second, time.Hour),
		"neighbours": distributed(1000*time.Microsecond, 1090*time.Microsecond, 1190*time.Microsecond, 1190*time.Microsecond, 2*time.Second),
	} {
		var m dto.Metric
		one := distribution{desc: descs[httpDuration], labels: prometheus.MakeLabelPairs(descs[httpDuration], []string{"web", "app"}), counts: d}
		if err := one.Write(&m); err != nil {
			t.Fatal(err)
		}
		h := m.GetHistogram()
		native := nativeBuckets(h)
		if h.GetSampleCount() != d.Count() || h.GetZeroCount() != d.At(0) || len(m.GetLabel()) != 2 {
			t.Errorf("%s: %v of %v", name, h.GetSampleCount(), d.Count())
		}
		total := h.GetZeroCount()
		for _, n := range native {
			total += n
		}
		if total != d.Count() {
			t.Errorf("%s: native buckets have %d, want %d", name, total, d.Count())
		}
		if n := len(h.GetBucket()); n != greatestClassic-leastClassic+1 {
			t.Errorf("%s: %d classic buckets", name, n)
		}
		for _, b := range h.GetBucket() {
			below := h.GetZeroCount()
			for i, n := range native {
				if math.Exp2(float64(i)/perOctave) <= b.GetUpperBound() {
					below += n
				}
			}
			if below != b.GetCumulativeCount() {
				t.Errorf("%s: the native buckets up to %v have %d, the classic one %d", name, b.GetUpperBound(), below, b.GetCumulativeCount())
			}
		}
	}
}

// nativeBuckets reads native buckets as a receiver does: by their index.
func nativeBuckets(h *dto.Histogram) map[int32]uint64 {
	all := map[int32]uint64{}
	at, n, i := int32(0), int64(0), 0
	for _, s := range h.GetPositiveSpan() {
		at += s.GetOffset()
		for range s.GetLength() {
			n += h.GetPositiveDelta()[i]
			all[at] = uint64(n)
			at++
			i++
		}
	}
	return all
}
