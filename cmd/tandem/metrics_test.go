package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// prometheus is one that scrapes a node each second.
type prometheus struct {
	t       *testing.T
	address string
}

// startPrometheus runs one with more arguments, in a directory of its own.
func startPrometheus(t *testing.T, target string, more ...string) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("needs prometheus (Debian: apt-get install prometheus)")
	}
	dir, err := os.MkdirTemp("", "tandem-test-") //nolint:usetesting // others are to read in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: tandem, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{t: t, address: reservePort(t)}
	cmd := exec.Command(path, append([]string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + p.address, "--log.level=warn",
	}, more...)...)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of prometheus:\n%s", text)
		}
	})
	return p
}

// ask returns the only value that an expression has; false: it has none yet.
func (p *prometheus) ask(expr string) (float64, bool) {
	p.t.Helper()
	res, err := http.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0, false // it is starting
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode == http.StatusServiceUnavailable {
		return 0, false
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s, %s", expr, res.Status, body)
	}
	if len(answer.Data.Result) != 1 {
		return 0, false
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsNaN(v) // NaN: nothing was counted yet
}

// TestPrometheusKnowsHowLongRequestsTake: one of ten takes 40 ms. One Prometheus asks for
// classic histograms, another one for native ones.
func TestPrometheusKnowsHowLongRequestsTake(t *testing.T) {
	const slow = 40 * time.Millisecond
	metrics := reservePort(t)
	var n atomic.Int64
	node := startSingle(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			<-time.After(slow)
		}
		io.WriteString(w, "hello")
	}, "metrics: {listen: "+metrics+"}\n")

	classic := startPrometheus(t, metrics)
	native := startPrometheus(t, metrics, "--enable-feature=native-histograms")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if res, err := http.Get("http://" + node.address); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
		})
	}
	defer clients.Wait()
	defer close(done)

	var p99 [2]float64
	for i, ask := range []func() (float64, bool){
		func() (float64, bool) {
			return classic.ask(`histogram_quantile(0.99, sum by (le) (rate(tandem_http_request_duration_seconds_bucket{listener="web", pool!=""}[20s])))`)
		},
		func() (float64, bool) {
			return native.ask(`histogram_quantile(0.99, sum(rate(tandem_http_request_duration_seconds{listener="web", pool!=""}[20s])))`)
		},
	} {
		node.eventually("a p99", func() (ok bool) { p99[i], ok = ask(); return ok })
		// The classic buckets around it end with 31 and 62 ms, the native ones are a tenth wide.
		if least := []float64{0.031, 0.036}[i]; p99[i] < least || p99[i] > 5 {
			t.Errorf("p99 is %v s in form %d, want what is slow: %v", p99[i], i, slow)
		}
	}
	t.Logf("p99 is %.4f s by classic buckets, %.4f s by native ones", p99[0], p99[1])
	for expr, want := range map[string]float64{
		`sum(tandem_worker_scrape_ok)`: 1, `tandem_server_up`: 1, `tandem_http_requests_in_flight{listener="web"} >= bool 0`: 1,
		`count(tandem_process_resident_memory_bytes > 0)`: 2, `sum(tandem_http_responses_total{class="2xx"}) >= bool 100`: 1,
	} {
		node.eventually(expr, func() bool { v, ok := classic.ask(expr); return ok && v == want })
	}
}
