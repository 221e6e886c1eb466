package rules

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/route"
)

// request asks for nothing but a host.
func request(host string) route.Request { return &route.ServerName{Name: []byte(host)} }

func listener(routes ...proxy.Route) *proxy.Listener { return &proxy.Listener{Routes: routes} }

func limited(host string, n int) proxy.Route {
	return proxy.Route{
		Match:     proxy.Match{Hosts: []string{host}},
		Split:     []proxy.Share{{Pool: "web", Weight: 1}},
		RateLimit: proxy.RateLimit{Requests: n, Per: time.Hour, Burst: 1, By: proxy.Key{Kind: proxy.KeyClient}},
	}
}

func mustNew(t *testing.T, l *proxy.Listener, old *Rules, now time.Time) *Rules {
	t.Helper()
	r, err := New(l, old, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLimitsGoOnOverAReload(t *testing.T) {
	now := time.Now()
	client := netip.MustParseAddr("192.0.2.1")
	allowed := func(r *Rules, host string) bool {
		at := r.Match(request(host), client)
		if at == nil || !at.Limited() {
			t.Fatalf("%s has no limit", host)
		}
		ok, after := at.Allow(now, request(host), client, nil)
		if ok == (after > 0) {
			t.Errorf("%s: allowed %t, and again in %s", host, ok, after)
		}
		return ok
	}
	old := mustNew(t, listener(limited("a", 1), limited("b", 1)), nil, now)
	if !allowed(old, "a") || allowed(old, "a") || !allowed(old, "b") {
		t.Error("each route has one token")
	}
	other := limited("c", 1)
	r := mustNew(t, listener(other, limited("b", 2), limited("a", 1)), old, now)
	if allowed(r, "a") {
		t.Error("a has got another token by its place in the config")
	}
	if !allowed(r, "b") {
		t.Error("b has another limit, and none of its tokens")
	}
	if !allowed(r, "c") {
		t.Error("c is new, and has none of its tokens")
	}
	if again := mustNew(t, listener(limited("a", 1)), r, now); allowed(again, "a") {
		t.Error("a has got another token by a second reload")
	}
}

func TestRoutesAreMadeReady(t *testing.T) {
	r := mustNew(t, listener(
		proxy.Route{Match: proxy.Match{Hosts: []string{"a"}}, Split: []proxy.Share{{Pool: "x", Weight: 1}, {Pool: "y", Weight: 0}},
			Rewrite: proxy.Rewrite{Host: "b", Prefix: "/", Replace: true},
			RequestHeaders: proxy.HeaderEdit{
				Set: []proxy.HeaderField{{Name: "X-Set", Value: "1"}}, Add: []proxy.HeaderField{{Name: "X-Add", Value: "2"}}, Remove: []string{"x-gone"},
			}},
		proxy.Route{Split: []proxy.Share{{Pool: "y", Weight: 1}}},
	), nil, time.Now())
	if diff := cmp.Diff([]string{"x", "y"}, r.Pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	at := r.Match(request("a"), netip.Addr{})
	if at == nil || at.Number != 1 || string(at.Host) != "b" || !at.Rewrites || r.Pool(at, 1<<63) != 0 {
		t.Fatalf("route = %+v", at)
	}
	want := Edit{Drop: []string{"x-gone", "x-set"}, Add: []http1.Addition{{Name: "X-Set", Value: []byte("1")}, {Name: "X-Add", Value: []byte("2")}}}
	if diff := cmp.Diff(want, at.Request); diff != "" {
		t.Errorf("edit (-want +got):\n%s", diff)
	}
	if at := r.Match(request("z"), netip.Addr{}); at == nil || at.Number != 2 || r.Pool(at, 0) != 1 {
		t.Errorf("route = %+v, want the second, to y", at)
	}
}

func TestNothingMatchesWithoutRoutes(t *testing.T) {
	if at := mustNew(t, listener(), nil, time.Now()).Match(request("a"), netip.Addr{}); at != nil {
		t.Errorf("route = %+v", at)
	}
}

func TestWhatCannotBeMadeReady(t *testing.T) {
	header := func(name, value string) proxy.Route {
		return proxy.Route{ResponseHeaders: proxy.HeaderEdit{Set: []proxy.HeaderField{{Name: name, Value: value}}}}
	}
	tests := []struct {
		name  string
		route proxy.Route
		want  string // part of the error
	}{
		{"regex", proxy.Route{Match: proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathRegex, Value: "("}}}}, "route 1"},
		{"value that ends its line", header("X-A", "1\r\nX-B: 2"), "route 1"},
		{"field that frames the message", header("Content-Length", "1"), "route 1"},
		{"content type that ends its line", proxy.Route{Respond: &proxy.Respond{Status: 200, Body: "a", ContentType: "a\nb"}}, "route 1"},
		{"limit without time", proxy.Route{RateLimit: proxy.RateLimit{Requests: 1, Burst: 1}}, "all must be positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(listener(proxy.Route{}, tt.route), nil, time.Now())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPlainRouteAllocatesNothing(t *testing.T) {
	r := mustNew(t, listener(proxy.Route{Split: []proxy.Share{{Pool: "x", Weight: 1}}}), nil, time.Now())
	q, client := request("a"), netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { r.Pool(r.Match(q, client), 7) }); n != 0 {
		t.Errorf("a match allocates %v times", n)
	}
}
