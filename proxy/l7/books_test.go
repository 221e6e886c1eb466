package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/stats"
)

// page waits until nothing is in progress, and returns what the books say of a pool.
func (r *running) page(t *testing.T, pool string) stats.PageCounts {
	t.Helper()
	eventually(t, func() bool {
		s := r.engine.options.Stats.Snapshot()
		all := s.Listener("shop")
		return all.Begun == all.Over
	})
	s := r.engine.options.Stats.Snapshot()
	for _, p := range s.Pages {
		if p.Key == (stats.Key{Listener: "shop", Pool: pool}) {
			return p
		}
	}
	t.Fatalf("no page of pool %q in %+v", pool, s)
	return stats.PageCounts{}
}

func classes(p stats.PageCounts) string {
	var all []string
	for class, n := range p.Classes {
		if n > 0 {
			all = append(all, fmt.Sprintf("%s=%d", stats.ClassNames[class], n))
		}
	}
	return strings.Join(all, " ")
}

func TestRequestsAreWrittenDown(t *testing.T) {
	spec := generous()
	spec.Routes = append([]proxy.Route{{Match: proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathExact, Value: "/gone"}}}, Respond: &proxy.Respond{Status: 410}}}, spec.Routes...)
	server := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		echo(w, r)
	})
	r := startWith(t, spec, pool(t, server))
	b := r.backend(t, server)
	b.Count(func(name string) *stats.Server {
		return r.engine.options.Stats.Server(stats.ServerKey{Pool: "web", Server: name})
	})
	r.use(t, b)
	for _, path := range []string{"/", "/missing"} {
		res, err := client(t).Post(r.url(path), "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body(t, res)
	}
	get(t, r.url("/gone"))
	c := r.dial(t)
	c.send(t, "nonsense\r\n\r\n")
	c.response(t, http.MethodGet)

	p := r.page(t, "web")
	if got := classes(p); got != "2xx=1 4xx=1" || p.In != 10 || p.Out != 10 || p.Ends != nil {
		t.Errorf("of the pool there are %s, %d bytes in, %d out, ends %v", got, p.In, p.Out, p.Ends)
	}
	if p.Total.Count() != 2 || p.FirstByte.Count() != 2 || p.Connect.Count() == 0 || p.Queue.Count() != 0 || p.Begun != 0 {
		t.Errorf("of the pool there are %d durations, %d first bytes, %d connects, %d waits, %d begun", p.Total.Count(), p.FirstByte.Count(),
			p.Connect.Count(), p.Queue.Count(), p.Begun)
	}
	home := r.page(t, "")
	if got := classes(home); got != "4xx=2" || home.Begun != 4 || home.Over != 4 || home.FirstByte.Count() != 0 {
		t.Errorf("without a pool there are %s, %d begun, %d over", got, home.Begun, home.Over)
	}
	if diff := cmp.Diff(map[string]uint64{"client_error": 1}, home.Ends); diff != "" {
		t.Errorf("ends without a pool (-want +got):\n%s", diff)
	}
	s := r.engine.options.Stats.Snapshot()
	if len(s.Servers) != 1 || s.Servers[0].Classes[stats.Class2xx] != 1 || s.Servers[0].Classes[stats.Class4xx] != 1 {
		t.Errorf("of the server there is %+v", s.Servers)
	}
}

func TestFailuresAreWrittenDown(t *testing.T) {
	r := start(t, reactortest.Refusing(t))
	get(t, r.url("/"))
	if p := r.page(t, "web"); classes(p) != "5xx=1" || p.Ends["server_connect"]+p.Ends["no_server"] != 1 || p.Connect.Count() != 0 {
		t.Errorf("of a dead server there are %s, %v, %d connects", classes(p), p.Ends, p.Connect.Count())
	}
	t.Run("the client leaves", func(t *testing.T) {
		r, g := narrow(t, func(*proxy.Pool) {})
		c := r.dial(t)
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-g.came
		s := r.engine.options.Stats.Snapshot()
		if all := s.Listener("shop"); all.Begun != 1 || all.Over != 0 {
			t.Errorf("%d begun, %d over while the server thinks", all.Begun, all.Over)
		}
		c.Close()
		if p := r.page(t, "web"); classes(p) != "499=1" || p.Ends["client_abort"] != 1 {
			t.Errorf("of who left there are %s, %v", classes(p), p.Ends)
		}
	})
	t.Run("a wait", func(t *testing.T) {
		r, g := narrow(t, func(*proxy.Pool) {})
		for range 2 {
			c := r.dial(t)
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		<-g.came
		eventually(t, r.waiting(1))
		g.let <- struct{}{}
		<-g.came
		g.let <- struct{}{}
		if p := r.page(t, "web"); p.Queue.Count() != 1 || p.Queue.Sum == 0 || p.Queue.Sum > uint64(time.Minute) {
			t.Errorf("%d waits of %d ns, want one", p.Queue.Count(), p.Queue.Sum)
		}
	})
	t.Run("a panic", func(t *testing.T) {
		r := start(t, webServer(t, echo))
		bug := func() { panic("as a bug would") }
		r.observe.Store(&bug)
		if res, err := client(t).Get(r.url("/")); err == nil {
			res.Body.Close()
		}
		if p := r.page(t, ""); p.Over != 1 {
			t.Errorf("%d are over after a panic, want 1", p.Over)
		}
	})
}

func TestTunnelOfARequestCountsItsBytes(t *testing.T) {
	r := start(t, rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		readHead(in)
		c.Write([]byte(switching + "bye"))
		c.CloseWrite()
		io.Copy(io.Discard, in)
	}))
	c := r.dial(t)
	c.send(t, upgrade)
	c.response(t, http.MethodGet)
	c.expect(t, "bye")
	c.send(t, "and more")
	c.CloseWrite()
	r.settle(t)
	p := r.page(t, "web")
	if classes(p) != "1xx=1" || p.In != 8 || p.Out > 3 {
		t.Errorf("of the tunnel there are %s, %d bytes in, %d out", classes(p), p.In, p.Out)
	}
}
