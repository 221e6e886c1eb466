package route_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

// ask is a request. Fields are names in lower case and values, in turn.
type ask struct {
	method, host, path, query string
	fields                    []string
}

func (a *ask) Method() []byte { return []byte(a.method) }
func (a *ask) Host() []byte   { return []byte(a.host) }
func (a *ask) Path() []byte   { return []byte(a.path) }
func (a *ask) Query() []byte  { return []byte(a.query) }

func (a *ask) Field(name string, i int) ([]byte, bool) {
	for k := 0; k < len(a.fields); k += 2 {
		if a.fields[k] != name {
			continue
		}
		if i == 0 {
			return []byte(a.fields[k+1]), true
		}
		i--
	}
	return nil, false
}

// get returns the request GET url, where url is a host with a target, like a/b?c.
func get(url string, fields ...string) *ask {
	host, target, slash := strings.Cut(url, "/")
	if slash {
		target = "/" + target
	}
	path, query, _ := strings.Cut(target, "?")
	return &ask{"GET", host, path, query, fields}
}

func compile(t testing.TB, routes ...proxy.Route) *route.Table {
	t.Helper()
	table, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// matching returns routes that match and do nothing.
func matching(matches ...proxy.Match) []proxy.Route {
	var all []proxy.Route
	for _, m := range matches {
		all = append(all, proxy.Route{Match: m, Split: []proxy.Share{{Pool: "p", Weight: 1}}})
	}
	return all
}

func host(names ...string) proxy.Match { return proxy.Match{Hosts: names} }

func prefix(values ...string) proxy.Match { return paths(proxy.PathPrefix, values) }
func exact(values ...string) proxy.Match  { return paths(proxy.PathExact, values) }
func regex(values ...string) proxy.Match  { return paths(proxy.PathRegex, values) }

func paths(kind proxy.PathKind, values []string) (m proxy.Match) {
	for _, v := range values {
		m.Paths = append(m.Paths, proxy.PathMatch{Kind: kind, Value: v})
	}
	return m
}

var client = netip.MustParseAddr("192.0.2.1")

// matched returns the index of the route that r takes, or -1.
func matched(table *route.Table, r route.Request, from netip.Addr) int {
	i, ok := table.Match(r, from)
	if !ok {
		return -1
	}
	return i
}
