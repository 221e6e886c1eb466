package shadow

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

// request is one of a world that is small enough to try all of it, and rich enough to
// hold one for each difference between two matches that the generator makes.
type request struct {
	host, path, method string
	client             netip.Addr
	values             [3][]string // of the field, the cookie and the parameter n
}

var (
	worldHosts   = []string{"", "z", "a", "z.a", "b.a", "z.b.a", "c.b.a", "z.c.b.a"}
	worldPaths   = []string{"*", "/", "/z", "/a", "/ab", "/a/", "/a/z", "/a/b", "/a/b/c"}
	worldMethods = []string{"GET", "HEAD", "PUT"}
	worldClients = addrs("1.1.1.1", "10.1.1.1", "10.200.1.1", "11.1.1.1", "200.1.1.1", "::1", "8000::1")
	worldValues  = [][]string{nil, {"1"}, {"2"}, {"2", "1"}}
)

func addrs(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// answers is what a match says to each thing that a request of the world can be. A
// request is matched if all that it is gets a yes.
type answers struct {
	host, path, method, client []bool
	values                     [3][]bool
}

// ask asks m by a matcher that anybody can read.
func ask(m *proxy.Match) (a answers) {
	for _, host := range worldHosts {
		a.host = append(a.host, matchesHost(m.Hosts, host))
	}
	for _, path := range worldPaths {
		a.path = append(a.path, matchesPath(m.Paths, path))
	}
	for _, method := range worldMethods {
		a.method = append(a.method, len(m.Methods) == 0 || slices.Contains(m.Methods, method))
	}
	for _, client := range worldClients {
		within := slices.ContainsFunc(m.Clients, func(p netip.Prefix) bool { return p.Contains(client) })
		a.client = append(a.client, within || len(m.Clients) == 0)
	}
	for i, conditions := range [][]proxy.ValueMatch{m.Headers, m.Cookies, m.Queries} {
		for _, values := range worldValues {
			a.values[i] = append(a.values[i], matchesValues(conditions, values))
		}
	}
	return a
}

func matchesHost(hosts []string, host string) bool {
	for _, h := range hosts {
		name, wildcard := strings.CutPrefix(h, "*.")
		if !wildcard && host == h || wildcard && strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return len(hosts) == 0
}

func matchesPath(paths []proxy.PathMatch, path string) bool {
	for _, p := range paths {
		switch {
		case p.Kind == proxy.PathExact && path == p.Value,
			p.Kind == proxy.PathRegex && regexp.MustCompile(p.Value).MatchString(path),
			p.Kind == proxy.PathPrefix && p.Value == "/" && strings.HasPrefix(path, "/"),
			p.Kind == proxy.PathPrefix && (path == p.Value || strings.HasPrefix(path, p.Value+"/")):
			return true
		}
	}
	return len(paths) == 0
}

func matchesValues(conditions []proxy.ValueMatch, values []string) bool {
	for _, c := range conditions {
		if c.Any && len(values) == 0 || !c.Any && !slices.Contains(values, c.Value) {
			return false
		}
	}
	return true
}

// witness returns a request that b matches and a does not, if the world has one.
func witness(a, b *proxy.Match) (request, bool) {
	x, y := ask(a), ask(b)
	n := len(worldValues)
	for h, host := range worldHosts {
		for p, path := range worldPaths {
			for m, method := range worldMethods {
				for c, client := range worldClients {
					for v := range n * n * n {
						i, j, k := v%n, v/n%n, v/n/n
						past := !(x.host[h] && x.path[p] && x.method[m] && x.client[c] && x.values[0][i] && x.values[1][j] && x.values[2][k])
						if past && y.host[h] && y.path[p] && y.method[m] && y.client[c] && y.values[0][i] && y.values[1][j] && y.values[2][k] {
							return request{host, path, method, client, [3][]string{worldValues[i], worldValues[j], worldValues[k]}}, true
						}
					}
				}
			}
		}
	}
	return request{}, false
}

// matchOf draws a match with some of paths.
func matchOf(paths []proxy.PathMatch) *rapid.Generator[proxy.Match] {
	some := func(t *rapid.T, label string, all []string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 2, rapid.ID[string]).Draw(t, label)
	}
	return rapid.Custom(func(t *rapid.T) proxy.Match {
		m := proxy.Match{
			Hosts:   some(t, "hosts", []string{"a", "*.a", "b.a", "*.b.a", "c.b.a"}),
			Paths:   rapid.SliceOfNDistinct(rapid.SampledFrom(paths), 0, 2, rapid.ID[proxy.PathMatch]).Draw(t, "paths"),
			Methods: some(t, "methods", []string{"GET", "HEAD"}),
		}
		for _, s := range some(t, "clients", []string{"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "::/0", "::/1", "8000::/1"}) {
			m.Clients = append(m.Clients, netip.MustParsePrefix(s))
		}
		value := func(label string) []proxy.ValueMatch {
			return rapid.SampledFrom([][]proxy.ValueMatch{
				nil, nil, {{Name: "n", Any: true}}, {{Name: "n", Value: "1"}}, {{Name: "n", Value: "2"}},
			}).Draw(t, label)
		}
		m.Headers, m.Cookies, m.Queries = value("headers"), value("cookies"), value("queries")
		return m
	})
}

var plainPaths = []proxy.PathMatch{
	{Kind: proxy.PathPrefix, Value: "/"}, {Kind: proxy.PathPrefix, Value: "/a"}, {Kind: proxy.PathPrefix, Value: "/a/b"},
	{Kind: proxy.PathExact, Value: "/"}, {Kind: proxy.PathExact, Value: "/a"}, {Kind: proxy.PathExact, Value: "/a/"}, {Kind: proxy.PathExact, Value: "/a/b"},
}

var regexPaths = []proxy.PathMatch{{Kind: proxy.PathRegex, Value: "^/a"}, {Kind: proxy.PathRegex, Value: "b$"}}

// Without regular expressions Covers is exact: it is true if and only if no request
// goes past a to b.
func TestCoversIsExact(t *testing.T) {
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := matchOf(plainPaths).Draw(t, "a"), matchOf(plainPaths).Draw(t, "b")
		// Two that are drawn alone hardly ever cover each other.
		if rapid.Bool().Draw(t, "near") {
			a = near(t, b)
		}
		r, past := witness(&a, &b)
		if got := Covers(&a, &b); got == past {
			t.Fatalf("Covers = %t, want %t\na: %+v\nb: %+v\nrequest: %+v", got, !past, a, b, r)
		}
		if !past {
			covered++
		}
	})
	if covered == 0 {
		t.Error("no match was covered by another")
	}
}

// near returns a match that is m with less of its conditions.
func near(t *rapid.T, m proxy.Match) proxy.Match {
	drop := func(label string) bool { return rapid.Bool().Draw(t, "drop "+label) }
	if drop("hosts") {
		m.Hosts = nil
	}
	if drop("paths") {
		m.Paths = nil
	}
	if drop("methods") {
		m.Methods = nil
	}
	if drop("clients") {
		m.Clients = nil
	}
	if drop("headers") {
		m.Headers = nil
	}
	if drop("cookies") {
		m.Cookies = nil
	}
	if drop("queries") {
		m.Queries = nil
	}
	return m
}

// With them it may miss one, and never accuses one that is innocent.
func TestCoversNeverAccusesWrongly(t *testing.T) {
	all := slices.Concat(plainPaths, regexPaths)
	rapid.Check(t, func(t *rapid.T) {
		b := matchOf(all).Draw(t, "b")
		a := near(t, b)
		if rapid.Bool().Draw(t, "other paths") {
			a.Paths = matchOf(all).Draw(t, "a").Paths
		}
		if r, past := witness(&a, &b); past && Covers(&a, &b) {
			t.Fatalf("Covers is true\na: %+v\nb: %+v\nrequest: %+v", a, b, r)
		}
	})
}

func TestCovers(t *testing.T) {
	hosts := func(list ...string) proxy.Match { return proxy.Match{Hosts: list} }
	clients := func(list ...string) (m proxy.Match) {
		for _, s := range list {
			m.Clients = append(m.Clients, netip.MustParsePrefix(s))
		}
		return m
	}
	regex := func(s string) proxy.Match {
		return proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathRegex, Value: s}}}
	}
	tests := []struct {
		name string
		a, b proxy.Match
		want bool
	}{
		{"a name under a wildcard", hosts("*.example.com"), hosts("a.b.example.com"), true},
		{"the name itself is not under its wildcard", hosts("*.example.com"), hosts("example.com"), false},
		{"a name that only ends alike", hosts("*.example.com"), hosts("badexample.com"), false},
		{"a wildcard under a wildcard", hosts("*.com"), hosts("*.example.com"), true},
		{"any host is more than a wildcard", hosts("*.com"), hosts(), false},
		{"the same regular expression", regex("^/a"), regex("^/a"), true},
		{"another regular expression", regex("^/a"), regex("^/ab"), false},
		{"a regular expression under all prefixes", proxy.Match{Paths: plainPaths[:1]}, regex("^/a"), false},
		{"two halves of a network", clients("10.0.0.0/9", "10.128.0.0/9"), clients("10.0.0.0/8"), true},
		{"three quarters of a network", clients("10.0.0.0/9", "10.128.0.0/10"), clients("10.0.0.0/8"), false},
		{"single addresses of a network", clients("10.0.0.0/32", "10.0.0.1/32"), clients("10.0.0.0/31"), true},
		{"one family", clients("0.0.0.0/0"), clients(), false},
		{"both families", clients("0.0.0.0/0", "::/1", "8000::/1"), clients(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Covers(&tt.a, &tt.b); got != tt.want {
				t.Errorf("Covers(%+v, %+v) = %t, want %t", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

// The index leaves nothing out that a comparison of all pairs finds.
func TestFindIsCompleteAndOrdered(t *testing.T) {
	all := slices.Concat(plainPaths, regexPaths)
	rapid.Check(t, func(t *rapid.T) {
		var routes []proxy.Route
		for _, m := range rapid.SliceOfN(matchOf(all), 0, 30).Draw(t, "matches") {
			routes = append(routes, proxy.Route{Match: m})
		}
		var want []Shadow
		for i := range routes {
			by := slices.IndexFunc(routes[:i], func(r proxy.Route) bool { return Covers(&r.Match, &routes[i].Match) })
			if by >= 0 {
				want = append(want, Shadow{i, by})
			}
		}
		if diff := cmp.Diff(want, Find(routes)); diff != "" {
			t.Fatalf("shadows (-want +got):\n%s", diff)
		}
	})
}

func TestFindKnowsRoutesWithManyAlternatives(t *testing.T) {
	var many proxy.Match
	for i := range 2 * maxEntries {
		many.Hosts = append(many.Hosts, fmt.Sprintf("h%d.example.com", i))
		many.Paths = append(many.Paths, proxy.PathMatch{Kind: proxy.PathPrefix, Value: fmt.Sprintf("/p%d", i)})
	}
	one := proxy.Match{Hosts: many.Hosts[7:8], Paths: []proxy.PathMatch{{Kind: proxy.PathExact, Value: "/p9/x"}}}
	got := Find([]proxy.Route{{Match: many}, {Match: one}, {Match: proxy.Match{Hosts: many.Hosts[:1]}}})
	if diff := cmp.Diff([]Shadow{{1, 0}}, got); diff != "" {
		t.Errorf("shadows (-want +got):\n%s", diff)
	}
}

// routesBy returns n routes that differ in what vary makes of their match.
func routesBy(n int, vary func(i int, m *proxy.Match)) []proxy.Route {
	routes := make([]proxy.Route, n)
	for i := range routes {
		vary(i, &routes[i].Match)
	}
	return routes
}

func byHost(i int, m *proxy.Match) { m.Hosts = []string{fmt.Sprintf("tenant%d.example.com", i)} }

func byPath(i int, m *proxy.Match) {
	m.Hosts = []string{"api.example.com"}
	m.Paths = []proxy.PathMatch{{Kind: proxy.PathPrefix, Value: fmt.Sprintf("/v1/tenants/%d/things", i)}}
}

func byHeader(i int, m *proxy.Match) {
	m.Headers = []proxy.ValueMatch{{Name: "authorization", Any: true}, {Name: "x-tenant", Value: fmt.Sprint(i)}}
}

func byNetwork(i int, m *proxy.Match) {
	m.Clients = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)}
}

func TestFindGivesUpOnTooMuchWork(t *testing.T) {
	var m proxy.Match
	for i := range 5_000 {
		m.Hosts = append(m.Hosts, fmt.Sprintf("h%d.example.com", i))
	}
	// One with all of them is too much to compare with the other, a small one is not.
	small := proxy.Match{Hosts: m.Hosts[:1]}
	got := Find([]proxy.Route{{Match: m}, {Match: m}, {Match: small}})
	if diff := cmp.Diff([]Shadow{{2, 0}}, got); diff != "" {
		t.Errorf("shadows (-want +got):\n%s", diff)
	}
}

// However the routes of a listener differ, there are far fewer comparisons than pairs.
func TestFindComparesFewPairs(t *testing.T) {
	const n = 10_000
	for _, tt := range []struct {
		name string
		vary func(int, *proxy.Match)
		most int
	}{
		{"hosts", byHost, n},
		{"paths", byPath, n},
		{"headers", byHeader, n},
		{"nothing", func(int, *proxy.Match) {}, n},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routes := routesBy(n, tt.vary)
			x := newIndex(routes)
			for i := range routes {
				if x.first(&routes[i].Match) < 0 {
					x.add(i)
				}
			}
			if made := maxWork - x.left; made > tt.most {
				t.Errorf("%d alternatives compared, want at most %d", made, tt.most)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	for _, bb := range []struct {
		name string
		vary func(int, *proxy.Match)
	}{{"hosts", byHost}, {"paths", byPath}, {"headers", byHeader}, {"networks", byNetwork}} {
		b.Run(bb.name, func(b *testing.B) {
			routes := routesBy(10_000, bb.vary)
			for b.Loop() {
				Find(routes)
			}
		})
	}
}
