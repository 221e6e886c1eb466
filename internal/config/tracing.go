package config

import (
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// defaultSample is the share of the requests that begin a trace.
const defaultSample = 0.01

// tracesPath is what a receiver has behind its URL.
const tracesPath = "/v1/traces"

// tracing returns what the key `tracing` says.
func (d *decoder) tracing(f notation.Field) proxy.Tracing {
	if !f.Set() {
		return proxy.Tracing{}
	}
	mark := d.Count()
	o := d.Object(f, "otlp", "sample")
	if !o["otlp"].Set() {
		if d.OK(mark) {
			d.Invalid(f, "otlp is missing: the URL of a receiver, such as http://127.0.0.1:4318")
		}
		return proxy.Tracing{}
	}
	return proxy.Tracing{OTLP: d.receiver(o["otlp"]), Sample: d.Share(o["sample"], defaultSample, 0)}
}

// receiver returns the URL of f, without a slash at its end.
func (d *decoder) receiver(f notation.Field) string {
	const what = "a URL such as http://127.0.0.1:4318"
	got, ok := d.Text(f, what)
	if !ok {
		return ""
	}
	u, err := url.Parse(got)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || u.Hostname() == "" || len(got) > 1024:
		d.Expected(f, what)
	case u.Scheme != "http" && u.Scheme != "https":
		d.Invalid(f, "%q is not spoken, expected http or https", u.Scheme)
	case u.User != nil:
		d.Invalid(f, "a URL with a user or a password is not supported: they would show in logs")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		d.Invalid(f, "%q has more than a path", got)
	case u.Port() != "" && !isPort(u.Port()), strings.HasSuffix(u.Host, ":"):
		d.Invalid(f, "%q has no valid port, expected 1 to 65535", got)
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), tracesPath):
		d.Invalid(f, "leave %s out: it is added", tracesPath)
	default:
		return strings.TrimRight(got, "/")
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func effectiveTracing(t proxy.Tracing) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "otlp", notation.Text(t.OTLP))
	notation.Put(n, "sample", notation.Text(notation.FormatShare(t.Sample)))
	return n
}
