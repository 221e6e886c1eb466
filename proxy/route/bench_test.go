package route_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

// wire is a request without memory of its own, as the codec's is.
type wire struct {
	method, host, path, query []byte
	name, value               []byte
}

func (w *wire) Method() []byte { return w.method }
func (w *wire) Host() []byte   { return w.host }
func (w *wire) Path() []byte   { return w.path }
func (w *wire) Query() []byte  { return w.query }

func (w *wire) Field(name string, i int) ([]byte, bool) {
	return w.value, i == 0 && name == string(w.name)
}

func wired(host, path, query, name, value string) *wire {
	return &wire{[]byte("GET"), []byte(host), []byte(path), []byte(query), []byte(name), []byte(value)}
}

// layout is a table of n routes, and the request that takes the i-th.
type layout struct {
	name    string
	route   func(i int) proxy.Match
	request func(i int) *wire
}

func layouts() []layout {
	both := func(i int) proxy.Match {
		m := prefix(fmt.Sprintf("/team%d/api", i%100), fmt.Sprintf("/other%d", i%100))
		m.Hosts = []string{fmt.Sprintf("host%d.example.com", i/100)}
		m.Methods = []string{"GET", "POST"}
		return m
	}
	field := func(i int) proxy.Match {
		m := prefix("/api")
		m.Headers = []proxy.ValueMatch{{Name: "x-tenant", Value: fmt.Sprintf("tenant%d", i)}}
		return m
	}
	cookie := func(i int) proxy.Match {
		return proxy.Match{Cookies: []proxy.ValueMatch{{Name: "tenant", Value: fmt.Sprintf("t%d", i)}}}
	}
	parameter := func(i int) proxy.Match {
		return proxy.Match{Queries: []proxy.ValueMatch{{Name: "tenant", Value: fmt.Sprintf("t %d", i)}}}
	}
	network := func(i int) proxy.Match {
		return proxy.Match{Clients: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)}}
	}
	const path = "/api/v1/users/42"
	return []layout{
		{"hosts", func(i int) proxy.Match { return host(fmt.Sprintf("host%d.example.com", i)) },
			func(i int) *wire { return wired(fmt.Sprintf("host%d.example.com", i), path, "", "", "") }},
		{"wildcards", func(i int) proxy.Match { return host(fmt.Sprintf("*.host%d.example.com", i)) },
			func(i int) *wire { return wired(fmt.Sprintf("www.host%d.example.com", i), path, "", "", "") }},
		{"hosts and prefixes", both,
			func(i int) *wire {
				return wired(fmt.Sprintf("host%d.example.com", i/100), fmt.Sprintf("/team%d/api/users/42", i%100), "", "", "")
			}},
		{"prefixes", func(i int) proxy.Match { return prefix(fmt.Sprintf("/api/v1/team%d", i)) },
			func(i int) *wire {
				return wired("host.example.com", fmt.Sprintf("/api/v1/team%d/users/42", i), "", "", "")
			}},
		{"exact paths", func(i int) proxy.Match { return exact(fmt.Sprintf("/api/v1/users/%d", i)) },
			func(i int) *wire {
				return wired("host.example.com", fmt.Sprintf("/api/v1/users/%d", i), "", "", "")
			}},
		{"fields", field, func(i int) *wire {
			return wired("host.example.com", path, "", "x-tenant", fmt.Sprintf("tenant%d", i))
		}},
		{"cookies", cookie, func(i int) *wire {
			return wired("host.example.com", path, "", "cookie", fmt.Sprintf("a=1; b=2; tenant=t%d", i))
		}},
		{"parameters", parameter, func(i int) *wire {
			return wired("host.example.com", path, fmt.Sprintf("a=1&b=2&tenant=t%%20%d", i), "", "")
		}},
		// The others have no index.
		{"walk over networks", network, func(int) *wire { return wired("host.example.com", path, "", "", "") }},
		{"walk over expressions", func(i int) proxy.Match { return regex(fmt.Sprintf("^/api/v1/team%d/", i)) },
			func(i int) *wire {
				return wired("host.example.com", fmt.Sprintf("/api/v1/team%d/users/42", i), "", "", "")
			}},
	}
}

func (l *layout) table(t testing.TB, n int) *route.Table {
	var matches []proxy.Match
	for i := range n {
		matches = append(matches, l.route(i))
	}
	return compile(t, matching(matches...)...)
}

// from is the client whose network the i-th route has.
func from(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 7}) }

func BenchmarkMatch(b *testing.B) {
	for _, l := range layouts() {
		for _, n := range []int{10, 10_000} {
			table := l.table(b, n)
			// Requests for all routes, in an order that is no order.
			requests := make([]*wire, 1024)
			clients := make([]netip.Addr, 1024)
			for i := range requests {
				at := i * 7919 % n
				requests[i], clients[i] = l.request(at), from(at)
				if got := matched(table, requests[i], clients[i]); got != at {
					b.Fatalf("%s: request %d takes route %d", l.name, at, got)
				}
			}
			last, miss := l.request(n-1), l.request(n)
			run := func(name string, do func(i int)) {
				b.Run(fmt.Sprintf("%s/%d routes/%s", l.name, n, name), func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						do(i)
						i++
					}
				})
			}
			run("all", func(i int) { table.Match(requests[i&1023], clients[i&1023]) })
			run("last", func(int) { table.Match(last, from(n-1)) })
			run("none", func(int) { table.Match(miss, from(n)) })
		}
	}
}

func BenchmarkMatchOfAnotherSpelling(b *testing.B) {
	table := compile(b, matching(prefix("/api"))...)
	r := wired("h", "/a/../%61pi/v1//users/%C3%bc;x", "", "", "")
	b.ReportAllocs()
	for b.Loop() {
		table.Match(r, client)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, l := range layouts() {
		var matches []proxy.Match
		for i := range 10_000 {
			matches = append(matches, l.route(i))
		}
		routes := matching(matches...)
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := route.New(routes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	for _, l := range layouts() {
		if l.name == "walk over expressions" && raceEnabled {
			continue // under the detector a pool forgets, and package regexp has some
		}
		table := l.table(t, 100)
		r, miss := l.request(99), l.request(100)
		if n := testing.AllocsPerRun(100, func() { table.Match(r, from(99)); table.Match(miss, from(100)) }); n > 0 {
			t.Errorf("%s: %v allocations", l.name, n)
		}
	}
	table := compile(t, proxy.Route{Match: prefix("/api"), Rewrite: proxy.Rewrite{Prefix: "/v2", Replace: true}})
	r := wired("h", "/a/../%61pi/v1//users/%C3%bc;x", "a=1&b=%20", "cookie", `a=1; b="2"`)
	dst := make([]byte, 0, 1024)
	redirect := &proxy.Redirect{To: "https://{host}{uri}?next={uri}"}
	tests := []struct {
		name   string
		pooled bool
		do     func()
	}{
		{"another spelling", true, func() { table.Match(r, client) }},
		{"target", true, func() { table.AppendTarget(dst, 0, r) }},
		{"location", false, func() { route.AppendLocation(dst, redirect, r) }},
		{"share", false, func() { table.Share(0, 1) }},
		{"cookie key", false, func() { route.AppendKey(dst, proxy.Key{Kind: proxy.KeyCookie, Name: "b"}, r, client) }},
		{"query key", false, func() { route.AppendKey(dst, proxy.Key{Kind: proxy.KeyQuery, Name: "b"}, r, client) }},
		{"path key", false, func() { route.AppendKey(dst, proxy.Key{Kind: proxy.KeyPath}, r, client) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.do); n > 0 && !(tt.pooled && raceEnabled) {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
