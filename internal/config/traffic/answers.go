package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

// plainText is what a fixed answer is unless it says otherwise.
const plainText = "text/plain; charset=utf-8"

// maxBody bounds the text of a fixed answer: it is kept for ever.
const maxBody = 64 << 10

// redirect returns where f leads; a text is short for {to: TEXT}. The default status
// is the one that no client keeps.
func (d *decoder) redirect(f notation.Field) *proxy.Redirect {
	r := &proxy.Redirect{Status: 302}
	to := f
	if f.Value.Kind == yaml.MappingNode {
		mark := d.Count()
		o := d.Object(f, "to", "status")
		if to = o["to"]; !to.Set() && d.OK(mark) {
			d.Invalid(f, "it needs a place, such as {to: \"https://{host}{uri}\"}")
		}
		r.Status, _ = notation.Decimal(d.Choice(o["status"], "302", "301", "302", "303", "307", "308"), 301, 308)
	}
	if !to.Set() {
		return r
	}
	got, ok := d.Text(to, "an absolute URL or a path")
	if !ok {
		return r
	}
	if err := checkTarget(got); err != nil {
		d.Invalid(to, "%s", err)
	}
	r.To = got
	return r
}

// placeholders are what stands in the target of a redirect for parts of the request,
// each with an example of it.
var placeholders = map[string]string{"{host}": "example.com", "{path}": "/a/b", "{query}": "c=d", "{uri}": "/a/b?c=d"}

// checkTarget says why s is no place to send clients to.
func checkTarget(s string) error {
	example, err := expand(s)
	rest, absolute := cutScheme(s)
	switch {
	case err != nil:
		return err
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`|", r) }):
		return fmt.Errorf("%q holds a character that has to be percent-encoded", s)
	case strings.HasPrefix(s, "//"):
		return fmt.Errorf("%q names a host without a scheme: write https:%s", s, s)
	case slices.Contains(circles, strings.TrimPrefix(s, "/")):
		return fmt.Errorf("%q leads where the request came from, again and again", s)
	case strings.HasPrefix(s, "{path}"), strings.HasPrefix(s, "{uri}"):
		return fmt.Errorf("%q begins with a placeholder: write /%s, which does not double the slash", s, s)
	case !absolute && !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%q is neither a path nor a URL of https or http", s)
	case absolute && !strings.HasPrefix(rest, "{host}") && strings.HasPrefix(rest, "{"), absolute && strings.Contains(hostOf(rest), "{query}"):
		return fmt.Errorf("%q has its host from the path or the query of a request, which is to say from anybody", s)
	}
	u, err := url.Parse(example)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL: %w", s, errors.Unwrap(err))
	case absolute && u.Hostname() == "":
		return fmt.Errorf("%q names no host", s)
	case u.User != nil:
		return fmt.Errorf("%q has a user in it, which browsers leave out", s)
	}
	return nil
}

// circles are the targets, without a slash before them, that are those of the request.
var circles = []string{"{uri}", "{path}", "{path}?{query}"}

// noCircle refuses a redirect r at f of the listener l that leads to where the request
// came from: one that was made for the plain port, say, and stands at that of TLS.
func (d *decoder) noCircle(f notation.Field, r *proxy.Redirect, l *proxy.Listener) {
	scheme, port := "http://", uint16(80)
	if l.TLS != nil {
		scheme, port = "https://", 443
	}
	rest, same := strings.CutPrefix(r.To, scheme+"{host}")
	here := slices.ContainsFunc(l.Bind, func(a netip.AddrPort) bool { return a.Port() == port })
	if same && here && slices.Contains(circles, strings.TrimPrefix(rest, "/")) {
		d.Invalid(f, "%q leads back to this listener, which has port %d, again and again", r.To, port)
	}
}

// cutScheme returns what follows the scheme of an absolute URL.
func cutScheme(s string) (rest string, absolute bool) {
	if rest, absolute = strings.CutPrefix(s, "https://"); !absolute {
		rest, absolute = strings.CutPrefix(s, "http://")
	}
	return rest, absolute
}

// hostOf returns the host, with all that belongs to it, at the start of rest.
func hostOf(rest string) string {
	for _, end := range []string{"/", "?", "#", "{path}", "{uri}"} {
		rest, _, _ = strings.Cut(rest, end)
	}
	return rest
}

// expand returns s with examples in place of the placeholders.
func expand(s string) (string, error) {
	var b strings.Builder
	for rest := s; ; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			b.WriteString(rest)
			return b.String(), nil
		}
		b.WriteString(rest[:open])
		end := strings.IndexByte(rest[open:], '}') + 1
		if rest[open] == '}' || end == 0 {
			return "", fmt.Errorf("%q has a brace without its other half", s)
		}
		word := rest[open : open+end]
		example, ok := placeholders[word]
		if !ok {
			known := []string{"{host}", "{path}", "{query}", "{uri}"}
			return "", fmt.Errorf("unknown placeholder %q%s", word, source.Instead(word, known))
		}
		if strings.HasSuffix(b.String(), "/") {
			example = strings.TrimPrefix(example, "/") // a path does not double it
		}
		b.WriteString(example)
		rest = rest[open+end:]
	}
}

// respond returns the fixed answer of f; a status alone is short for {status: IT}.
func (d *decoder) respond(f notation.Field) *proxy.Respond {
	r := new(proxy.Respond)
	if f.Value.Kind != yaml.MappingNode {
		r.Status = d.Number(f, 200, 200, 599)
		return r
	}
	mark := d.Count()
	o := d.Object(f, "status", "body", "content_type")
	status, body, kind := o["status"], o["body"], o["content_type"]
	if d.OK(mark) && !status.Set() {
		d.Invalid(f, "it needs a status, such as {status: 503, body: \"back soon\"}")
	}
	r.Status = d.Number(status, 200, 200, 599)
	if body.Set() {
		r.Body, _ = d.Text(body, "a text")
	}
	switch {
	case len(r.Body) > maxBody:
		d.Invalid(body, "the body has %d bytes, at most %d are possible", len(r.Body), maxBody)
	case r.Body != "" && slices.Contains([]int{204, 205, 304}, r.Status):
		d.Invalid(body, "an answer with status %d has none (RFC 9110, section 15)", r.Status)
	case r.Body != "":
		r.ContentType = plainText
	}
	if kind.Set() {
		got, ok := d.Text(kind, "a media type such as text/html")
		mainType, _, slash := strings.Cut(got, "/")
		switch {
		case !ok:
		case r.Body == "":
			d.Errorf(kind.Key, "content_type says what the body is, and there is none")
		case !slash || !isToken(mainType) || hasControl(got) || !isASCII(got) || strings.TrimSpace(got) != got:
			d.Invalid(kind, "%q is not a media type such as text/html", got)
		default:
			r.ContentType = got
		}
	}
	return r
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
