package supervisor

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// link is a worker that serves.
func link(t *testing.T) *workerLink {
	t.Helper()
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "it serves", func() bool { return w.view().ready })
	return w
}

func TestWorkerIsAskedForItsCounts(t *testing.T) {
	w := link(t)
	for want := 1; want <= 3; want++ {
		if got, fresh := w.scraper.Scrape(t.Context(), w.ask); !fresh || got.Process.Goroutines != want {
			t.Errorf("scrape %d: %+v, fresh %t", want, got, fresh)
		}
	}
	kill(t, w.view().pid)
	eventually(t, "another worker serves", func() bool { v := w.view(); return v.ends.count == 1 && v.ready })
	if got, fresh := w.scraper.Scrape(t.Context(), w.ask); !fresh || got.Process.Goroutines != 1 {
		t.Errorf("of the next worker: %+v, fresh %t", got, fresh)
	}
}

func TestNoWorkerNoCounts(t *testing.T) {
	s := &Supervisor{worker: newWorkerLink()}
	c := s.Counts(t.Context())
	if c.Fresh || len(c.Processes) != 1 || c.Processes["supervisor"].Memory == 0 || c.Delays != nil {
		t.Errorf("got %+v", c)
	}
}

func TestReloadMovesTheMetrics(t *testing.T) {
	at, a, b := freeAddress(t), freeAddress(t), freeAddress(t)
	s := newPlainNode(t, proxyConfig(at))
	get := func(address string) string {
		res, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return ""
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	reload := func(more string) error {
		rewrite(t, s.o, proxyConfig(at)+more)
		return s.Reload(t.Context())
	}
	if err := reload("metrics: {listen: " + a + "}\n"); err != nil || !strings.Contains(get(a), "tandem_worker_scrape_ok 1\n") {
		t.Errorf("%v, metrics %.100q", err, get(a))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := reload("metrics: {listen: " + taken.Addr().String() + "}\n"); err == nil || !strings.Contains(err.Error(), "open metrics.listen") || get(a) == "" {
		t.Errorf("an address that is taken: %v", err)
	}
	if err := reload("metrics: {listen: " + b + "}\n"); err != nil || get(b) == "" || get(a) != "" {
		t.Errorf("%v, at the new address %d bytes, at the old one %d", err, len(get(b)), len(get(a)))
	}
	if err := reload(""); err != nil || get(b) != "" {
		t.Errorf("%v, at the address that was given up %d bytes", err, len(get(b)))
	}
}
