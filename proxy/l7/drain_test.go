package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
)

// echoing answers an upgrade with 101 and echoes from then on.
func echoing(c *net.TCPConn, r *bufio.Reader) {
	if _, err := readHead(r); err == nil {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, r)
	}
}

// change makes the pool another one, as a reload does.
func (r *running) change(t *testing.T, change func(*proxy.Pool)) {
	t.Helper()
	old := r.config.Backends["web"]
	spec := old.Pool.Spec()
	spec.Servers = append([]proxy.Server(nil), spec.Servers...)
	change(&spec)
	p := newPool(t, spec, old.Pool)
	p.Activate(time.Now())
	next := backend.New(r.engine.reactor.Loops(), p, old, options(t))
	r.use(t, next)
	old.Retire(next)
}

func (r *running) tunnel(t *testing.T) raw {
	t.Helper()
	c := r.dial(t)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	return c
}

func (c raw) echoes(t *testing.T) {
	t.Helper()
	c.send(t, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(c.r, b); err != nil || string(b) != "hello" {
		t.Fatalf("echo = %q, %v", b, err)
	}
}

func TestTunnelsEndWithTheDrainOfTheirServer(t *testing.T) {
	drain := func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain }
	remove := func(p *proxy.Pool) { p.Servers = p.Servers[1:] }
	for name, change := range map[string]func(*proxy.Pool){"drained": drain, "removed": remove} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Drain = time.Second },
				rawServer(t, echoing), rawServer(t, echoing)), nil))
			var all [2][]raw // by server
			for i := range 10 {
				all[i%2] = append(all[i%2], r.tunnel(t))
			}
			r.change(t, change)
			for i := range 3 { // a reload does not begin it anew
				r.change(t, func(p *proxy.Pool) { p.Timeouts.Response += time.Duration(i) })
			}
			for _, c := range all[0] {
				if _, err := c.r.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
					t.Errorf("a tunnel to the server that goes: %v", err)
				}
			}
			for _, c := range all[1] {
				c.echoes(t)
			}
		})
	}
}

func TestTunnelsOutliveADrainThatIsTakenBack(t *testing.T) {
	r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Drain = 100 * time.Millisecond }, rawServer(t, echoing)), nil))
	c := r.tunnel(t)
	r.change(t, func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain })
	r.change(t, func(p *proxy.Pool) { p.Servers[0].State = proxy.Ready })
	done := make(chan struct{})
	loop := r.engine.reactor.Loops()[0]
	if err := loop.Post(func() {
		loop.Go(func() {
			_ = loop.Sleep(300 * time.Millisecond)
			close(done)
		})
	}); err != nil {
		t.Fatal(err)
	}
	<-done // much later than the end of the drain would have been
	c.echoes(t)
}

func TestRequestsEndWithTheDrainOfTheirServer(t *testing.T) {
	g := newGate(t)
	r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.Drain = 50 * time.Millisecond }, g.address), nil))
	c := r.dial(t)
	c.send(t, get1)
	<-g.came
	r.change(t, func(p *proxy.Pool) { p.Servers[0].State = proxy.Drain })
	if res := c.response(t, http.MethodGet); res.StatusCode != 503 || res.Header.Get(reasonField) != "server-drained" {
		t.Errorf("response = %s, %v", res.Status, res.Header)
	}
}
