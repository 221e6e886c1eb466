package route_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

// naivePath brings a path into the form in which paths are matched, step by step.
func naivePath(path string) string {
	encode := func(segment string) string {
		segment, _, _ = strings.Cut(segment, ";")
		var out strings.Builder
		for i := 0; i < len(segment); i++ {
			b := segment[i : i+1]
			if decoded, err := url.PathUnescape(segment[i:min(i+3, len(segment))]); err == nil && b == "%" {
				b = decoded
				i += 2
			}
			if strings.Contains("!$&'()*+,=:@", b) {
				out.WriteString(b)
			} else {
				out.WriteString(strings.ReplaceAll(url.QueryEscape(b), "+", "%20"))
			}
		}
		return out.String()
	}
	if !strings.HasPrefix(path, "/") {
		return encode(path)
	}
	var kept []string
	slash := true // at the end
	for _, s := range strings.Split(path[1:], "/") {
		s = encode(s)
		slash = s == "" || s == "." || s == ".."
		switch {
		case s == "..":
			kept = kept[:max(len(kept)-1, 0)]
		case !slash:
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return "/"
	}
	out := "/" + strings.Join(kept, "/")
	if slash {
		out += "/"
	}
	return out
}

// naiveMatch walks over all routes.
func naiveMatch(routes []proxy.Route, a *ask, from netip.Addr) int {
	return slices.IndexFunc(routes, func(r proxy.Route) bool {
		m := r.Match
		return naiveHosts(m.Hosts, a.host) && naivePaths(m.Paths, a.path) &&
			(len(m.Methods) == 0 || slices.Contains(m.Methods, a.method)) &&
			(len(m.Clients) == 0 || slices.ContainsFunc(m.Clients, func(p netip.Prefix) bool { return p.Contains(from) })) &&
			naiveValues(m, a)
	})
}

func naiveHosts(hosts []string, name string) bool {
	name = strings.TrimSuffix(name, ".")
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool {
		below, wildcard := strings.CutPrefix(h, "*")
		return h == name || wildcard && len(name) > len(below) && strings.HasSuffix(name, below)
	})
}

func naivePaths(all []proxy.PathMatch, path string) bool {
	path = naivePath(path)
	return len(all) == 0 || slices.ContainsFunc(all, func(m proxy.PathMatch) bool {
		value := naivePath(m.Value)
		switch m.Kind {
		case proxy.PathExact:
			return path == value
		case proxy.PathPrefix:
			return strings.HasPrefix(strings.TrimSuffix(path, "/")+"/", strings.TrimSuffix(value, "/")+"/")
		default:
			return regexp.MustCompile(m.Value).MatchString(path)
		}
	})
}

func naiveValues(m proxy.Match, a *ask) bool {
	header := http.Header{}
	for i := 0; i < len(a.fields); i += 2 {
		header.Add(a.fields[i], a.fields[i+1])
	}
	query, _ := url.ParseQuery(a.query)
	cookies := (&http.Request{Header: header}).Cookies()
	for _, v := range m.Headers {
		if got := header.Values(v.Name); len(got) == 0 || !v.Any && !slices.Contains(got, v.Value) {
			return false
		}
	}
	for _, v := range m.Queries {
		if got := query[v.Name]; len(got) == 0 || !v.Any && !slices.Contains(got, v.Value) {
			return false
		}
	}
	for _, v := range m.Cookies {
		if !slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == v.Name && (v.Any || c.Value == v.Value) }) {
			return false
		}
	}
	return true
}

// The words that tables and requests are made of are few, so that they often meet.
func drawMatch(t *rapid.T) proxy.Match {
	words := func(what string, most int, of ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(of), 0, most).Draw(t, what)
	}
	values := func(what string) (all []proxy.ValueMatch) {
		for _, name := range words(what, 2, "a", "b") {
			any := rapid.Bool().Draw(t, "any")
			v := proxy.ValueMatch{Name: name, Any: any}
			if !any {
				v.Value = rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "value")
			}
			all = append(all, v)
		}
		return all
	}
	m := proxy.Match{Hosts: words("hosts", 2, "a", "b.a", "*.a", "*.b.a", "c.b.a", "*.c")}
	for range rapid.IntRange(0, 2).Draw(t, "paths") {
		kind := rapid.SampledFrom([]proxy.PathKind{proxy.PathPrefix, proxy.PathExact, proxy.PathRegex}).Draw(t, "kind")
		value := rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/b", "/%61/b/c", "/a%2fb", "/a b", "/a//c/."}).Draw(t, "path")
		if kind == proxy.PathRegex {
			value = rapid.SampledFrom([]string{"a", "^/a", "b$", "^/$", "%2F", "//"}).Draw(t, "regex")
		}
		m.Paths = append(m.Paths, proxy.PathMatch{Kind: kind, Value: value})
	}
	// Most routes have no more conditions, lest none matches.
	if rapid.IntRange(0, 2).Draw(t, "conditions") == 0 {
		m.Methods = words("methods", 2, "GET", "POST")
		m.Headers, m.Queries, m.Cookies = values("headers"), values("queries"), values("cookies")
		for _, c := range words("clients", 2, "192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32") {
			m.Clients = append(m.Clients, netip.MustParsePrefix(c))
		}
	}
	return m
}

func drawAsk(t *rapid.T) (*ask, netip.Addr) {
	one := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(t, what) }
	join := func(what, sep string, most int, of ...string) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(of), 0, most).Draw(t, what), sep)
	}
	a := &ask{
		method: one("method", "GET", "POST"), host: one("host", "", "a", "b.a", "c.b.a", "d.c.b.a", "x.c", "c", "a."),
		path:  "/" + join("path", "/", 4, "a", "b", "c", "", ".", "..", "%61", "a;x", "a%2fb", "a%20b", "..;", "%2e%2e"),
		query: join("query", "&", 3, "a=1", "a=%32", "a", "b=2", "%62", ""),
	}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		name := one("field", "a", "b", "cookie")
		value := one("value", "", "1", "2")
		if name == "cookie" {
			value = join("cookies", "; ", 3, "a=1", "b=2", `a="2"`, "b=")
		}
		a.fields = append(a.fields, name, value)
	}
	return a, netip.MustParseAddr(one("client", "192.0.2.1", "198.51.100.1", "2001:db8::1", "203.0.113.1"))
}

func TestTableFindsWhatAWalkFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var routes []proxy.Route
		for range rapid.IntRange(0, 12).Draw(t, "routes") {
			routes = append(routes, proxy.Route{Match: drawMatch(t)})
		}
		table, err := route.New(routes)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			a, from := drawAsk(t)
			if got, want := matched(table, a, from), naiveMatch(routes, a, from); got != want {
				t.Fatalf("%+v of %s takes route %d, want %d", a, from, got, want)
			}
		}
	})
}
