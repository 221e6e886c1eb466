package traffic

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// conditions are the keys of a match.
var conditions = []string{"host", "path", "method", "header", "cookie", "query", "client"}

// match returns what the requests of a route are like. Of connections that are
// not HTTP nothing is known but, where TLS is passed through, the name that the
// client asks for.
func (d *decoder) match(f notation.Field, l *proxy.Listener) proxy.Match {
	o := d.Object(f, conditions...)
	if l.Protocol != proxy.HTTP {
		for _, key := range conditions {
			switch c := o[key]; {
			case !c.Set():
			case l.Passthrough && key != "host":
				d.Errorf(c.Key, "%s is not to be seen in TLS that is passed through: its routes match host alone", key)
			case !l.Passthrough && l.Protocol == proxy.TCP:
				d.Errorf(c.Key, "%s is not to be seen on a tcp listener; with tls: {passthrough: true} its routes match host", key)
			case !l.Passthrough:
				d.Errorf(c.Key, "%s is not to be seen on a %s listener: it has a single route", key, l.Protocol)
			}
		}
	}
	return proxy.Match{
		Hosts:   d.hosts(o["host"]),
		Paths:   d.paths(o["path"]),
		Methods: d.methods(o["method"]),
		Headers: d.values(o["header"], fieldForm),
		Cookies: d.values(o["cookie"], cookieForm),
		Queries: d.values(o["query"], parameterForm),
		Clients: d.distinctNetworks(o["client"]),
	}
}

func (d *decoder) hosts(f notation.Field) []string {
	var hosts []string
	listed := make(map[string]bool)
	for _, e := range d.List(f, "host") {
		got, ok := d.Text(e, "a host name such as example.com or \"*.example.com\"")
		if !ok {
			continue
		}
		host, err := parseHostPattern(got)
		if err != nil {
			d.Invalid(e, "%s", err)
			continue
		}
		d.once(listed, e, host)
		hosts = append(hosts, host)
	}
	return hosts
}

// parseHostPattern parses a host name, or one with a leading "*." for the names
// below it.
func parseHostPattern(s string) (string, error) {
	name := strings.TrimPrefix(s, "*.")
	switch {
	case s == "*" || s == "*.":
		return "", fmt.Errorf("%q is every host: leave host out", s)
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("%q is not a host name: a * stands at the beginning alone, as in *.example.com", s)
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("%q is not a host name: leave out the port", s)
	case strings.HasSuffix(name, "."):
		return "", fmt.Errorf("%q is not a host name: leave out the dot at its end", s)
	}
	if _, err := notation.ParseHost(name); err != nil {
		return "", err
	}
	return strings.ToLower(s), nil
}

func (d *decoder) methods(f notation.Field) []string {
	var methods []string
	listed := make(map[string]bool)
	for _, e := range d.List(f, "method") {
		got, ok := d.Text(e, "a method such as GET")
		if !ok {
			continue
		}
		switch {
		case !isToken(got) || len(got) > maxToken:
			d.Invalid(e, "%q is not a method such as GET or POST", got)
		case slices.Contains(knownMethods, strings.ToUpper(got)) && !slices.Contains(knownMethods, got):
			d.Invalid(e, "%q is no method: their case matters, did you mean %q?", got, strings.ToUpper(got))
		default:
			d.once(listed, e, got)
		}
		methods = append(methods, got)
	}
	return methods
}

// knownMethods are those of RFC 9110, section 9, and RFC 5789.
var knownMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch,
}

// valueForm is what the names and values of fields, cookies or parameters look like.
type valueForm struct {
	example string
	name    func(string) (string, error) // as a match has it
	value   func(string) error
}

var fieldForm = valueForm{
	example: `x-canary: "1"`,
	name: func(s string) (string, error) {
		name, err := parseFieldName(s)
		if name == "host" {
			err = fmt.Errorf("the field Host is matched by the key host")
		}
		return name, err
	},
	value: func(s string) error {
		if hasControl(s) || strings.TrimSpace(s) != s {
			return fmt.Errorf("%q is no value of a field: it has control characters in it, or spaces around it", s)
		}
		return nil
	},
}

var cookieForm = valueForm{
	example: `beta: "yes"`,
	name:    func(s string) (string, error) { return s, checkCookieName(s) },
	value: func(s string) error {
		if hasControl(s) || strings.Contains(s, ";") || strings.TrimSpace(s) != s {
			return fmt.Errorf("%q is no value of a cookie: it has control characters or a semicolon in it, or spaces around it", s)
		}
		return nil
	},
}

// What a parameter holds is percent-encoded on its way, whatever it is.
var parameterForm = valueForm{
	example: `v: "2"`,
	name:    func(s string) (string, error) { return s, checkParameter(s) },
	value:   func(string) error { return nil },
}

// values returns the names and values of f in the order of the names.
func (d *decoder) values(f notation.Field, form valueForm) []proxy.ValueMatch {
	mark := d.Count()
	entries := d.Entries(f, "a map of names to values such as {"+form.example+"}")
	if f.Set() && len(entries) == 0 && d.OK(mark) {
		d.Invalid(f, "the map is empty: expected at least one name with its value, such as %s", form.example)
	}
	var all []proxy.ValueMatch
	first := make(map[string]*yaml.Node)
	for _, e := range entries {
		name, err := form.name(e.Key.Value)
		switch before := first[name]; {
		case err != nil:
			d.Errorf(e.Key, "%s", err)
		case before != nil:
			d.Errorf(e.Key, "%q is the field %q, which has a value already, at %s", e.Key.Value, name, d.At(d.Place(before)))
		default:
			first[name] = e.Key
		}
		v := d.valueMatch(e, form)
		v.Name = name
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b proxy.ValueMatch) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// valueMatch returns the value of f: a text, or true for any.
func (d *decoder) valueMatch(f notation.Field, form valueForm) proxy.ValueMatch {
	const what = "a text, or true for any value"
	value := f
	if f.Value.Kind == yaml.MappingNode {
		mark := d.Count()
		if value = d.Object(f, "exact")["exact"]; !value.Set() {
			if d.OK(mark) {
				d.Expected(f, what)
			}
			return proxy.ValueMatch{}
		}
	}
	got, ok := d.Text(value, what)
	if !ok {
		return proxy.ValueMatch{}
	}
	short := value.Value == f.Value
	switch err := form.value(got); {
	case short && got == "true":
		return proxy.ValueMatch{Any: true}
	case short && got == "false":
		d.Invalid(f, "that there is none cannot be matched; the word itself is written as {exact: false}")
	case err != nil:
		d.Invalid(value, "%s", err)
	}
	return proxy.ValueMatch{Value: got}
}

// hasControl reports whether s has characters that a field cannot have (RFC 9110,
// section 5.5).
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
