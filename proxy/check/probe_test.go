package check

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func TestProbes(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RequestURI() {
		case "/ok?deep=1":
			if r.Method != http.MethodGet || r.UserAgent() != "tandem" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/moved":
			http.Redirect(w, r, "/ok?deep=1", http.StatusFound)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	get := func(path string) proxy.Check {
		return proxy.Check{Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: path, Expect: proxy.StatusRange{Low: 200, High: 299}}
	}
	tcp := proxy.Check{Kind: proxy.CheckTCP}
	here, gone := web.Listener.Addr().String(), closed.Addr().String()
	tests := []struct {
		name     string
		check    proxy.Check
		address  string
		timeout  time.Duration
		evidence string
		ok       bool
	}{
		{"tcp", tcp, here, time.Minute, "connected", true},
		{"tcp refused", tcp, gone, time.Minute, "connect: connection refused", false},
		{"tcp timeout", tcp, here, time.Nanosecond, "connect: no answer in time", false},
		{"http", get("/ok?deep=1"), here, time.Minute, "GET /ok?deep=1: status 200", true},
		{"http behind an interim response", get("/hints"), here, time.Minute, "GET /hints: status 200", true},
		{"http refused", get("/"), gone, time.Minute, "GET /: connect: connection refused", false},
		{"http other status", get("/"), here, time.Minute, "GET /: status 503, expected 200-299", false},
		{"http redirect is not followed", get("/moved"), here, time.Minute, "GET /moved: status 302, expected 200-299", false},
		{"http timeout", get("/slow"), here, 50 * time.Millisecond, "GET /slow: no answer in time", false},
		{"http cut", get("/cut"), here, time.Minute, "GET /cut: EOF", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
			defer cancel()
			evidence, saw := newProbe(netip.MustParseAddrPort(tt.address), tt.check)(ctx, Way{})
			if evidence != tt.evidence || saw == sawNothing || (saw == sawGood) != tt.ok {
				t.Errorf("probe = %q, %v; want %q, %v", evidence, saw, tt.evidence, tt.ok)
			}
		})
	}
}

func TestWantOfDescriptorsIsNoFaultOfTheServer(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	at := netip.MustParseAddrPort(web.Listener.Addr().String())
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, check := range []proxy.Check{{Kind: proxy.CheckTCP}, {Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: "/"}} {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		evidence, saw := newProbe(at, check)(t.Context(), Way{})
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if saw != sawNothing {
			t.Errorf("%s: %q, %v", check.Kind, evidence, saw)
		}
	}
}

// A probe leaves no connection behind, neither after a body it did not read.
func TestProbeClosesItsConnection(t *testing.T) {
	closed := make(chan struct{}, 16)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 1<<20))
	}))
	web.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	web.Start()
	defer web.Close()
	s := server(t, web.Listener.Addr().String(), proxy.Check{
		Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: "/", Expect: proxy.StatusRange{Low: 200, High: 299},
		Every: time.Hour, Timeout: time.Minute, Rise: 2, Fall: 3,
	})
	changed := make(chan struct{}, 1)
	c := New(s, rand.New(rand.NewPCG(1, 2)), func(*upstream.Server, upstream.Verdict) { changed <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	for _, event := range []chan struct{}{changed, closed} {
		select {
		case <-event:
		case <-time.After(10 * time.Second):
			t.Fatal("the probe did not end with its connection closed")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}
