package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// untouchable are the fields that say where a message ends and what a connection is
// for. They are of each hop, and only who reads and writes the messages knows them.
var untouchable = []string{
	"connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// ofClients are the fields of a request that tell servers who the client is, and how
// the request came here. They are written from what is known of that, in one place.
var ofClients = []string{
	"client-cert", "client-cert-chain", "forwarded", "via", "x-client-cert-fingerprint", "x-client-cert-subject",
	"x-client-verified", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
}

// maxValue bounds the value of a field of the file; most servers take no longer one.
const maxValue = 4096

// edit is the edit of a message that is being read.
type edit struct {
	request bool
	names   map[string]*yaml.Node // that it has so far, and where
}

// headerEdit returns what becomes of the fields of a message, a request or a response,
// in the order of their names.
func (d *decoder) headerEdit(f notation.Field, request bool) proxy.HeaderEdit {
	if !f.Set() {
		return proxy.HeaderEdit{}
	}
	o := d.Object(f, "set", "add", "remove")
	own := edit{request, make(map[string]*yaml.Node)}
	e := proxy.HeaderEdit{Set: d.headerFields(o["set"], own, false), Add: d.headerFields(o["add"], own, true)}
	for _, r := range d.List(o["remove"], "name") {
		got, ok := d.Text(r, "the name of a header field, such as x-debug")
		if !ok {
			continue
		}
		if name, ok := d.editable(r.Value, got, own); ok {
			e.Remove = append(e.Remove, name)
		}
	}
	slices.Sort(e.Remove)
	return e
}

// headerFields returns the fields of f; with several, a name may have a list of
// values.
func (d *decoder) headerFields(f notation.Field, own edit, several bool) []proxy.HeaderField {
	var all []proxy.HeaderField
	for _, e := range d.Entries(f, "a map of names to values such as {x-team: shop}") {
		name, ok := d.editable(e.Key, e.Key.Value, own)
		values := []notation.Field{e}
		if several {
			values = d.List(e, "value")
		}
		for _, v := range values {
			if value, valid := d.fieldValue(v); ok && valid {
				all = append(all, proxy.HeaderField{Name: name, Value: value})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b proxy.HeaderField) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// editable returns the name got, which n has, in lower case, and whether it may be
// set, added or removed: once, and only where nobody else decides.
func (d *decoder) editable(n *yaml.Node, got string, own edit) (string, bool) {
	name, err := parseFieldName(got)
	// Some servers take an underscore for a dash.
	alike := strings.ReplaceAll(name, "_", "-")
	before := own.names[name]
	switch {
	case err != nil:
	case alike == "host":
		err = fmt.Errorf("the field %q is not to be edited: write rewrite: {host: NAME}", got)
	case slices.Contains(untouchable, alike):
		err = fmt.Errorf("the field %q is not to be edited: it is about the connection, not the message", got)
	case own.request && slices.Contains(ofClients, alike):
		err = fmt.Errorf("the field %q is not to be edited: it says how the request came here, which the proxy writes itself; see trust_forwarded", got)
	case own.request && alike == d.requestID:
		err = fmt.Errorf("the field %q is not to be edited: it has the identity of the request, see request_id under log", got)
	case before != nil:
		err = fmt.Errorf("the field %q is set, added or removed already, at %s: set alone replaces what was there", got, d.At(d.Place(before)))
	}
	if err != nil {
		d.Errorf(n, "%s", err)
		return "", false
	}
	own.names[name] = n
	return name, true
}

// fieldValue returns the value of a field that f holds.
func (d *decoder) fieldValue(f notation.Field) (string, bool) {
	got, ok := d.Text(f, "a text")
	switch {
	case !ok:
		return "", false
	case hasControl(got):
		d.Invalid(f, "%q holds a control character, which would end the field", got)
	case !isASCII(got):
		d.Invalid(f, "%q holds characters that are not ASCII, which the two sides would read differently", got)
	case strings.TrimSpace(got) != got:
		d.Invalid(f, "%q has spaces around it, which are not part of a value", got)
	case len(got) > maxValue:
		d.Invalid(f, "the value has %d bytes, at most %d are possible", len(got), maxValue)
	default:
		return got, true
	}
	return "", false
}
