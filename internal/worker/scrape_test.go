package worker

import (
	"testing"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/stats"
)

// scrape returns what the worker counts, once nothing is in progress.
func (s *supervisor) scrape(t *testing.T) (c ipc.Counts) {
	t.Helper()
	eventually(t, func() bool {
		s.send(t, ipc.ToWorker{Scrape: &ipc.Scrape{Seq: c.Seq + 1}})
		last := c.Seq
		if c = await(t, s.counts); c.Seq != last+1 {
			t.Fatalf("answer %d to scrape %d", c.Seq, last+1)
		}
		for _, p := range c.Stats.Pages {
			all := c.Stats.Listener(p.Listener)
			if all.Begun != all.Over {
				return false
			}
		}
		return true
	})
	return c
}

func TestCountsOutliveAReload(t *testing.T) {
	s := startWorker(t)
	at, tcp := s.bind(t, "web"), s.bind(t, "raw")
	a, b, echo := web(t, says("a")), web(t, says("b")), echoes(t)
	spec := func(pool string, servers ...proxy.Pool) proxy.Spec {
		return proxy.Spec{
			Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, pool, at), newSpecListener("raw", proxy.TCP, "echo", tcp)},
			Pools:     append(servers, newSpecPool("echo", echo)),
		}
	}
	s.mustApply(t, spec("one", newSpecPool("one", a)))
	connect(t, at).ask(t)
	raw := connect(t, tcp)
	raw.echo(t, "hello")
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	c := s.scrape(t)
	one, echoed := c.Stats.Pool("one"), c.Stats.Pool("echo")
	if one.Classes[stats.Class2xx] != 1 || one.Total.Count() != 1 || echoed.In < 5 || echoed.In != echoed.Out || echoed.Ends["closed"] != 1 {
		t.Errorf("pool one %+v, echo %+v", one, echoed)
	}
	if len(c.Stats.Servers) != 2 || c.Process.Memory == 0 || c.Process.Goroutines == 0 {
		t.Errorf("servers %+v, process %+v", c.Stats.Servers, c.Process)
	}

	t.Log("# a config that is refused changes nothing of it")
	broken := spec("two", newSpecPool("two", b))
	broken.Listeners[0].Bind = append(broken.Listeners[0].Bind, at) // and one that was never handed over
	broken.Listeners = append(broken.Listeners, newSpecListener("nowhere", proxy.HTTP, "two", b))
	if s.apply(t, broken) == "" {
		t.Fatal("a listener without a socket is served")
	}
	refused := s.scrape(t).Stats
	if got := refused.Pool("one"); got.Classes[stats.Class2xx] != 1 || len(refused.Pages) != len(c.Stats.Pages) {
		t.Errorf("after a config that was refused: %+v", refused)
	}

	t.Log("# one that has another pool, too, lets it go on")
	both := spec("one", newSpecPool("one", a, b))
	both.Listeners[0].Routes = append([]proxy.Route{{Match: proxy.Match{Hosts: []string{"two.example"}}, Split: []proxy.Share{{Pool: "two", Weight: 1}}}}, both.Listeners[0].Routes...)
	both.Pools = append(both.Pools, newSpecPool("two", b))
	s.mustApply(t, both)
	connect(t, at).ask(t)
	grown := s.scrape(t).Stats
	if got := grown.Pool("one"); got.Classes[stats.Class2xx] != 2 || len(grown.Pages) != len(c.Stats.Pages)+1 || len(grown.Servers) != 4 {
		t.Errorf("after a reload: %+v", grown)
	}

	t.Log("# what it does not name any more is forgotten")
	s.mustApply(t, spec("two", newSpecPool("two", b)))
	connect(t, at).ask(t)
	last := s.scrape(t).Stats
	if got := last.Pool("one"); got.Total.Count() != 0 || len(last.Pages) != len(c.Stats.Pages) {
		t.Errorf("after the pool has gone: %+v", last)
	}
	if got := last.Listener("web"); got.Begun != 3 || got.Over != 3 {
		t.Errorf("of the listener: %d begun, %d over, want 3", got.Begun, got.Over)
	}
}
