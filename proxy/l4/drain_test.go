package l4

import (
	"net"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// between is a proxy before two servers, and a connection to each of them.
func between(t *testing.T, drain time.Duration) (r *running, first, second *net.TCPConn) {
	t.Helper()
	spec := pool(t, backend(t, echo), backend(t, echo)).Spec()
	spec.Drain = drain
	r = start(t, repool(t, spec))
	first = r.dial(t)
	echoed(t, first)
	second = r.dial(t)
	echoed(t, second)
	return r, first, second
}

func TestConnectionsToServersThatAreDrainedEnd(t *testing.T) {
	for name, change := range map[string]func(*proxy.Pool){
		"drained":        func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain },
		"in maintenance": func(p *proxy.Pool) { p.Servers[0].State = proxy.Maintenance },
		"gone":           func(p *proxy.Pool) { p.Servers = p.Servers[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			r, first, second := between(t, 100*time.Millisecond)
			dropped := r.pools["db"].Servers()[0]
			r.repool(t, "db", change)
			isReset(t, first)
			eventually(t, "its place at the server", func() bool { return dropped.Status(time.Now()).Active == 0 })
			echoed(t, second)
			for range 3 { // all new ones go to the other
				echoed(t, r.dial(t))
			}
			if got := dropped.Status(time.Now()); got.Served != 1 || got.Ejections != 0 {
				t.Errorf("status %+v, want one connection that has said nothing of the server", got)
			}
		})
	}
}

func TestConnectionsToAPoolThatIsGoneEnd(t *testing.T) {
	r, first, second := between(t, 100*time.Millisecond)
	spec := pool(t, backend(t, echo)).Spec()
	spec.Name = "other"
	r.use(t, func(r *running) {
		r.pools["other"] = repool(t, spec)
		r.listener.Routes = []proxy.Route{to("other")}
	})
	isReset(t, first)
	isReset(t, second)
	echoed(t, r.dial(t))
}

func TestConnectionsLastWhereThereIsNoEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		drain  time.Duration
		change []func(*proxy.Pool)
	}{
		"drained for ever": {0, []func(*proxy.Pool){func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain }}},
		"another check":    {time.Millisecond, []func(*proxy.Pool){func(p *proxy.Pool) { p.Check.Fall = 7 }}},
		"another name":     {time.Millisecond, []func(*proxy.Pool){func(p *proxy.Pool) { p.Servers[0].Name = "a" }}},
		"ready again": {300 * time.Millisecond, []func(*proxy.Pool){
			func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain },
			func(p *proxy.Pool) { p.Servers[0].State = proxy.Ready },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, first, _ := between(t, tc.drain)
			for _, change := range tc.change {
				r.repool(t, "db", change)
			}
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(2*tc.drain + 200*time.Millisecond); time.Now().Before(end); <-tick.C {
				echoed(t, first)
			}
		})
	}
}
