package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// Known names a field that a proxy may have to do with. Unknown is any other.
type Known uint8

// The known fields.
const (
	Unknown Known = iota
	Host
	Connection
	ContentLength
	TransferEncoding
	Expect
	Upgrade
	TE
	Trailer
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	HTTP2Settings
	Authorization
	ContentType
	ContentEncoding
	ContentRange
	Cookie
	SetCookie
	Forwarded
	XForwardedFor
	XForwardedHost
	XForwardedProto
	XForwardedPort
	XForwardedOther // any other that begins with X-Forwarded-
	XRealIP
	XRequestID
	Traceparent
	Tracestate
	Via
	MaxForwards
	CacheControl
	Range
	Date
	Server
	Location
	IdempotencyKey
	RetryAfter
	EarlyData
	AcceptEncoding
	Vary
	ClientCert
	ClientCertChain
	XClientCertSubject
	XClientCertFingerprint
	XClientVerified
	knownFields // how many
)

// names holds the known names in lower case.
var names = [knownFields]string{
	Host: "host", Connection: "connection", ContentLength: "content-length", TransferEncoding: "transfer-encoding",
	Expect: "expect", Upgrade: "upgrade", TE: "te", Trailer: "trailer", KeepAlive: "keep-alive",
	ProxyConnection: "proxy-connection", ProxyAuthenticate: "proxy-authenticate",
	ProxyAuthorization: "proxy-authorization", HTTP2Settings: "http2-settings", Authorization: "authorization",
	ContentType: "content-type", ContentEncoding: "content-encoding", ContentRange: "content-range",
	Cookie: "cookie", SetCookie: "set-cookie", Forwarded: "forwarded", XForwardedFor: "x-forwarded-for",
	XForwardedHost: "x-forwarded-host", XForwardedProto: "x-forwarded-proto", XForwardedPort: "x-forwarded-port",
	XRealIP: "x-real-ip", XRequestID: "x-request-id", Traceparent: "traceparent", Tracestate: "tracestate",
	Via: "via", MaxForwards: "max-forwards", CacheControl: "cache-control", Range: "range", Date: "date",
	Server: "server", Location: "location", IdempotencyKey: "idempotency-key", RetryAfter: "retry-after",
	EarlyData: "early-data", AcceptEncoding: "accept-encoding", Vary: "vary",
	ClientCert: "client-cert", ClientCertChain: "client-cert-chain", XClientCertSubject: "x-client-cert-subject",
	XClientCertFingerprint: "x-client-cert-fingerprint", XClientVerified: "x-client-verified",
}

const xForwarded = "x-forwarded-"

// slots finds a known field by the slot of its name. No two share one.
var slots = fillSlots()

func fillSlots() (t [128]Known) {
	for k, name := range names {
		if name != "" {
			t[slot(name)] = Known(k)
		}
	}
	return t
}

// slot is a hash that was searched for to be perfect for names.
func slot[T string | []byte](name T) int {
	n := len(name)
	return (n + 44*int(name[0]|0x20) + 88*int(name[max(n-2, 0)]|0x20)) & 127
}

// KnownName returns which field name is, in any case. A name that holds control
// characters, which no message has, may be taken for another.
func KnownName[T string | []byte](name T) Known {
	if len(name) == 0 {
		return Unknown
	}
	if k := slots[slot(name)]; k != Unknown && syntax.Fold(name, names[k]) {
		return k
	}
	if len(name) > len(xForwarded) && syntax.Fold(name[:len(xForwarded)], xForwarded) {
		return XForwardedOther
	}
	return Unknown
}

// knownAlias returns which known field name is for a server that cannot tell an
// underscore from a dash, like those behind CGI, WSGI and their like.
func knownAlias[T string | []byte](name T) Known {
	var dashed [32]byte
	// Whatever is longer than all known names is known by its beginning, if at all.
	n := copy(dashed[:], name)
	for i, c := range dashed[:n] {
		if c == '_' {
			dashed[i] = '-'
		}
	}
	return KnownName(dashed[:n])
}

// String returns the name in lower case; "" for Unknown.
func (k Known) String() string {
	switch {
	case k == XForwardedOther:
		return xForwarded + "*"
	case k < knownFields:
		return names[k]
	}
	return ""
}

// Set is a set of known fields.
type Set uint64

// SetOf returns the set of fields.
func SetOf(fields ...Known) Set {
	var s Set
	for _, k := range fields {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in s.
func (s Set) Has(k Known) bool { return s>>k&1 != 0 }

const (
	// hopByHop fields concern one connection and are never forwarded (RFC 9110,
	// section 7.6.1). HTTP2-Settings goes with an upgrade that is not offered.
	hopByHop Set = 1<<Connection | 1<<ProxyConnection | 1<<KeepAlive | 1<<TE | 1<<Trailer | 1<<TransferEncoding |
		1<<Upgrade | 1<<ProxyAuthenticate | 1<<ProxyAuthorization | 1<<HTTP2Settings

	// protected fields are forwarded even if Connection lists them. Otherwise a
	// client could take away what another proxy had said about it.
	protected Set = 1<<Host | 1<<ContentLength | 1<<Authorization | forwarding | 1<<XRequestID | 1<<Cookie |
		1<<SetCookie | 1<<Expect | 1<<Via | 1<<Traceparent | 1<<Tracestate | 1<<EarlyData | 1<<MaxForwards

	forwarding Set = 1<<Forwarded | 1<<XForwardedFor | 1<<XForwardedHost | 1<<XForwardedProto | 1<<XForwardedPort |
		1<<XForwardedOther | 1<<XRealIP

	// certificate fields say who a client is by its certificate (RFC 9440).
	certificate Set = 1<<ClientCert | 1<<ClientCertChain | 1<<XClientCertSubject | 1<<XClientCertFingerprint | 1<<XClientVerified

	// single fields may stand only once in a request.
	single Set = 1<<Host | 1<<ContentLength | 1<<TransferEncoding | 1<<ContentType | 1<<Authorization

	// rebuilt fields are ours to write, from what was understood.
	rebuilt Set = 1<<Host | 1<<ContentLength | hopByHop

	// notInTrailers are fields that frame, route, authenticate or describe the
	// body: too late behind it, and a way around every check of the head (RFC
	// 9110, section 6.5.1).
	notInTrailers Set = rebuilt | forwarding | certificate | 1<<Authorization | 1<<ContentType | 1<<ContentEncoding |
		1<<ContentRange | 1<<Cookie | 1<<SetCookie | 1<<Expect | 1<<MaxForwards | 1<<CacheControl | 1<<Range |
		1<<Via | 1<<XRequestID | 1<<Traceparent | 1<<Tracestate | 1<<IdempotencyKey | 1<<RetryAfter |
		1<<EarlyData | 1<<AcceptEncoding | 1<<Vary | 1<<Location | 1<<Date
)

// Certificate is the set of fields in which who ends TLS says who the client is. It is
// the only one that knows.
const Certificate = certificate

// Forwarding is the set of fields in which proxies say whom they act for:
// Forwarded, X-Real-IP and all of X-Forwarded-*. A client that is not trusted must
// not bring its own.
const Forwarding = forwarding
