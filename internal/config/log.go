package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/proxy"
)

// log returns what the key `log` says of the daemon, and of the traffic.
func (d *decoder) log(f field) (Log, proxy.Log) {
	o := d.object(f, "level", "access", "request_id", "tenant")
	level := d.choice(o["level"], "info", "debug", "info", "warn", "error")
	var traffic proxy.Log
	traffic.Access, traffic.Sample = d.access(o["access"])
	mark := d.Count()
	traffic.RequestID = d.headerName(o["request_id"], "x-request-id")
	traffic.Tenant = d.headerName(o["tenant"], "")
	if d.ok(mark) && traffic.Tenant == traffic.RequestID {
		d.invalid(o["tenant"], "%q is the request_id already: a tenant has many requests", traffic.Tenant)
	}
	return Log{Level: level}, traffic
}

// access returns whether requests are logged, and which share of them.
func (d *decoder) access(f field) (access bool, sample float64) {
	const what = "true, false or {sample: 10%}"
	switch {
	case !f.set():
		return true, 1
	case f.value.Kind == yaml.MappingNode:
		mark := d.Count()
		o := d.object(f, "sample")
		if !o["sample"].set() && d.ok(mark) {
			d.invalid(f, "expected %s, found an empty map", what)
		}
		return true, d.share(o["sample"], 1)
	}
	got, ok := d.text(f, what)
	switch {
	case !ok || got == "true":
	case got == "false":
		return false, 0
	case strings.HasSuffix(got, "%"):
		d.invalid(f, "a share of the requests is written as {sample: %s}", got)
	default:
		d.expected(f, what)
	}
	return true, 1
}

// ownHeaders are the fields that HTTP or the proxy gives a meaning of its own.
var ownHeaders = []string{
	"authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host", "keep-alive",
	"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
}

// headerName returns the name of a header field that f holds, in lower case: names
// are the same in any (RFC 9110, section 5.1).
func (d *decoder) headerName(f field, otherwise string) string {
	if !f.set() {
		return otherwise
	}
	got, ok := d.text(f, "the name of a header field, such as x-request-id")
	if !ok {
		return otherwise
	}
	name := strings.ToLower(got)
	// A token may hold more (RFC 9110, section 5.6.2), but underscores are taken for
	// dashes by some servers, and the rest is in no field that anybody uses.
	alien := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-")
	switch {
	case name == "" || len(name) > 64 || alien != "" || name[0] == '-' || name[len(name)-1] == '-':
		d.invalid(f, "%q is not the name of a header field: use 1 to 64 letters, digits and -", got)
		return otherwise
	case slices.Contains(ownHeaders, name):
		d.invalid(f, "%q has a meaning of its own in HTTP: choose another field", got)
		return otherwise
	}
	return name
}
