package route

import (
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
)

// conditions are those of a route beside its hosts and paths.
type conditions struct {
	methods []string
	headers []proxy.ValueMatch
	cookies []proxy.ValueMatch
	queries []proxy.ValueMatch
	clients []netip.Prefix
	none    bool // of these
}

func newConditions(m *proxy.Match) conditions {
	return conditions{
		methods: m.Methods, headers: m.Headers, cookies: m.Cookies, queries: m.Queries, clients: m.Clients,
		none: len(m.Methods)+len(m.Headers)+len(m.Cookies)+len(m.Queries)+len(m.Clients) == 0,
	}
}

// hold reports whether a request fulfils the conditions, the cheapest first.
func (c *conditions) hold(x *search) bool {
	return c.holdMethod(x) && c.holdClient(x) && c.holdValues(x)
}

func (c *conditions) holdMethod(x *search) bool {
	if len(c.methods) == 0 {
		return true
	}
	method := x.request.Method()
	for _, m := range c.methods {
		if string(method) == m {
			return true
		}
	}
	return false
}

func (c *conditions) holdClient(x *search) bool {
	for _, p := range c.clients {
		if p.Contains(x.client) {
			return true
		}
	}
	return len(c.clients) == 0
}

func (c *conditions) holdValues(x *search) bool {
	for i := range c.headers {
		if m := &c.headers[i]; !hasField(x.request, m.Name, m.Value, m.Any) {
			return false
		}
	}
	for i := range c.queries {
		if m := &c.queries[i]; !hasParameter(x.request.Query(), m.Name, m.Value, m.Any) {
			return false
		}
	}
	for i := range c.cookies {
		if m := &c.cookies[i]; !hasCookie(x.request, m.Name, m.Value, m.Any) {
			return false
		}
	}
	return true
}

// hasField reports whether r carries a field of that name with that value, among
// others of the name.
func hasField(r Request, name, want string, anyValue bool) bool {
	for i := 0; ; i++ {
		value, ok := r.Field(name, i)
		if !ok || anyValue || string(value) == want {
			return ok
		}
	}
}
