package l4

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// backend runs handle for each connection to a server, and waits for them.
func backend(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l := reactortest.Listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func pool(t testing.TB, servers ...string) *upstream.Pool {
	t.Helper()
	spec := proxy.Pool{Name: "db", Balance: proxy.RoundRobin, Retry: proxy.Retry{Attempts: 2, Budget: 1}}
	for _, s := range servers {
		spec.Servers = append(spec.Servers, proxy.Server{Weight: 1, Name: s, Address: netip.MustParseAddrPort(s)})
	}
	return repool(t, spec)
}

func repool(t testing.TB, spec proxy.Pool) *upstream.Pool {
	t.Helper()
	p, err := upstream.NewPool(spec, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// running is a Proxy that serves a listener, on loops of its own.
type running struct {
	*Proxy
	listener proxy.Listener
	pools    map[string]*upstream.Pool
	identity *secure.Identity // of all of them
	l        *net.TCPListener
	unbind   func()
}

// start serves the pool by a listener that has one route.
func start(t testing.TB, p *upstream.Pool) *running {
	t.Helper()
	name := p.Spec().Name
	return startWith(t, proxy.Listener{Protocol: proxy.TCP, Routes: []proxy.Route{to(name)}}, p)
}

// to is a route to a pool.
func to(pool string, hosts ...string) proxy.Route {
	return proxy.Route{Match: proxy.Match{Hosts: hosts}, Split: []proxy.Share{{Pool: pool, Weight: 1}}}
}

func startWith(t testing.TB, listener proxy.Listener, pools ...*upstream.Pool) *running {
	t.Helper()
	loops := reactortest.Start(t, 2)
	r := &running{l: reactortest.Listen(t), listener: listener, pools: make(map[string]*upstream.Pool)}
	for _, p := range pools {
		r.pools[p.Spec().Name] = p
	}
	r.Proxy = New(loops, r.config(t))
	f, err := r.l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.unbind, err = r.Listen(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.abort(t) })
	return r
}

func (r *running) config(t testing.TB) Config {
	t.Helper()
	pools := make(map[string]Pool, len(r.pools))
	for name, p := range r.pools {
		pools[name] = Pool{Servers: p, Identity: r.identity}
	}
	c, err := NewConfig(r.listener, pools, func(*upstream.Server, upstream.Verdict) {})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *running) stop(t testing.TB, ctx context.Context) {
	t.Helper()
	r.unbind()
	r.l.Close()
	r.Shutdown(ctx)
}

// abort stops it without waiting for anybody.
func (r *running) abort(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.stop(t, ctx)
}

// use makes new connections go by a changed config.
func (r *running) use(t testing.TB, change func(*running)) {
	t.Helper()
	change(r)
	r.Configure(r.config(t))
}

// repool changes a pool as a reload does.
func (r *running) repool(t testing.TB, name string, change func(*proxy.Pool)) {
	t.Helper()
	old := r.pools[name]
	spec := old.Spec()
	spec.Servers = slices.Clone(spec.Servers)
	change(&spec)
	p, err := upstream.NewPool(spec, old, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.Activate(time.Now())
	r.use(t, func(r *running) { r.pools[name] = p })
}

// server returns the status of a server of the pool db.
func (r *running) server(i int) upstream.Status { return r.pools["db"].Servers()[i].Status(time.Now()) }

func (r *running) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// settle waits until the proxy's connections are gone, and returns its counters.
func (r *running) settle(t *testing.T) proxy.Traffic {
	t.Helper()
	eventually(t, "the end of all connections", func() bool {
		active := r.Traffic().Open
		for _, p := range r.pools {
			active += p.Status(time.Now()).Active
		}
		return active == 0
	})
	return r.Traffic()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// reset closes c so that its peer gets a RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}
