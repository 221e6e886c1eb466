package l7

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/tandemlb/tandem/proxy/backend"
)

func TestShutdownLetsExchangesFinish(t *testing.T) {
	next := make(chan struct{})
	r := start(t, webServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "1")
		w.(http.Flusher).Flush()
		<-next
		io.WriteString(w, "2")
	}))
	idle := r.dial(t)
	idle.send(t, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	next <- struct{}{}
	idle.response(t, http.MethodHead)
	busy := get(t, r.url("/"))
	if _, err := io.ReadFull(busy.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop(t, context.Background())
	}()
	if rest, err := io.ReadAll(idle.r); err != nil || len(rest) != 0 {
		t.Errorf("idle connection: %q, %v; want its end", rest, err)
	}
	select {
	case <-stopped:
		t.Error("Shutdown returned before the exchange ended")
	default:
	}
	next <- struct{}{}
	if got := body(t, busy); got != "2" {
		t.Errorf("rest of the body = %q, want 2", got)
	}
	<-stopped
	if tr := r.Traffic(); tr.Open != 0 {
		t.Errorf("traffic = %+v, want no open connection", tr)
	}
}

func TestShutdownWaitsForUpgraded(t *testing.T) {
	r := start(t, upgrading(t))
	c := r.dial(t)
	c.send(t, upgrade)
	c.response(t, http.MethodGet)
	c.expect(t, "hello ")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop(t, context.Background())
	}()
	c.send(t, "ping")
	c.expect(t, "ping")
	select {
	case <-stopped:
		t.Error("Shutdown returned before the upgraded connection ended")
	default:
	}
	c.CloseWrite()
	c.expect(t, " bye")
	<-stopped
}

func TestShutdownCutsWhatIsLeft(t *testing.T) {
	left := make(chan struct{})
	r := start(t, upgrading(t), webServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(left)
	}))
	upgraded := r.dial(t)
	upgraded.send(t, upgrade)
	upgraded.response(t, http.MethodGet)
	upgraded.expect(t, "hello ")
	busy := get(t, r.url("/"))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.stop(t, ctx)
	if _, err := io.ReadAll(busy.Body); err == nil {
		t.Error("a response that was cut looks complete")
	}
	io.Copy(io.Discard, upgraded.r) // ends
	<-left
	if tr := r.Traffic(); tr.Open != 0 {
		t.Errorf("traffic = %+v, want no open connection", tr)
	}
}

func TestNewBackendConcernsNewRequests(t *testing.T) {
	name := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	}
	r := start(t, webServer(t, name("a")))
	c := r.dial(t)
	for _, want := range []string{"a", "b"} {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := body(t, c.response(t, http.MethodGet)); got != want {
			t.Errorf("answered by %q, want %q", got, want)
		}
		r.use(t, r.backend(t, webServer(t, name("b"))))
	}
}

func TestBackendKeepsConnectionsToServersThatStay(t *testing.T) {
	remotes := make(chan string, 16)
	stays := webServer(t, func(_ http.ResponseWriter, r *http.Request) { remotes <- r.RemoteAddr })
	goes := webServer(t, func(_ http.ResponseWriter, r *http.Request) { remotes <- r.RemoteAddr })
	r := start(t, stays, goes)
	old := r.config.Backends["web"]
	get(t, r.url("/"))
	before := <-remotes
	get(t, r.url("/"))
	<-remotes

	spec := old.Pool.Spec()
	spec.Servers = spec.Servers[:1]
	smaller := newPool(t, spec, old.Pool)
	next := backend.New(r.engine.reactor.Loops(), smaller, old, options(t))
	r.use(t, next)
	old.Retire(next)
	defer next.Retire(nil)
	get(t, r.url("/"))
	if after := <-remotes; after != before {
		t.Errorf("request came from %s, before the change from %s; want the same connection", after, before)
	}
	if again := backend.New(r.engine.reactor.Loops(), smaller, next, options(t)); again != next {
		t.Error("NewBackend made a new backend for the same pool")
	}
}
