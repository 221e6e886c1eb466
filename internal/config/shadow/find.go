package shadow

import (
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// Shadow is a route that no request reaches, and the first one that takes all of its.
// Both are indices.
type Shadow struct{ Route, By int }

// maxWork bounds what is compared, in alternatives of two routes, where the index cannot
// tell these apart: thousands that differ in nothing but their networks, or some with
// thousands of hosts each. What is not looked at is not reported.
const maxWork = 2_000_000

// Find returns the routes that no request reaches, in order.
func Find(routes []proxy.Route) []Shadow {
	x := newIndex(routes)
	var all []Shadow
	for i := range routes {
		if by := x.first(&routes[i].Match); by >= 0 {
			all = append(all, Shadow{i, by})
			continue // whom it covers, the other one does as well
		}
		x.add(i)
	}
	return all
}

// index finds the few of the routes so far that can cover another: to cover it they
// must cover the first of its hosts and the first of its paths, and ask for nothing
// that it does not.
type index struct {
	routes []proxy.Route
	byHost map[string]map[key][]int // in order; the host "" is any
	left   int                      // of maxWork

	// Of the call of first.
	hosts  []string
	paths  []proxy.PathMatch
	values []value
}

// key is one of the paths of a route, and one of the values that it asks for; zero
// where there is none.
type key struct {
	path  proxy.PathMatch
	value value
}

// value is a field, cookie or parameter that must be there.
type value struct {
	of byte // h, c or q
	proxy.ValueMatch
}

// manyPaths stands for the paths of a route that has too many, together with its hosts,
// for an entry of each.
var manyPaths = proxy.PathMatch{Kind: "many"}

// maxEntries bounds the entries of one route.
const maxEntries = 64

func newIndex(routes []proxy.Route) *index {
	return &index{routes: routes, byHost: make(map[string]map[key][]int), left: maxWork}
}

func (x *index) add(i int) {
	m := &x.routes[i].Match
	hosts, paths := m.Hosts, m.Paths
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	switch {
	case len(paths) == 0:
		paths = []proxy.PathMatch{{}}
	case len(hosts)*len(paths) > maxEntries:
		paths = []proxy.PathMatch{manyPaths}
	}
	v := telling(m)
	for _, host := range hosts {
		entries := x.byHost[host]
		if entries == nil {
			entries = make(map[key][]int)
			x.byHost[host] = entries
		}
		for _, path := range paths {
			k := key{path, v}
			entries[k] = append(entries[k], i)
		}
	}
}

// first returns the first of the earlier routes that covers m, or -1.
func (x *index) first(m *proxy.Match) int {
	found := -1
	x.hosts = appendCoveringHosts(x.hosts[:0], m)
	x.paths = appendCoveringPaths(x.paths[:0], m)
	x.values = appendCoveringValues(x.values[:0], m)
	for _, host := range x.hosts {
		entries := x.byHost[host]
		if entries == nil {
			continue
		}
		for _, path := range x.paths {
			for _, v := range x.values {
				found = x.earlier(found, entries[key{path, v}], m)
			}
		}
	}
	return found
}

// earlier returns the first of the routes listed that covers m, or found if that is
// earlier.
func (x *index) earlier(found int, listed []int, m *proxy.Match) int {
	for _, i := range listed {
		if found >= 0 && i >= found {
			break
		}
		by := &x.routes[i].Match
		if n := work(by, m); n <= x.left {
			x.left -= n
			if Covers(by, m) {
				return i
			}
		}
	}
	return found
}

// work returns how many alternatives are compared to tell whether a covers b.
func work(a, b *proxy.Match) int {
	return 1 + len(a.Hosts)*len(b.Hosts) + len(a.Paths)*len(b.Paths) + len(a.Clients)*len(b.Clients)
}

// appendCoveringHosts appends the hosts, as they stand in a route, that cover the first
// of m.
func appendCoveringHosts(hosts []string, m *proxy.Match) []string {
	hosts = append(hosts, "")
	if len(m.Hosts) == 0 {
		return hosts
	}
	host := m.Hosts[0]
	hosts = append(hosts, host)
	rest := strings.TrimPrefix(host, "*.")
	for {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			return hosts
		}
		hosts = append(hosts, "*."+after)
		rest = after
	}
}

// appendCoveringPaths appends the paths, as they stand in a route, that cover the first
// of m.
func appendCoveringPaths(paths []proxy.PathMatch, m *proxy.Match) []proxy.PathMatch {
	paths = append(paths, proxy.PathMatch{})
	if len(m.Paths) == 0 {
		return paths
	}
	path := m.Paths[0]
	paths = append(paths, manyPaths, path)
	if path.Kind == proxy.PathRegex {
		return paths
	}
	prefix := func(s string) {
		if p := (proxy.PathMatch{Kind: proxy.PathPrefix, Value: s}); p != path {
			paths = append(paths, p)
		}
	}
	prefix("/")
	for i := 1; i < len(path.Value); i++ {
		if path.Value[i] == '/' {
			prefix(path.Value[:i])
		}
	}
	if path.Value != "/" {
		prefix(path.Value)
	}
	return paths
}

// telling returns the value of m by which it is found: rather one that must be equal,
// of which there are more.
func telling(m *proxy.Match) value {
	all := values(m)
	for _, v := range all {
		if !v.Any {
			return v
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return value{}
}

// appendCoveringValues appends the values by which routes that ask for no more than m
// are found.
func appendCoveringValues(all []value, m *proxy.Match) []value {
	all = append(all, value{})
	for _, v := range values(m) {
		all = append(all, v)
		if !v.Any {
			all = append(all, value{v.of, proxy.ValueMatch{Name: v.Name, Any: true}})
		}
	}
	return all
}

// values returns all values that m asks for.
func values(m *proxy.Match) []value {
	var all []value
	for _, v := range m.Headers {
		all = append(all, value{'h', v})
	}
	for _, v := range m.Cookies {
		all = append(all, value{'c', v})
	}
	for _, v := range m.Queries {
		all = append(all, value{'q', v})
	}
	return all
}
