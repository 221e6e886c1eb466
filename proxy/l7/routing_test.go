package l7

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
)

// routed runs a proxy with these routes, which go to pools of one server each. The
// server of a pool answers with the pool's name, and what it was asked.
func routed(t *testing.T, routes ...proxy.Route) *running {
	t.Helper()
	spec := generous()
	spec.Routes = routes
	pools := map[string]string{}
	for _, name := range spec.Pools() {
		pools[name] = webServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Server", "secret")
			fmt.Fprintf(w, "%s %s %s %s", name, r.Host, r.RequestURI, strings.Join(r.Header["X-Team"], ","))
		})
	}
	r := startWith(t, generous(), pool(t))
	r.config.Listener = spec
	r.config.Backends = map[string]*backend.Backend{}
	for name, address := range pools {
		r.config.Backends[name] = backend.New(r.engine.reactor.Loops(), newPool(t, with(t, func(p *proxy.Pool) { p.Name = name }, address), nil), nil, options(t))
	}
	r.Configure(r.prepare(t))
	return r
}

func to(pool string) []proxy.Share { return []proxy.Share{{Pool: pool, Weight: 1}} }

func TestRoutes(t *testing.T) {
	r := routed(t,
		proxy.Route{Match: proxy.Match{Hosts: []string{"old.example"}}, Redirect: &proxy.Redirect{To: "https://new.example{uri}", Status: 308}},
		proxy.Route{Match: proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathExact, Value: "/robots.txt"}}},
			Respond:         &proxy.Respond{Status: 200, Body: `{"no":1}`, ContentType: "application/json"},
			ResponseHeaders: proxy.HeaderEdit{Set: []proxy.HeaderField{{Name: "X-Fixed", Value: "yes"}}}},
		proxy.Route{Match: proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathPrefix, Value: "/api"}}}, Split: to("api"),
			Rewrite:         proxy.Rewrite{Prefix: "/v2", Replace: true, Host: "api.internal"},
			RequestHeaders:  proxy.HeaderEdit{Set: []proxy.HeaderField{{Name: "X-Team", Value: "shop"}}},
			ResponseHeaders: proxy.HeaderEdit{Remove: []string{"x-server"}, Add: []proxy.HeaderField{{Name: "X-Added", Value: "1"}}}},
		proxy.Route{Match: proxy.Match{Methods: []string{"POST"}}, Split: to("forms")},
		proxy.Route{Match: proxy.Match{Hosts: []string{"shop.example"}}, Split: to("web")},
	)
	tests := []struct {
		name, request string
		status        int
		body          string
		fields        map[string]string // of the response; "" for one that is not there
	}{
		{"first that matches", "GET /a?b=c HTTP/1.1\r\nHost: Shop.Example:80\r\n", 200, "web Shop.Example:80 /a?b=c ", map[string]string{"X-Server": "secret"}},
		{"by method", "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n", 200, "forms shop.example / ", nil},
		{"rewritten", "GET /api/x?y HTTP/1.1\r\nHost: shop.example\r\nX-Team: me\r\nx-team: too\r\n", 200, "api api.internal /v2/x?y shop", map[string]string{"X-Server": "", "X-Added": "1"}},
		{"redirected", "GET /x?y HTTP/1.1\r\nHost: old.example\r\n", 308, "308 Permanent Redirect\n", map[string]string{"Location": "https://new.example/x?y"}},
		{"answered", "GET /robots.txt HTTP/1.1\r\nHost: a\r\n", 200, `{"no":1}`, map[string]string{"Content-Type": "application/json", "X-Fixed": "yes"}},
		{"no route", "GET / HTTP/1.1\r\nHost: other.example\r\n", 404, "404 No route matches the request\n", nil},
	}
	c := r.dial(t) // one connection: none of this ends it
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.send(t, tt.request+"\r\n")
			res := c.response(t, http.MethodGet)
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || string(b) != tt.body {
				t.Errorf("response = %s, %q, %v; want %d, %q", res.Status, b, err, tt.status, tt.body)
			}
			for name, want := range tt.fields {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
	lines := r.logged(t, len(tests))
	var got []string
	for _, l := range lines {
		got = append(got, fmt.Sprint(l["route"], " ", l["pool"], " ", l["reason"]))
	}
	want := []string{"5 web ok", "4 forms ok", "3 api ok", "1 <nil> ok", "2 <nil> ok", "<nil> <nil> no_route"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access log (-want +got):\n%s", diff)
	}
}

func TestSplitGoesByWeight(t *testing.T) {
	r := routed(t, proxy.Route{Split: []proxy.Share{{Pool: "old", Weight: 9}, {Pool: "new", Weight: 1}, {Pool: "none", Weight: 0}}})
	c := r.dial(t)
	got := map[string]int{}
	const n = 1000
	for range n {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		name, _, _ := strings.Cut(body(t, c.response(t, http.MethodGet)), " ")
		got[name]++
	}
	// Seven standard deviations of a binomial distribution.
	if want := n / 10; got["new"] < want-67 || got["new"] > want+67 || got["none"] > 0 {
		t.Errorf("%v of %d requests, want %d for the new pool", got, n, want)
	}
}

func TestRateLimit(t *testing.T) {
	r := routed(t, proxy.Route{Split: to("web"), RateLimit: proxy.RateLimit{
		Requests: 1, Per: time.Hour, Burst: 2, By: proxy.Key{Kind: proxy.KeyHeader, Name: "x-key"},
	}})
	c := r.dial(t)
	ask := func(key string) *http.Response {
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Key: "+key+"\r\n\r\n")
		res := c.response(t, http.MethodGet)
		body(t, res)
		return res
	}
	for i, want := range []int{200, 200, 429, 429} {
		if res := ask("a"); res.StatusCode != want {
			t.Errorf("request %d: %s, want %d", i, res.Status, want)
		} else if h := res.Header; want == 429 && (h.Get("Retry-After") != "3600" || h.Get(reasonField) != "rate-limit") {
			t.Errorf("request %d: %v, want Retry-After 3600 and the reason rate-limit", i, h)
		}
	}
	if res := ask("b"); res.StatusCode != 200 {
		t.Errorf("another key: %s, want 200", res.Status)
	}
	t.Log("# a reload is no way around it")
	r.config.Listener.Timeouts.Idle++
	r.Configure(r.prepare(t))
	if res := ask("a"); res.StatusCode != 429 {
		t.Errorf("after a reload: %s, want 429", res.Status)
	}
	if last := r.logged(t, 6)[5]; last["reason"] != "rate_limited" || last["status"] != 429.0 {
		t.Errorf("line = %v", last)
	}
	if failed := r.Traffic().Failed; failed != 0 {
		t.Errorf("%d requests failed, want 0: it is the client's doing", failed)
	}
}
