package proxy

import (
	"net/netip"
	"time"
)

// Route says what becomes of the requests that it matches. A route of HTTP has one of
// Split, Redirect and Respond; the others have Split.
type Route struct {
	Match Match

	Split    []Share   // the pools that it goes to
	Redirect *Redirect `json:",omitempty"`
	Respond  *Respond  `json:",omitempty"`

	// The others are of HTTP, and those about servers come with Split.

	Rewrite         Rewrite
	RequestHeaders  HeaderEdit
	ResponseHeaders HeaderEdit
	Timeout         time.Duration // from the first byte of a request to the last of its response; 0: none
	RateLimit       RateLimit
}

// Share is the part of a route's requests that goes to one pool.
type Share struct {
	Pool   string // name of a Pool of the same Spec
	Weight int    // 0..1000000, relative to the sum of the route's, which is positive
}

// Match is what a request must be like: every condition that is set holds, by any one
// of its alternatives. The zero Match is any request's.
//
// Of a TCP listener with TLS passed through, Hosts alone are matched, with the name
// that the client asks for (SNI).
type Match struct {
	// Hosts are names in lower case without a port: exact, or with a leading "*." which
	// stands for one or more labels.
	Hosts   []string       `json:",omitempty"`
	Paths   []PathMatch    `json:",omitempty"`
	Methods []string       `json:",omitempty"` // in their own case: it matters
	Headers []ValueMatch   `json:",omitempty"` // all of them; names in lower case
	Cookies []ValueMatch   `json:",omitempty"` // all of them
	Queries []ValueMatch   `json:",omitempty"` // all of them
	Clients []netip.Prefix `json:",omitempty"` // without host bits
}

// PathKind says how a path is compared.
type PathKind string

// The kinds of path.
const (
	PathPrefix PathKind = "prefix" // in whole segments: /a matches /a and /a/b, not /ab
	PathExact  PathKind = "exact"
	PathRegex  PathKind = "regex" // of package regexp, anywhere in the path unless anchored
)

// PathMatch is one way in which a path may match.
type PathMatch struct {
	Kind PathKind
	// Value of a prefix and of an exact path is in the form in which the paths of
	// requests are matched, see package route; of a prefix it has no slash at its end,
	// but for the prefix "/" itself.
	Value string
}

// ValueMatch is a name that must be there, with a value.
type ValueMatch struct {
	Name  string
	Value string // exact
	Any   bool   // whatever the value
}

// Redirect answers with another place.
type Redirect struct {
	// To is an absolute URL or a path. {host}, {path}, {query} and {uri} in it stand for
	// what the request has; {uri} is path and query.
	To     string
	Status int // 301, 302, 303, 307 or 308
}

// Respond answers with something fixed.
type Respond struct {
	Status      int // 200..599
	Body        string
	ContentType string // empty without a Body
}

// Rewrite changes what a request asks for.
type Rewrite struct {
	// Prefix takes the place of the prefix that matched, if Replace is set; of a route
	// that matches no prefix, of the first slash.
	Prefix  string
	Replace bool
	Host    string // empty: as it was
}

// HeaderEdit changes the fields of a message. What concerns the framing, the
// connection or the host is not for it to touch.
type HeaderEdit struct {
	Set    []HeaderField `json:",omitempty"` // in place of those of the name
	Add    []HeaderField `json:",omitempty"` // beside those of the name
	Remove []string      `json:",omitempty"` // names in lower case
}

// HeaderField is a field of a message.
type HeaderField struct {
	Name  string // a token, in lower case
	Value string // without control characters
}

// RateLimit bounds the requests of whoever Key tells apart, by a bucket that holds
// Burst and is filled at Requests in Per.
type RateLimit struct {
	Requests int // 0: no limit
	Per      time.Duration
	Burst    int // 1.. with Requests
	By       Key // KeyClient, KeyHeader or KeyListener
}

// KeyKind says what of a request tells it apart from others.
type KeyKind string

// The kinds of key.
const (
	KeyNone     KeyKind = ""
	KeyClient   KeyKind = "client"   // the address of the client
	KeyHeader   KeyKind = "header"   // the first value of the field Name
	KeyCookie   KeyKind = "cookie"   // the value of the cookie Name
	KeyQuery    KeyKind = "query"    // the first value of the parameter Name
	KeyPath     KeyKind = "path"     // without the query
	KeyListener KeyKind = "listener" // nothing: all requests are alike
)

// Key is what of a request tells it apart from others.
type Key struct {
	Kind KeyKind
	Name string // of header (in lower case), cookie and query
}

// Pools returns the names of the pools that the listener sends to, each once.
func (l *Listener) Pools() []string {
	var names []string
	seen := make(map[string]bool)
	for i := range l.Routes {
		for _, s := range l.Routes[i].Split {
			if !seen[s.Pool] {
				seen[s.Pool] = true
				names = append(names, s.Pool)
			}
		}
	}
	return names
}
