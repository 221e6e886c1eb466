// Package forward decides what a request that is passed on says about where it
// came from: X-Forwarded-*, X-Real-IP and Forwarded (RFC 7239), Via (RFC 9110,
// section 7.6.3), and the identity of the request. It is pure.
//
// What others say about the client is believed only from peers that the Policy
// trusts. Anybody else's is dropped, and an address that a client made up reaches
// neither the server nor the log. What is said of a certificate of the client
// (RFC 9440) is believed from nobody: the connection itself knows.
package forward

import "net/netip"

// Policy is what holds for the requests of a listener. It is not modified once in
// use; multiple goroutines may use it at the same time.
type Policy struct {
	Trusted []netip.Prefix // whose word is believed; without host bits
	// Pseudonym names this proxy in Via, and is how a request that comes again is
	// known: both nodes of a pair have the same one. It is a token (RFC 9110, section
	// 5.6.2). A request that passes two listeners on purpose needs another one in each.
	Pseudonym string
	RequestID string // name of the field with the identity of a request, in lower case; empty: it is not passed on
}

// Trusts reports whether what addr says about others is believed.
func (p *Policy) Trusts(addr netip.Addr) bool {
	for _, network := range p.Trusted {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// Arrival is how a request came to this proxy.
type Arrival struct {
	Peer netip.Addr // of the connection; the zero Addr when it has none, as on a unix socket
	Port uint16     // the request was sent to
	TLS  bool
	// Minor is that of the request's HTTP version, 1.Minor.
	Minor uint8
	Host  []byte // the request's own, checked; empty in HTTP/1.0 without one
}

// maxHops bounds how much of a list is looked at and passed on, from its end. No
// honest request passes that many proxies.
const maxHops = 32

// Request is what is known of where one request came from. The zero value is ready
// for Begin, and one Request serves any number of requests in turn without
// allocating for most of them.
//
// It keeps the slices it is given until the next Begin: their bytes must stay.
type Request struct {
	policy  *Policy
	arrival Arrival
	trusted bool // the peer

	// lines are the values of the fields that were taken, by what they are.
	lines [fields][][]byte

	hops   []hop // before the peer, nearest first; empty unless trusted
	near   int   // index of the client among the hops; -1 for the peer
	client netip.Addr
	proto  string
	host   []byte
	port   uint16

	id      []byte
	made    [idLength]byte // backs id when it is made here
	repeats bool
}

// Begin starts a request that came by a under p.
func (r *Request) Begin(p *Policy, a Arrival) {
	a.Peer = a.Peer.Unmap().WithZone("")
	r.policy, r.arrival, r.trusted = p, a, p.Trusts(a.Peer)
	for i := range r.lines {
		clear(r.lines[i])
		r.lines[i] = r.lines[i][:0]
	}
	clear(r.hops)
	r.hops, r.near, r.id, r.repeats = r.hops[:0], -1, nil, false
}

// Take looks at a field of the request, in the order in which they came. It reports
// whether the field must not be passed on: Append writes it anew, or nobody who
// matters has said it.
func (r *Request) Take(name, value []byte) (drop bool) {
	switch f, exact := r.classify(name); {
	case f == none:
		return false
	case f == alike:
		return !r.trusted || !exact
	case !exact || f == realIP || f == visitor:
		return true
	case f == via:
		r.lines[f] = append(r.lines[f], value)
		return false // RFC 9110, section 7.6.3: others' entries stay
	case f == requestID || r.trusted:
		r.lines[f] = append(r.lines[f], value)
	}
	return true
}

// Finish decides, when all fields have been taken. A new identity is drawn from ids
// where the request has none that can be kept.
func (r *Request) Finish(ids *IDs) {
	r.client, r.host, r.port, r.proto = r.arrival.Peer, r.arrival.Host, r.arrival.Port, "http"
	if r.arrival.TLS {
		r.proto = "https"
	}
	if r.trusted {
		r.believe()
	}
	if !validHost(r.host) {
		r.host = nil
	}
	r.repeats = names(r.lines[via], r.policy.Pseudonym)
	r.identify(ids)
}

// Client returns the address of the client: that of the peer, or what trusted
// peers say. It is the zero Addr when nobody knows.
func (r *Request) Client() netip.Addr { return r.client }

// Trusted reports whether what the peer says about others is believed.
func (r *Request) Trusted() bool { return r.trusted }

// HTTPS reports whether the client spoke TLS, to this proxy or to a trusted one.
func (r *Request) HTTPS() bool { return r.proto == "https" }

// ID returns the identity of the request, of 1 to 128 printable characters. It is
// valid until the next Begin.
func (r *Request) ID() []byte { return r.id }

// Loops reports whether the request has been here before, and must not be passed
// on: its answer is 508.
func (r *Request) Loops() bool { return r.repeats }

// believe takes over what the trusted peer says of those before it.
//
// A peer that says it twice says it in X-Forwarded-For: many proxies add that and
// pass a Forwarded on as the client has made it up, while hardly one does the
// reverse.
func (r *Request) believe() {
	var told hop // what Forwarded says of the client's request
	if len(r.lines[forwardedFor]) > 0 {
		r.walk(r.lines[forwardedFor], parseNode)
	} else if r.walk(r.lines[forwarded], parseElement); r.near >= 0 {
		told = r.hops[r.near]
	}

	// The last of a list is what the peer itself has said.
	proto := told.proto
	if proto == "" {
		proto = scheme(last(r.lines[forwardedProto]))
	}
	host := told.host
	if h := last(r.lines[forwardedHost]); host == nil && validHost(h) {
		host = h
	}
	port, ok := number(last(r.lines[forwardedPort]))
	switch {
	case ok:
	case portOf(host) != 0:
		port = portOf(host)
	case proto == "https":
		port = 443
	case proto == "http":
		port = 80
	default:
		port = r.arrival.Port
	}
	if proto != "" {
		r.proto = proto
	}
	if host != nil {
		r.host = host
	}
	r.port = port
}

// walk follows the list in lines from its end, as far as it can be read. The client
// is the first hop that is not trusted, or else the last that is known.
func (r *Request) walk(lines [][]byte, parse func([]byte) (hop, bool)) {
	found := false
	for element := range backwards(lines) {
		h, ok := parse(element)
		if !ok || len(r.hops) == maxHops {
			return
		}
		r.hops = append(r.hops, h)
		if found = found || !h.addr.IsValid(); found {
			continue // nobody vouches for what a hidden or untrusted one says
		}
		r.client, r.near = h.addr, len(r.hops)-1
		found = !r.policy.Trusts(h.addr)
	}
}
