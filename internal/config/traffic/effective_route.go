package traffic

import (
	"net/netip"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// onlyPool returns the pool of routes that send everything to one, and do nothing
// else.
func onlyPool(routes []proxy.Route) (string, bool) {
	if len(routes) != 1 || len(routes[0].Split) != 1 {
		return "", false
	}
	pool := routes[0].Split[0].Pool
	return pool, reflect.DeepEqual(routes, routeTo(pool))
}

func effectiveRoute(r proxy.Route) *yaml.Node {
	n := notation.Block()
	if match := effectiveMatch(r.Match); len(match.Content) > 0 {
		notation.Put(n, "match", match)
	}
	switch {
	case r.Redirect != nil:
		redirect := single("to", r.Redirect.To)
		notation.Put(redirect, "status", notation.Integer(r.Redirect.Status))
		notation.Put(n, "redirect", redirect)
	case r.Respond != nil:
		notation.Put(n, "respond", effectiveRespond(*r.Respond))
	case len(r.Split) == 1:
		notation.Put(n, "pool", notation.Text(r.Split[0].Pool))
	default:
		split := notation.Flow()
		for _, s := range r.Split {
			notation.Put(split, s.Pool, notation.Integer(s.Weight))
		}
		notation.Put(n, "split", split)
	}
	if rewrite := effectiveRewrite(r.Rewrite); len(rewrite.Content) > 0 {
		notation.Put(n, "rewrite", rewrite)
	}
	if edit := effectiveEdit(r.RequestHeaders); len(edit.Content) > 0 {
		notation.Put(n, "request_headers", edit)
	}
	if edit := effectiveEdit(r.ResponseHeaders); len(edit.Content) > 0 {
		notation.Put(n, "response_headers", edit)
	}
	if r.Timeout > 0 {
		notation.Put(n, "timeout", notation.Duration(r.Timeout))
	}
	if r.RateLimit.Requests > 0 {
		notation.Put(n, "rate_limit", effectiveRateLimit(r.RateLimit))
	}
	return n
}

func effectiveMatch(m proxy.Match) *yaml.Node {
	n := notation.Block()
	if len(m.Hosts) > 0 {
		notation.Put(n, "host", notation.Line(m.Hosts, strings.Clone))
	}
	if len(m.Paths) > 0 {
		paths := notation.Line(m.Paths, func(p proxy.PathMatch) string { return p.Value })
		for i, p := range m.Paths {
			if p.Kind != proxy.PathPrefix {
				paths.Content[i] = single(string(p.Kind), p.Value)
			}
		}
		notation.Put(n, "path", paths)
	}
	if len(m.Methods) > 0 {
		notation.Put(n, "method", notation.Line(m.Methods, strings.Clone))
	}
	for _, v := range []struct {
		key    string
		values []proxy.ValueMatch
	}{{"header", m.Headers}, {"cookie", m.Cookies}, {"query", m.Queries}} {
		if len(v.values) > 0 {
			notation.Put(n, v.key, effectiveValues(v.values))
		}
	}
	if len(m.Clients) > 0 {
		notation.Put(n, "client", notation.Line(m.Clients, netip.Prefix.String))
	}
	return n
}

func effectiveValues(values []proxy.ValueMatch) *yaml.Node {
	n := notation.Flow()
	for _, v := range values {
		switch {
		case v.Any:
			notation.Put(n, v.Name, notation.Boolean(true))
		case v.Value == "true" || v.Value == "false":
			notation.Put(n, v.Name, single("exact", v.Value))
		default:
			notation.Put(n, v.Name, notation.Text(v.Value))
		}
	}
	return n
}

func effectiveRespond(r proxy.Respond) *yaml.Node {
	n := notation.Flow()
	notation.Put(n, "status", notation.Integer(r.Status))
	if r.Body != "" {
		notation.Put(n, "body", notation.Quoted(r.Body))
		notation.Put(n, "content_type", notation.Text(r.ContentType))
	}
	return n
}

func effectiveRewrite(w proxy.Rewrite) *yaml.Node {
	n := notation.Flow()
	if w.Replace {
		notation.Put(n, "prefix", notation.Text(w.Prefix))
	}
	if w.Host != "" {
		notation.Put(n, "host", notation.Text(w.Host))
	}
	return n
}

func effectiveEdit(e proxy.HeaderEdit) *yaml.Node {
	n := notation.Block()
	if len(e.Set) > 0 {
		set := notation.Flow()
		for _, f := range e.Set {
			notation.Put(set, f.Name, notation.Text(f.Value))
		}
		notation.Put(n, "set", set)
	}
	if len(e.Add) > 0 {
		notation.Put(n, "add", effectiveAdditions(e.Add))
	}
	if len(e.Remove) > 0 {
		notation.Put(n, "remove", notation.Line(e.Remove, strings.Clone))
	}
	return n
}

// effectiveAdditions gathers the values of each name, which stand together.
func effectiveAdditions(fields []proxy.HeaderField) *yaml.Node {
	n := notation.Flow()
	for i := 0; i < len(fields); {
		var values []string
		name := fields[i].Name
		for ; i < len(fields) && fields[i].Name == name; i++ {
			values = append(values, fields[i].Value)
		}
		notation.Put(n, name, notation.Line(values, strings.Clone))
	}
	return n
}

func effectiveRateLimit(r proxy.RateLimit) *yaml.Node {
	n := notation.Flow()
	notation.Put(n, "requests", notation.Integer(r.Requests))
	notation.Put(n, "per", notation.Duration(r.Per))
	notation.Put(n, "burst", notation.Integer(r.Burst))
	notation.Put(n, "by", notation.Text(formatKey(r.By)))
	return n
}
