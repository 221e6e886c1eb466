package proxy

import "time"

// Sticky keeps a client at its server by a cookie. HTTP only.
type Sticky struct {
	Cookie string // its name, a token; empty: not sticky
}

// Outlier sets servers aside by how their traffic goes.
type Outlier struct {
	Consecutive int           // failures in a row that eject a server; 0: none does
	Eject       time.Duration // how long the first ejection lasts; the n-th in short order lasts n times that
	// MaxEjected is the greatest share of a pool's servers, in (0, 1], that are ejected
	// at the same time; one may be, however few there are, unless it is the last.
	MaxEjected float64
}

// Breaker stops sending to a server, and to a pool, most of whose answers are
// failures, and tries again after a while with a few requests.
type Breaker struct {
	ErrorRate float64       // in (0, 1]: the share of failures that opens it; 0: there is none
	Window    time.Duration // over which failures are counted
	Minimum   int           // of requests in the window, for a verdict
	Open      time.Duration // until it is tried again
}

// RetryOn names a failure after which a request may be sent again.
type RetryOn string

// The failures that may be retried. Which requests may is another question: see
// package l7.
const (
	RetryConnect RetryOn = "connect" // no connection, so that nothing was sent
	RetryReset   RetryOn = "reset"   // an idle connection turned out to be closed
	RetryEmpty   RetryOn = "empty"   // a new connection ended without an answer
	RetryTimeout RetryOn = "timeout" // no head of an answer in time
	Retry425     RetryOn = "425"
	Retry429     RetryOn = "429"
	Retry502     RetryOn = "502"
	Retry503     RetryOn = "503"
	Retry504     RetryOn = "504"
)

// Retry says how often a request is sent again, and when. HTTP only; on TCP,
// Attempts bounds the connects.
type Retry struct {
	Attempts int       // beyond the first; 0: none
	On       []RetryOn `json:",omitempty"`
	// Budget is the share of the pool's requests in progress that may be retries,
	// in [0, 1]; three always may.
	Budget  float64
	Backoff time.Duration // of the first retry at most, doubled with each further one
}

// ProxyVersion is a version of the PROXY protocol.
type ProxyVersion string

// The versions.
const (
	ProxyNone ProxyVersion = ""
	ProxyV1   ProxyVersion = "v1"
	ProxyV2   ProxyVersion = "v2"
)

// Discover says where the addresses of further servers are found.
type Discover struct {
	// DNS is NAME:PORT, whose A and AAAA records are the addresses, or the NAME of SRV
	// records, _service._proto.name; empty: nowhere.
	DNS string
}

// ServerState is what an operator wants of a server.
type ServerState string

// The states.
const (
	Ready       ServerState = ""      // it gets work if it is healthy
	Drain       ServerState = "drain" // it gets no new work, but from its sticky clients
	Maintenance ServerState = "maint" // it gets no work, and is not checked
)
