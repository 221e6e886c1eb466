package admin

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tandemlb/tandem/vrrp"
)

// metrics serves what the node says of the election, its listeners and pools in the text
// format of Prometheus.
func metrics(n Node) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{n})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// collector makes metrics of a status, anew for each scrape: every label is one
// that the config names, or one of a fixed set.
type collector struct{ node Node }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tandem_"+name, help, labels, nil)
}

var (
	descFit       = desc("node_fit", "Whether the node serves and may lead (1) or not (0).")
	descDemoted   = desc("node_demoted", "Whether the node stands back because it reaches none of its servers.")
	descRestarts  = desc("process_restarts_total", "How often a child of the node had to be started again.", "process")
	descLateness  = desc("heartbeat_lateness_seconds", "Greatest lateness of the heartbeat in its newest report.")
	descSleeps    = desc("heartbeat_stalls_total", "Stalls after which the node assumed that its peer had taken over.")
	descRole      = desc("vip_role", "Role of the virtual router: 1 for the one it has.", "vip", "role")
	descHolds     = desc("vip_held", "Whether the kernel of this node has the addresses.", "vip")
	descPriority  = desc("vip_priority", "Effective priority.", "vip")
	descBase      = desc("vip_base_priority", "Configured priority.", "vip")
	descActivated = desc("vip_activations_total", "Changes to Active, by why.", "vip", "reason")
	descSent      = desc("vip_advertisements_sent_total", "Advertisements sent.", "vip")
	descReceived  = desc("vip_advertisements_received_total", "Advertisements accepted.", "vip")
	descDropped   = desc("vip_advertisements_dropped_total", "Packets refused, by why.", "vip", "reason")
	descMismatch  = desc("vip_address_mismatches_total", "Advertisements accepted although they list other addresses.", "vip")
	descEpoch     = desc("vip_announcement_epoch", "Epoch of this node's newest announcement of the addresses.", "vip")
	descConflicts = desc("vip_conflicts_total", "Claims of other hosts to an address that this node holds, as long as the conflict lasts.", "vip")
	descRemovals  = desc("vip_removals_total", "Times that someone else removed an address.", "vip")
	descMisses    = desc("vip_tracked_lost", "Things that the VIP tracks and that are missed.", "vip")
	descAlive     = desc("peer_alive", "Whether the peer is alive by gossip.", "peer")
	descVerdict   = desc("peer_verdict", "What this node makes of the peer: 1 for what holds.", "peer", "verdict")
	descDrift     = desc("peer_config_drift", "Whether the peer runs another config.", "peer")

	descOpen       = desc("listener_connections", "Connections that are open.", "listener")
	descAccepted   = desc("listener_accepted_total", "Connections accepted.", "listener")
	descFailed     = desc("listener_failed_total", "Connections (tcp) or requests (http) that no server answered.", "listener")
	descRefused    = desc("listener_refused_total", "Connections and messages refused, by why.", "listener", "reason")
	descPanics     = desc("worker_panics_total", "Connections that ended in a panic; each is a bug.")
	descRequests   = desc("http_requests_total", "Requests of HTTP.", "listener")
	descLogDropped = desc("access_log_dropped_total", "Lines of the access log that were lost, because it was not read fast enough.")
)

// shed is the reason of connections that are turned away for want of descriptors.
const shed = "shed"

// verdicts are those that a peer can have; see package judge.
var verdicts = []string{"none", "death", "cut", "gossip_cut"}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descFit, descDemoted, descRestarts, descLateness, descSleeps, descRole, descHolds, descPriority, descBase, descActivated,
		descSent, descReceived, descDropped, descMismatch, descEpoch, descConflicts, descRemovals, descMisses, descAlive, descVerdict, descDrift,
		descOpen, descAccepted, descFailed, descRefused, descPanics, descRequests, descLogDropped,
	} {
		to <- d
	}
	for _, d := range poolDescs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s, err := c.node.Status(context.Background())
	if err != nil {
		to <- prometheus.NewInvalidMetric(descFit, err)
		return
	}
	m := sink{to}
	m.gauge(descFit, truth(s.Fit))
	m.gauge(descDemoted, truth(s.Demoted))
	m.counter(descRestarts, float64(s.Worker.Restarts), "worker")
	if a := s.Agent; a != nil {
		m.counter(descRestarts, float64(a.Restarts), "agent")
		m.gauge(descLateness, a.Lateness.Seconds())
		stalls := 0.0
		if a.Slept != nil {
			stalls = float64(a.Slept.Count)
		}
		m.counter(descSleeps, stalls)
	}
	for _, v := range s.VIPs {
		m.vip(v)
	}
	for _, l := range s.Listeners {
		m.listener(l)
	}
	for _, p := range s.Pools {
		m.pool(p)
	}
	m.overload(s.Overload)
	m.counter(descLogDropped, float64(s.LogDropped))
	m.counter(descPanics, float64(s.Panics))
	for _, p := range s.Peers {
		m.gauge(descAlive, truth(p.Alive), p.Name)
		m.gauge(descDrift, truth(p.Drift), p.Name)
		for _, verdict := range verdicts {
			m.gauge(descVerdict, truth(verdict == p.Verdict || verdict == "none" && p.Verdict == ""), p.Name, verdict)
		}
	}
}

// sink takes metrics of two kinds.
type sink struct{ to chan<- prometheus.Metric }

func (m sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	m.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (m sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	m.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (m sink) vip(v VIP) {
	for _, role := range []vrrp.Role{vrrp.Init, vrrp.Backup, vrrp.Active} {
		m.gauge(descRole, truth(v.Role == role), v.Name, role.String())
	}
	m.gauge(descHolds, truth(v.Holds), v.Name)
	m.gauge(descPriority, float64(v.Priority), v.Name)
	m.gauge(descBase, float64(v.Base), v.Name)
	m.gauge(descEpoch, float64(v.Epoch), v.Name)
	m.gauge(descMisses, float64(len(v.Lost)), v.Name)
	for why, n := range v.Activations {
		m.counter(descActivated, float64(n), v.Name, why.String())
	}
	k := v.Counters
	m.counter(descSent, float64(k.Sent), v.Name)
	m.counter(descReceived, float64(k.Received), v.Name)
	m.counter(descMismatch, float64(k.AddressMismatch), v.Name)
	for reason, n := range k.Dropped {
		m.counter(descDropped, float64(n), v.Name, string(reason))
	}
	conflicts := 0.0
	if v.Conflict != nil {
		conflicts = float64(v.Conflict.Count)
	}
	m.counter(descConflicts, conflicts, v.Name)
	m.counter(descRemovals, float64(v.Removals), v.Name)
}

func (m sink) listener(l Listener) {
	m.gauge(descOpen, float64(l.Connections), l.Name)
	m.counter(descAccepted, float64(l.Accepted), l.Name)
	m.counter(descFailed, float64(l.Failed), l.Name)
	m.counter(descRefused, float64(l.Shed), l.Name, shed)
	for reason, n := range l.Refused {
		m.counter(descRefused, float64(n), l.Name, reason)
	}
	if l.Protocol == "http" {
		m.counter(descRequests, float64(l.Requests), l.Name)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
