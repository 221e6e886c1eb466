package worker

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// largeSpec has n routes by host and path, to 100 pools of 10 servers each. All are
// the same server, under addresses of the loopback network.
func largeSpec(bind netip.AddrPort, server netip.AddrPort, n int) proxy.Spec {
	l := newSpecListener("web", proxy.HTTP, "", bind)
	l.Routes = nil
	spec := proxy.Spec{}
	for i := range 100 {
		p := newSpecPool(fmt.Sprint("pool-", i), server)
		p.Limits.Idle = 100
		for k := 1; k < 10; k++ {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i), byte(k)}), server.Port())
			p.Servers = append(p.Servers, proxy.Server{Name: addr.String(), Address: addr, State: proxy.Maintenance, Weight: 1})
		}
		spec.Pools = append(spec.Pools, p)
	}
	for i := range n {
		l.Routes = append(l.Routes, proxy.Route{
			Match: proxy.Match{Hosts: []string{fmt.Sprintf("h%d.example", i%1000)}, Paths: []proxy.PathMatch{{Kind: proxy.PathPrefix, Value: fmt.Sprint("/p", i)}}},
			Split: []proxy.Share{{Pool: fmt.Sprint("pool-", i%100), Weight: 1}},
		})
	}
	spec.Listeners = []proxy.Listener{l}
	return spec
}

// A reload of a large config fails no request, whatever it changes.
func TestLargeReloadUnderLoadFailsNothing(t *testing.T) {
	const routes = 10000
	s := startWorker(t)
	bind := s.bind(t, "web")
	var twice atomic.Int64
	var mu sync.Mutex
	seen := map[string]bool{}
	server := web(t, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Test")
		mu.Lock()
		if seen[id] {
			twice.Add(1)
		}
		seen[id] = true
		mu.Unlock()
		io.WriteString(w, id)
	})
	spec := largeSpec(bind, server, routes)
	s.mustApply(t, spec)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var answered atomic.Int64
	for k := range 4 {
		c := connect(t, bind)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				i, id := (n*37+k)%routes, fmt.Sprint(k, "-", n)
				fmt.Fprintf(c, "GET /p%d HTTP/1.1\r\nHost: h%d.example\r\nX-Test: %s\r\n\r\n", i, i%1000, id)
				res, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Errorf("request %s: %v", id, err)
					return
				}
				b, err := io.ReadAll(res.Body)
				if res.StatusCode != 200 || string(b) != id || err != nil {
					t.Errorf("request %s: %s, %q, %v", id, res.Status, b, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	var took []time.Duration
	for i := range 3 {
		before := answered.Load()
		eventually(t, func() bool { return answered.Load() > before+20 })
		spec.Listeners[0].Routes[0].Timeout = time.Duration(i+1) * time.Minute
		for p := range spec.Pools {
			spec.Pools[p].Timeouts.Response = time.Duration(i+1) * time.Minute
		}
		began := time.Now()
		s.mustApply(t, spec)
		took = append(took, time.Since(began))
	}
	close(stop)
	wg.Wait()
	if twice.Load() != 0 {
		t.Errorf("%d requests came to the server twice", twice.Load())
	}
	t.Logf("%d requests; reloads of %d routes and 1000 servers took %v, with the messages", answered.Load(), routes, took)
}

// BenchmarkLargeReload is a reload as the supervisor sees it, with the messages.
func BenchmarkLargeReload(b *testing.B) {
	s := startWorker(b)
	bind := s.bind(b, "web")
	server := web(b, says("a"))
	spec := largeSpec(bind, server, 10000)
	s.mustApply(b, spec)
	n := 0
	for b.Loop() {
		n++
		for p := range spec.Pools {
			spec.Pools[p].Timeouts.Response = time.Duration(n) * time.Minute
		}
		if err := s.configure(b, ipc.WorkerConfig{Spec: spec}); err != "" {
			b.Fatal(err)
		}
	}
}
