package traffic

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/shadow"
	"github.com/tandemlb/tandem/proxy"
)

// maxShare bounds the weights of a split.
const maxShare = 1_000_000

// outcomes are the keys of a route that say what becomes of a request, of which it has
// one; changes those that may stand beside it.
var (
	outcomes = []string{"pool", "split", "redirect", "respond"}
	changes  = []string{"rewrite", "request_headers", "response_headers", "timeout", "rate_limit"}

	routeKeys = slices.Concat([]string{"match"}, outcomes, changes)
)

// ofServers are the keys of a route whose requests reach a server.
var ofServers = []string{"rewrite", "request_headers", "timeout"}

// routes returns the routes of a listener. The pools in named are those that they
// may refer to.
func (d *decoder) routes(f notation.Field, l *proxy.Listener, named map[string]bool) []proxy.Route {
	mark := d.Count()
	elements := d.List(f, "route")
	routes := make([]proxy.Route, 0, len(elements))
	for _, e := range elements {
		routes = append(routes, d.route(e, l, named))
	}
	if d.OK(mark) {
		d.reachable(routes, elements)
	}
	return routes
}

// reachable refuses routes that no request comes to; elements are where they stand.
func (d *decoder) reachable(routes []proxy.Route, elements []notation.Field) {
	for _, s := range shadow.Find(routes) {
		first := &routes[s.By].Match
		why := "takes all that it matches"
		switch {
		case reflect.DeepEqual(*first, routes[s.Route].Match):
			why = "has the same match"
		case reflect.DeepEqual(*first, proxy.Match{}):
			why = "takes everything: it belongs at the end"
		}
		d.Errorf(start(elements[s.Route].Value), "no request comes to this route: the first that matches has it, and the one at %s %s",
			d.At(d.Place(start(elements[s.By].Value))), why)
	}
}

func (d *decoder) route(e notation.Field, l *proxy.Listener, named map[string]bool) proxy.Route {
	mark := d.Count()
	o := d.Object(e, routeKeys...)
	if d.OK(mark) && !firstSet(o["pool"], o["split"], o["redirect"], o["respond"]).Set() {
		d.Errorf(start(e.Value), "the route leads nowhere: it needs a pool, a split, a redirect or a respond")
	}
	if l.Protocol != proxy.HTTP {
		d.refuseOfHTTP(l.Protocol, o["redirect"], o["respond"])
		for _, key := range changes {
			d.refuseOfHTTP(l.Protocol, o[key])
		}
	}
	var r proxy.Route
	r.Match = d.match(o["match"], l)
	d.outcome(&r, o, named)
	if r.Redirect != nil {
		d.noCircle(o["redirect"], r.Redirect, l)
	}
	if r.Redirect != nil || r.Respond != nil {
		for _, key := range ofServers {
			if f := o[key]; f.Set() {
				d.Errorf(f.Key, "%s does nothing here: the route answers by itself, no server is asked", key)
			}
		}
	}
	r.Rewrite = d.rewrite(o["rewrite"])
	r.RequestHeaders = d.headerEdit(o["request_headers"], true)
	r.ResponseHeaders = d.headerEdit(o["response_headers"], false)
	if o["timeout"].Set() {
		r.Timeout = d.patience(o["timeout"], 0)
	}
	r.RateLimit = d.rateLimit(o["rate_limit"])
	return r
}

// start returns the first key of the map n, which shows where it is; or n.
func start(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
		return n.Content[0]
	}
	return n
}

// outcome fills in what becomes of a request, of which there is one thing.
func (d *decoder) outcome(r *proxy.Route, o notation.Fields, named map[string]bool) {
	var first notation.Field
	for _, key := range outcomes {
		f := o[key]
		switch {
		case !f.Set():
			continue
		case first.Set():
			d.Errorf(f.Key, "a route has one outcome: it has a %s already, at %s", first.Key.Value, d.At(d.Place(first.Key)))
			continue
		}
		first = f
		switch key {
		case "pool":
			r.Split = []proxy.Share{{Pool: d.pool(f, named), Weight: 1}}
		case "split":
			r.Split = d.split(f, named)
		case "redirect":
			r.Redirect = d.redirect(f)
		case "respond":
			r.Respond = d.respond(f)
		}
	}
}

// split returns the shares of f in the order of their pools: which of them comes
// first makes no difference.
func (d *decoder) split(f notation.Field, named map[string]bool) []proxy.Share {
	mark := d.Count()
	var shares []proxy.Share
	sum := 0
	for _, e := range d.Entries(f, "a map of pools to weights such as {api: 95, api-next: 5}") {
		if pool := e.Key.Value; !named[pool] {
			d.Errorf(e.Key, "unknown pool %q%s", pool, d.instead(pool, named))
		}
		s := proxy.Share{Pool: e.Key.Value, Weight: d.Number(e, 0, 0, maxShare)}
		sum += s.Weight
		shares = append(shares, s)
	}
	switch {
	case !d.OK(mark):
	case len(shares) == 0:
		d.Invalid(f, "the map is empty: expected at least one pool with its weight")
	case sum == 0:
		d.Invalid(f, "every pool has weight 0, none would get work: give one of them a share")
	case len(shares) == 1:
		shares[0].Weight = 1 // of one it says nothing
	}
	slices.SortFunc(shares, func(a, b proxy.Share) int { return cmp.Compare(a.Pool, b.Pool) })
	return shares
}

// rewrite returns what becomes of the target and the host of a request.
func (d *decoder) rewrite(f notation.Field) proxy.Rewrite {
	o := d.Object(f, "prefix", "host")
	var w proxy.Rewrite
	if p := o["prefix"]; p.Set() {
		if got, ok := d.Text(p, "a path such as /v2"); ok {
			path, err := parsePrefix(got)
			if err != nil {
				d.Invalid(p, "%s", err)
			}
			w.Prefix, w.Replace = path, true
		}
	}
	if h := o["host"]; h.Set() {
		w.Host = d.authority(h)
	}
	return w
}

// authority returns the host of f as the field Host has it, with a port or without.
func (d *decoder) authority(f notation.Field) string {
	got, ok := d.Text(f, "a host name such as api.internal")
	if !ok {
		return ""
	}
	var err error
	if strings.Contains(got, ":") {
		got, err = parseHostPort(got)
	} else {
		got, err = notation.ParseHost(got)
	}
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return got
}

// rateLimit returns how many requests are let through. Who says how many, and
// nothing else, means so many a second of each client, as a burst as well.
func (d *decoder) rateLimit(f notation.Field) proxy.RateLimit {
	if !f.Set() {
		return proxy.RateLimit{}
	}
	const most = 1_000_000_000
	mark := d.Count()
	o := d.Object(f, "requests", "per", "burst", "by")
	if d.OK(mark) && !o["requests"].Set() {
		d.Invalid(f, "it needs a number of requests, such as {requests: 100, per: 1s}")
	}
	r := proxy.RateLimit{
		Requests: d.Integer(o["requests"], 1, most),
		Per:      d.Duration(o["per"], time.Second, time.Millisecond, 24*time.Hour),
		By:       proxy.Key{Kind: proxy.KeyClient},
	}
	r.Burst = d.Integer(o["burst"], r.Requests, most)
	if by := o["by"]; by.Set() {
		r.By = d.key(by, proxy.KeyClient, proxy.KeyHeader, proxy.KeyListener)
	}
	return r
}
