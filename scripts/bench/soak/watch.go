package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// watchEvery is how often every process is looked at.
const watchEvery = 5 * time.Second

// A watcher follows what the processes of both nodes use. It is for one goroutine.
type watcher struct {
	scene   *failover.Scene
	began   time.Time
	clients map[string]*http.Client
	lives   []life
	current map[string]int // by name, the index of its life
}

func newWatcher(scene *failover.Scene, began time.Time) *watcher {
	w := &watcher{scene: scene, began: began, clients: make(map[string]*http.Client), current: make(map[string]int)}
	for _, n := range failover.Nodes() {
		w.clients[n.Name] = &http.Client{
			Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: scene.Lab.Host(n.Name).DialContext, DisableKeepAlives: true},
		}
	}
	return w
}

// look takes a reading of all processes. A node that does not answer is left out, as
// some are down at times.
func (w *watcher) look(ctx context.Context) {
	for _, n := range failover.Nodes() {
		values, err := w.scrape(ctx, n.Name, n.Addresses[0].Addr())
		if err != nil {
			continue
		}
		at := time.Since(w.began)
		for _, process := range []string{"supervisor", "worker", "agent"} {
			if process == "worker" && values["tandem_worker_scrape_ok"] != 1 {
				continue // its values are older
			}
			label := fmt.Sprintf("{process=%q}", process)
			birth := fmt.Sprint(values["tandem_node_start_time_seconds"], values["tandem_process_restarts_total"+label])
			w.add(n.Name, process, birth, reading{
				At: at, Memory: values["tandem_process_resident_memory_bytes"+label],
				Descriptors: values["tandem_process_open_fds"+label], Goroutines: values["tandem_process_goroutines"+label],
			})
		}
	}
}

func (w *watcher) add(node, process, birth string, r reading) {
	fresh := life{Node: node, Process: process, Began: r.At, birth: birth}
	at, known := w.current[fresh.name()]
	if !known || w.lives[at].birth != birth {
		at = len(w.lives)
		w.current[fresh.name()], w.lives = at, append(w.lives, fresh)
	}
	if r.Memory == 0 {
		return // it has just been started, and has said nothing yet
	}
	l := &w.lives[at]
	l.Readings = append(l.Readings, r)
}

// newest looks once more, and returns what was read of every life then, by its index. One
// whose node did not answer is left out: what it used earlier is not what it uses now.
func (w *watcher) newest(ctx context.Context) map[int]reading {
	from := time.Since(w.began)
	w.look(ctx)
	return w.since(from)
}

// since returns the newest reading of every life that goes on and has been read since
// then, by its index.
func (w *watcher) since(from time.Duration) map[int]reading {
	all := make(map[int]reading)
	for _, at := range w.current {
		if r := w.lives[at].Readings; len(r) > 0 && r[len(r)-1].At >= from {
			all[at] = r[len(r)-1]
		}
	}
	return all
}

// scrape asks a node for its metrics, from within its own host.
func (w *watcher) scrape(ctx context.Context, node string, address netip.Addr) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/metrics", netip.AddrPortFrom(address, metricsPort)), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s for metrics: %w", node, err)
	}
	resp, err := w.clients[node].Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s for metrics: %w", node, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s for metrics: status %d", node, resp.StatusCode)
	}
	return parseMetrics(resp.Body)
}

// parseMetrics reads the lines of the text format, each by its name with its labels.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	values := make(map[string]float64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("parse %q: %w", line, err)
		}
		values[line[:at]] = v
	}
	return values, lines.Err()
}
