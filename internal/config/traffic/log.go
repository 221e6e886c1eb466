package traffic

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// DecodeLog returns what the keys o of `log` say of the traffic.
func DecodeLog(dec *notation.Decoder, o notation.Fields) proxy.Log {
	d := &decoder{Decoder: dec}
	var l proxy.Log
	l.Access, l.Sample = d.access(o["access"])
	mark := d.Count()
	l.RequestID = d.headerName(o["request_id"], "x-request-id")
	l.Tenant = d.headerName(o["tenant"], "")
	if d.OK(mark) && l.Tenant == l.RequestID {
		d.Invalid(o["tenant"], "%q is the request_id already: a tenant has many requests", l.Tenant)
	}
	return l
}

// access returns whether requests are logged, and which share of them.
func (d *decoder) access(f notation.Field) (access bool, sample float64) {
	const what = "true, false or {sample: 10%}"
	switch {
	case !f.Set():
		return true, 1
	case f.Value.Kind == yaml.MappingNode:
		mark := d.Count()
		o := d.Object(f, "sample")
		if !o["sample"].Set() && d.OK(mark) {
			d.Invalid(f, "expected %s, found an empty map", what)
		}
		return true, d.Share(o["sample"], 1, notation.LeastShare)
	}
	got, ok := d.Text(f, what)
	switch {
	case !ok || got == "true":
	case got == "false":
		return false, 0
	case strings.HasSuffix(got, "%"):
		d.Invalid(f, "a share of the requests is written as {sample: %s}", got)
	default:
		d.Expected(f, what)
	}
	return true, 1
}

// ownHeaders are the fields that HTTP or the proxy gives a meaning of its own.
var ownHeaders = []string{
	"authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host", "keep-alive",
	"proxy-authorization", "proxy-connection", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "via",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
}

// headerName returns the name of a header field that f holds, in lower case: names
// are the same in any (RFC 9110, section 5.1).
func (d *decoder) headerName(f notation.Field, otherwise string) string {
	if !f.Set() {
		return otherwise
	}
	got, ok := d.Text(f, "the name of a header field, such as x-request-id")
	if !ok {
		return otherwise
	}
	name := strings.ToLower(got)
	// A token may hold more (RFC 9110, section 5.6.2), but underscores are taken for
	// dashes by some servers, and the rest is in no field that anybody uses.
	alien := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-")
	switch {
	case name == "" || len(name) > 64 || alien != "" || name[0] == '-' || name[len(name)-1] == '-':
		d.Invalid(f, "%q is not the name of a header field: use 1 to 64 letters, digits and -", got)
		return otherwise
	case slices.Contains(ownHeaders, name):
		d.Invalid(f, "%q has a meaning of its own in HTTP: choose another field", got)
		return otherwise
	}
	return name
}
