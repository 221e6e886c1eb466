package traffic

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

const requestForm = `"GET /path" or "HEAD /path"`

// check returns how f wants servers probed, with the defaults of its kind.
func (d *decoder) check(f notation.Field) proxy.Check {
	if !f.Set() {
		return proxy.Check{}
	}
	if f.Value.Kind == yaml.ScalarNode {
		return d.shortCheck(f)
	}
	mark := d.Count()
	o := d.Object(f, "http", "tcp", "expect", "every", "timeout", "rise", "fall")
	http, tcp, expect := o["http"], o["tcp"], o["expect"]
	c := defaultCheck(proxy.CheckTCP)
	switch {
	case http.Set() && tcp.Set():
		d.Errorf(tcp.Key, "a check is of one kind: http or tcp")
	case http.Set():
		c = httpCheck("", "")
		c.Method, c.Path = d.request(http)
	case tcp.Set():
		if mark := d.Count(); !d.Boolean(tcp, true) && d.OK(mark) {
			d.Invalid(tcp, "expected true: leave check out for none")
		}
	case d.OK(mark):
		d.Errorf(f.Value, "the check has no kind: expected http: %s, or tcp: true", requestForm)
	}
	if expect.Set() {
		if tcp.Set() {
			d.Errorf(expect.Key, "a tcp check sees no status to expect")
		}
		c.Expect = d.statusRange(expect, c.Expect)
	}
	d.probing(&c, o)
	return c
}

// probing fills in how often a server is probed, and how many probes decide.
func (d *decoder) probing(c *proxy.Check, o notation.Fields) {
	mark := d.Count()
	every := d.Duration(o["every"], c.Every, 10*time.Millisecond, time.Hour)
	// A shorter pace shortens the default timeout with it.
	timeout := d.Duration(o["timeout"], min(c.Timeout, every), time.Millisecond, time.Hour)
	if d.OK(mark) && timeout > every {
		d.Invalid(o["timeout"], "%s is longer than every: %s, probes of one server would overlap",
			notation.FormatDuration(timeout), notation.FormatDuration(every))
	}
	c.Every, c.Timeout = every, timeout
	c.Rise = d.Integer(o["rise"], c.Rise, 100)
	c.Fall = d.Integer(o["fall"], c.Fall, 100)
}

// shortCheck returns the check that one text describes.
func (d *decoder) shortCheck(f notation.Field) proxy.Check {
	const what = `"GET /path", "HEAD /path" or tcp`
	got, ok := d.Text(f, what)
	if !ok {
		return proxy.Check{}
	}
	if got == "tcp" {
		return defaultCheck(proxy.CheckTCP)
	}
	method, path, err := parseRequest(got)
	if err != nil {
		d.Invalid(f, "expected %s, found %q: %s", what, got, err)
	}
	return httpCheck(method, path)
}

func (d *decoder) request(f notation.Field) (method, path string) {
	got, ok := d.Text(f, requestForm)
	if !ok {
		return "", ""
	}
	method, path, err := parseRequest(got)
	if err != nil {
		d.Invalid(f, "expected %s, found %q: %s", requestForm, got, err)
	}
	return method, path
}

// parseRequest parses METHOD SP PATH as it will stand in the request line
// (RFC 9112, section 3).
func parseRequest(s string) (method, path string, err error) {
	method, path, _ = strings.Cut(s, " ")
	switch {
	case method != http.MethodGet && method != http.MethodHead:
		return "", "", fmt.Errorf("the method is %s or %s, in capitals", http.MethodGet, http.MethodHead)
	case !strings.HasPrefix(path, "/"):
		return "", "", fmt.Errorf("the path begins with /")
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }):
		return "", "", fmt.Errorf("the path holds a character that has to be percent-encoded")
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		return "", "", fmt.Errorf("the path has a bad percent-encoding")
	}
	return method, path, nil
}

// statusRange returns the statuses of f, one or LOW-HIGH.
func (d *decoder) statusRange(f notation.Field, otherwise proxy.StatusRange) proxy.StatusRange {
	const what = "a status or a range of them in 200..599, such as 204 or 200-299"
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	low, high, isRange := strings.Cut(got, "-")
	if !isRange {
		high = low
	}
	l, okLow := notation.Decimal(low, 200, 599)
	h, okHigh := notation.Decimal(high, 200, 599)
	if !okLow || !okHigh || l > h {
		d.Expected(f, what)
		return otherwise
	}
	return proxy.StatusRange{Low: l, High: h}
}

func httpCheck(method, path string) proxy.Check {
	c := defaultCheck(proxy.CheckHTTP)
	c.Method, c.Path = method, path
	c.Expect = proxy.StatusRange{Low: 200, High: 299}
	return c
}

func defaultCheck(kind proxy.CheckKind) proxy.Check {
	return proxy.Check{Kind: kind, Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}
}
