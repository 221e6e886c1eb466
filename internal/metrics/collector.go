package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy/stats"
)

// Node is what the metrics are of.
type Node interface {
	Status(ctx context.Context) (*admin.Status, error)
	// Counts returns what the processes count. What cannot be had in time is older, or
	// missing, and Fresh says so.
	Counts(ctx context.Context) Counts
}

// Counts is what the processes of a node count.
type Counts struct {
	Fresh     bool // the worker has just said so
	Traffic   stats.Snapshot
	Delays    *stats.Distribution    // of the heartbeat; nil: there is none
	Processes map[string]ipc.Process // by name: those that are known
}

// maxScrapes is how many may ask at the same time.
const maxScrapes = 8

// Handler answers with what n counts: in text, or with native histograms for who asks
// for protobuf. What cannot be told is left out, and logged: the rest is needed most in
// trouble.
func Handler(n Node, log *zap.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{n})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, ErrorHandling: promhttp.ContinueOnError, ErrorLog: zap.NewStdLog(log)})
}

// page serves metrics at /metrics, and says so to who asks for nothing.
func page(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "The metrics of tandem, for Prometheus, are at /metrics.\n") // or the client has gone
	})
	return mux
}

// collector makes metrics of what a node says, anew for each scrape.
type collector struct{ node Node }

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	ctx := context.Background()
	counts := c.node.Counts(ctx) // which makes the status fresh
	s, err := c.node.Status(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(descs[nodeFit], err)
		return
	}
	m := sink{to}
	m.node(s)
	m.put(scrapeOK, truth(counts.Fresh))
	for _, name := range slices.Sorted(maps.Keys(counts.Processes)) {
		m.process(name, counts.Processes[name])
	}
	if counts.Delays != nil {
		m.distribution(heartbeatDelay, *counts.Delays)
	}
	for _, v := range s.VIPs {
		m.vip(v)
	}
	for _, p := range s.Peers {
		m.peer(p)
	}
	for _, l := range s.Listeners {
		m.listener(l)
	}
	m.traffic(&counts.Traffic)
	for _, p := range s.Pools {
		m.pool(p)
	}
	m.worker(s)
	m.tickets(&s.Tickets)
	m.certificates(&s.Certificates)
}

// sink takes metrics.
type sink struct{ to chan<- prometheus.Metric }

// put takes the value of a gauge or a counter, with its labels in the order of the family.
func (m sink) put(f id, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	switch families[f].kind {
	case counter:
		kind = prometheus.CounterValue
	case histogram:
		panic(fmt.Sprintf("metrics: %s is a histogram", families[f].name))
	}
	one, err := prometheus.NewConstMetric(descs[f], kind, v, labels...)
	if err != nil { // a name that is not UTF-8; the config has none
		one = prometheus.NewInvalidMetric(descs[f], err)
	}
	m.to <- one
}

// distribution takes a histogram.
func (m sink) distribution(f id, d stats.Distribution, labels ...string) {
	if !d.Valid() {
		m.to <- prometheus.NewInvalidMetric(descs[f], errors.New("it has buckets that nobody knows"))
		return
	}
	m.to <- distribution{desc: descs[f], labels: prometheus.MakeLabelPairs(descs[f], labels), counts: d}
}

// states takes a gauge for each state that there is: 1 for the one that holds.
func (m sink) states(f id, all []string, now string, labels ...string) {
	for _, state := range all {
		m.put(f, truth(state == now), append(labels[:len(labels):len(labels)], state)...)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
