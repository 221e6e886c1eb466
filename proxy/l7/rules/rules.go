// Package rules makes what a listener of HTTP does with requests ready for use: which
// route each takes, and what a route does to it. A config names things; what it names
// is found here once, not for each request.
package rules

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/ratelimit"
	"github.com/tandemlb/tandem/proxy/route"
)

// Rules are the routes of a listener. They are not changed once in use; multiple
// goroutines may use them at the same time.
type Rules struct {
	Pools []string // that the routes send to, each once

	routes   []Route
	table    *route.Table
	any      bool // the first route is any request's, as in most configs
	limiters map[string]*ratelimit.Limiter
}

// Route is what becomes of the requests that a route matches. One of Split, Redirect
// and Respond is set, as in its proxy.Route.
type Route struct {
	Number   int   // counted from 1
	Split    []int // indexes into Rules.Pools
	Redirect *proxy.Redirect
	Respond  *proxy.Respond

	Host     []byte // in place of the request's own; nil: none
	Rewrites bool   // the path is another one for the server
	Request  Edit
	Response Edit
	Timeout  time.Duration // 0: none

	limiter *ratelimit.Limiter // nil without a limit
	by      proxy.Key
}

// Edit is how the fields of a message are changed. The zero value changes nothing.
type Edit struct {
	Drop []string // names in lower case
	Add  []http1.Addition
}

// New makes the routes of l ready. Of old, which may be nil, it takes over the limits
// of rate that have not changed, with what has been used of them. An error names the
// route by its index, from 0. now is not after that of any later use.
func New(l *proxy.Listener, old *Rules, now time.Time) (*Rules, error) {
	table, err := route.New(l.Routes)
	if err != nil {
		return nil, err
	}
	r := &Rules{Pools: l.Pools(), routes: make([]Route, len(l.Routes)), table: table, limiters: map[string]*ratelimit.Limiter{}}
	pools := make(map[string]int, len(r.Pools))
	for i, name := range r.Pools {
		pools[name] = i
	}
	for i := range l.Routes {
		from, to := &l.Routes[i], &r.routes[i]
		*to = Route{
			Number: i + 1, Redirect: from.Redirect, Respond: from.Respond, Timeout: from.Timeout,
			Rewrites: table.Rewrites(i), by: from.RateLimit.By,
		}
		for _, s := range from.Split {
			to.Split = append(to.Split, pools[s.Pool])
		}
		if from.Rewrite.Host != "" {
			to.Host = []byte(from.Rewrite.Host)
		}
		if to.Request, err = newEdit(&from.RequestHeaders); err == nil {
			to.Response, err = newEdit(&from.ResponseHeaders)
		}
		if err == nil {
			to.limiter, err = r.limit(from, old, now)
		}
		if err == nil && from.Respond != nil {
			_, err = http1.AppendReply(nil, &http1.Reply{Status: from.Respond.Status, Body: from.Respond.Body, Type: from.Respond.ContentType})
		}
		if err != nil {
			return nil, fmt.Errorf("route %d: %w", i, err)
		}
	}
	if len(l.Routes) > 0 {
		r.any = isZero(&l.Routes[0].Match)
	}
	return r, nil
}

func isZero(m *proxy.Match) bool {
	return len(m.Hosts)+len(m.Paths)+len(m.Methods)+len(m.Headers)+len(m.Cookies)+len(m.Queries)+len(m.Clients) == 0
}

// newEdit makes an edit ready. A request must not fail for it, so that it is tried.
func newEdit(h *proxy.HeaderEdit) (e Edit, err error) {
	e.Drop = append(e.Drop, h.Remove...)
	for _, f := range h.Set {
		e.Drop = append(e.Drop, lower(f.Name))
	}
	for _, list := range [][]proxy.HeaderField{h.Set, h.Add} {
		for _, f := range list {
			e.Add = append(e.Add, http1.Addition{Name: f.Name, Value: []byte(f.Value)})
		}
	}
	_, err = http1.AppendReply(nil, &http1.Reply{Status: 200, Fields: e.Add})
	return e, err
}

func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// limit returns the limiter of a route, nil if it has none: one that goes on, if old
// has it for the same requests, so that a reload is no way around it.
func (r *Rules) limit(from *proxy.Route, old *Rules, now time.Time) (*ratelimit.Limiter, error) {
	if from.RateLimit.Requests == 0 {
		return nil, nil
	}
	if l := &from.RateLimit; l.Requests < 0 || l.Per <= 0 || l.Burst <= 0 {
		return nil, fmt.Errorf("rate limit of %d requests per %s with a burst of %d: all must be positive", l.Requests, l.Per, l.Burst)
	}
	id, err := json.Marshal(struct {
		Match proxy.Match
		Limit proxy.RateLimit
	}{from.Match, from.RateLimit})
	if err != nil {
		return nil, fmt.Errorf("tell the rate limit from others: %w", err)
	}
	key := string(id)
	l := r.limiters[key]
	if l == nil && old != nil {
		l = old.limiters[key]
	}
	if l == nil {
		l = ratelimit.New(from.RateLimit, 0, maphash.MakeSeed(), now)
	}
	r.limiters[key] = l
	return l, nil
}

// Match returns the route that a request of client takes, or nil.
func (r *Rules) Match(q route.Request, client netip.Addr) *Route {
	if r.any {
		return &r.routes[0]
	}
	if i, ok := r.table.Match(q, client); ok {
		return &r.routes[i]
	}
	return nil
}

// Pool returns which of Rules.Pools a request goes to that takes a route with a split.
func (r *Rules) Pool(at *Route, random uint64) int {
	if len(at.Split) == 1 {
		return at.Split[0]
	}
	return at.Split[r.table.Share(at.Number-1, random)]
}

// AppendTarget appends the target of a request whose route rewrites it.
func (r *Rules) AppendTarget(dst []byte, at *Route, q route.Request) []byte {
	return r.table.AppendTarget(dst, at.Number-1, q)
}

// Limited reports whether the route has a limit.
func (at *Route) Limited() bool { return at.limiter != nil }

// Allow takes a request of client into account, unless that is one too many; then it
// returns when the next may come. Requests without what the limit tells them apart by
// share a limit of their own. scratch is room for what is kept of nothing.
func (at *Route) Allow(now time.Time, q route.Request, client netip.Addr, scratch []byte) (ok bool, retryAfter time.Duration) {
	if at.by.Kind == proxy.KeyClient {
		return at.limiter.Allow(now, ratelimit.AppendClient(scratch[:0], client))
	}
	key, _ := route.AppendKey(scratch[:0], at.by, q, client)
	return at.limiter.Allow(now, key)
}
