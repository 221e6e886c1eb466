package console

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Refusal is why a request, or a connection, is turned away: a label of a metric.
type Refusal string

// The refusals.
const (
	granted Refusal = "" // it is not
	// BadHost: asked under a name that is not this node's. A page of another site can
	// have its own name point here.
	BadHost Refusal = "host"
	// BadOrigin: sent by a page of another site.
	BadOrigin Refusal = "origin"
	// ReadOnly: something is to be changed, and there is no token to prove that it may.
	ReadOnly Refusal = "read_only"
	NoToken  Refusal = "no_token"
	BadToken Refusal = "bad_token"
	// TooMany: wrong tokens, from that address, of late.
	TooMany Refusal = "too_many"
	// TokenFile: what the file holds now is no token. Nobody has the right one then.
	TokenFile Refusal = "token_file"
	// Connections: too many are open, in all or from that address.
	Connections Refusal = "connections"
	// Watchers: too many follow what happens.
	Watchers Refusal = "watchers"
)

// Refusals returns all there are.
func Refusals() []Refusal {
	return []Refusal{BadHost, BadOrigin, ReadOnly, NoToken, BadToken, TooMany, TokenFile, Connections, Watchers}
}

// call is what of a request decides who may make it.
type call struct {
	method string
	public bool   // what is asked for says nothing of the node
	host   string // of the request
	origin string // empty: none
	site   string // Sec-Fetch-Site; empty where the client is no browser
	secure bool   // it came over TLS
}

// callOf returns what r says; public is known by its path.
func callOf(r *http.Request, public bool) call {
	return call{
		method: r.Method, public: public, host: r.Host, secure: r.TLS != nil,
		origin: r.Header.Get("Origin"), site: r.Header.Get("Sec-Fetch-Site"),
	}
}

// writes reports whether c may change something.
func (c call) writes() bool { return c.method != http.MethodGet && c.method != http.MethodHead }

// rules say who may ask for what.
type rules struct {
	token bool     // there is a file with one
	names []string // of the node, in lower case
}

// admits judges where c comes from, for anything but its token.
func (r rules) admits(c call) Refusal {
	switch {
	case !r.isOwn(c.host):
		return BadHost
	case c.origin != "" && !sameOrigin(c):
		return BadOrigin
	case c.site == "cross-site" && !c.public:
		return BadOrigin
	case c.writes() && !r.token:
		return ReadOnly
	}
	return granted
}

// needsToken reports whether c must show the token, where there is one. The page
// itself must be had without, to ask for it.
func (r rules) needsToken(c call) bool {
	return r.token && (!c.public || c.writes())
}

// isOwn reports whether host, with or without a port, is the node: an address,
// which nobody else can have point here, or one of its names.
func (r rules) isOwn(host string) bool {
	name := hostOnly(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || name != "" && slices.Contains(r.names, name)
}

// hostOnly returns host without its port and brackets.
func hostOnly(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		name, _, _ := strings.Cut(rest, "]")
		return name
	}
	name, _, _ := strings.Cut(host, ":")
	return name
}

// sameOrigin reports whether the page that sent c is this node's own.
func sameOrigin(c call) bool {
	scheme := "http://"
	if c.secure {
		scheme = "https://"
	}
	return strings.EqualFold(c.origin, scheme+c.host)
}

// bearer returns the token that r shows; "" when it shows none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
