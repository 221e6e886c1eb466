package l7

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
)

// named runs three servers that answer with their number.
func named(t *testing.T) (addresses []string) {
	for i := range 3 {
		addresses = append(addresses, webServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, i) }))
	}
	return addresses
}

// sticky makes the pool keep its clients, and the servers be in these states.
func (r *running) sticky(t *testing.T, key string, change func(*proxy.Pool), addresses []string) {
	t.Helper()
	old := r.config.Backends["web"]
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Sticky.Cookie = "TANDEM"
		change(p)
	}, addresses...), old.Pool)
	p.Activate(time.Now())
	r.use(t, backend.New(r.engine.reactor.Loops(), p, old, backend.Options{Key: []byte(key)}))
}

// meet asks with a cookie, and returns who answered, and the cookie that was set.
func (r *running) meet(t *testing.T, cookie string) (server, set string) {
	t.Helper()
	c := r.dial(t)
	if cookie != "" {
		cookie = "Cookie: a=b; TANDEM=" + cookie + "\r\n"
	}
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n"+cookie+"\r\n")
	res := c.response(t, http.MethodGet)
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	for _, k := range res.Cookies() {
		if k.Name != "TANDEM" || !k.HttpOnly || k.Path != "/" || k.SameSite != http.SameSiteLaxMode || k.MaxAge != 0 {
			t.Errorf("cookie %s", k)
		}
		set = k.Value
	}
	return body(t, res), set
}

func TestClientsComeBackToTheirServer(t *testing.T) {
	addresses := named(t)
	r := start(t, addresses...)
	none := func(*proxy.Pool) {}
	r.sticky(t, "key", none, addresses)
	cookies := map[string]string{}
	for range 3 {
		server, cookie := r.meet(t, "")
		cookies[server] = cookie
	}
	if len(cookies) != 3 {
		t.Fatalf("cookies = %v, want one for each server", cookies)
	}
	for range 3 {
		for server, cookie := range cookies {
			if got, set := r.meet(t, cookie); got != server || set != "" {
				t.Errorf("server %s, cookie %q; want to be at %s, without another one", got, set, server)
			}
		}
	}
	if _, set := r.meet(t, "made-up"); set == "" {
		t.Error("a cookie of ours takes the place of no cookie of ours: none was set")
	}

	t.Log("# a server that is drained keeps its clients, and gets no others")
	r.sticky(t, "key", func(p *proxy.Pool) { p.Servers[1].State = proxy.Drain }, addresses)
	for range 4 {
		if got, set := r.meet(t, cookies["1"]); got != "1" || set != "" {
			t.Errorf("server %s, cookie %q; want to stay", got, set)
		}
		if got, _ := r.meet(t, ""); got == "1" {
			t.Error("a new client at a server that is drained")
		}
	}

	t.Log("# one in maintenance does not")
	r.sticky(t, "key", func(p *proxy.Pool) { p.Servers[1].State = proxy.Maintenance }, addresses)
	if got, set := r.meet(t, cookies["1"]); got == "1" || set != cookies[got] {
		t.Errorf("server %s, cookie %q; want another one, and its cookie", got, set)
	}

	t.Log("# another key, other cookies")
	r.sticky(t, "another", none, addresses)
	if got, set := r.meet(t, cookies["0"]); set == "" || set == cookies[got] {
		t.Errorf("server %s, cookie %q", got, set)
	}
}

func TestHashKeepsRequestsTogether(t *testing.T) {
	addresses := named(t)
	r := start(t, addresses...)
	old := r.config.Backends["web"]
	p := newPool(t, with(t, func(p *proxy.Pool) {
		p.Balance, p.HashOn = proxy.ConsistentHash, proxy.Key{Kind: proxy.KeyHeader, Name: "x-tenant"}
	}, addresses...), old.Pool)
	p.Activate(time.Now())
	r.use(t, backend.New(r.engine.reactor.Loops(), p, old, options(t)))
	c := r.dial(t)
	seen, servers := map[string]string{}, map[string]bool{}
	for i := range 90 {
		key := fmt.Sprint("tenant-", i%30)
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: "+key+"\r\n\r\n")
		got := body(t, c.response(t, http.MethodGet))
		if seen[key] == "" {
			seen[key] = got
		}
		if seen[key] != got {
			t.Errorf("%s is at %s and %s", key, seen[key], got)
		}
		servers[got] = true
	}
	if len(servers) != 3 {
		t.Errorf("servers %v, want all of them", servers)
	}
}

func TestOverloadIsShed(t *testing.T) {
	r := start(t, webServer(t, echo))
	r.overloaded.Store(true)
	c := r.dial(t)
	c.send(t, get1)
	res := c.response(t, http.MethodGet)
	if res.StatusCode != 503 || !res.Close || res.Header.Get(reasonField) != "overload" || res.Header.Get("Retry-After") != "1" {
		t.Errorf("response = %s, %v", res.Status, res.Header)
	}
	if got := r.logged(t, 1)[0]["reason"]; got != "overload" {
		t.Errorf("reason = %v", got)
	}
}
