package accesslog

import (
	"net/netip"
	"slices"
	"time"
)

// Entry is what is logged of one request. An optional value is left out of the line
// when it is empty or zero. Texts may hold any bytes: what is not UTF-8 is replaced,
// what would control a terminal escaped, and what is too long cut.
type Entry struct {
	Start    time.Time     // when the first byte of the request came
	Latency  time.Duration // from Start to the last byte of the response
	Listener string
	Route    int // of the listener, counted from 1; 0: none
	Reason   Reason
	Request  Request
	Response Response
	Upstream Upstream
}

// Request is what the client asked.
type Request struct {
	Client        netip.Addr // as far as trusted proxies tell; the zero Addr when nobody knows
	Method        []byte
	Host          []byte
	Path          []byte // the target as it came, with its query
	Bytes         int64  // of the body, as they came
	CorrelationID []byte // optional
	TenantID      []byte // optional
	TraceID       []byte // optional
}

// Response is what the client got.
type Response struct {
	Status int   // 0: none; 499 (RFC 9110 does not know it) where the client left first
	Bytes  int64 // of the body, as they were sent
}

// Upstream is who answered, and how fast.
type Upstream struct {
	Pool      string        // optional
	Server    string        // optional: the last one tried
	Connect   time.Duration // optional: of a connection that was made for the request
	Queued    time.Duration // optional: waited for a server that had no place left
	FirstByte time.Duration // optional: from Start to the first byte of the response
	Retries   int
}

// Failed reports whether e is logged whatever share is: a failure that is rare is
// what a log is read for.
func (e *Entry) Failed() bool { return e.Response.Status >= 500 || e.Reason.Failure() }

// Reason says why a request ended as it did.
type Reason string

// The reasons. A status alone does not tell: a response that breaks off has begun
// with 200.
const (
	OK                  Reason = "ok"                    // the whole response was sent
	ClientAbort         Reason = "client_abort"          // the client closed or reset the connection
	ClientTimeoutHeader Reason = "client_timeout_header" // its head was not complete in time
	ClientTimeoutBody   Reason = "client_timeout_body"   // its body came too slowly, or stopped
	ClientSlowRead      Reason = "client_slow_read"      // it took the response too slowly, or not at all
	ClientError         Reason = "client_error"          // the request was refused: a 4xx of the proxy's own
	Loop                Reason = "loop"                  // the request has been here before
	ServerConnect       Reason = "server_connect"        // no connection to the server
	ServerTimeout       Reason = "server_timeout"        // the response, or a part of it, did not come in time
	ServerReset         Reason = "server_reset"          // the server closed or reset the connection
	ServerBadResponse   Reason = "server_bad_response"   // what came was no valid response
	ServerDrained       Reason = "server_drained"        // the time of the connections to a server that is to go was up
	RouteTimeout        Reason = "route_timeout"         // the time that its route has was up
	NoServer            Reason = "no_server"             // no server of the pool is fit
	QueueFull           Reason = "queue_full"            // all servers of the pool were as busy as they may be, and the queue was
	QueueTimeout        Reason = "queue_timeout"         // it waited for a server for as long as it may
	BreakerOpen         Reason = "breaker_open"          // most requests to the pool, or to its servers, fail
	NoRoute             Reason = "no_route"              // no route matches
	RateLimited         Reason = "rate_limited"          // there were too many of its kind
	Overload            Reason = "overload"              // the node is short of memory or descriptors
	Shutdown            Reason = "shutdown"              // the node stopped before the request was done
	Internal            Reason = "internal"              // a bug in the proxy
)

// Reasons are all of them.
var Reasons = []Reason{
	OK, ClientAbort, ClientTimeoutHeader, ClientTimeoutBody, ClientSlowRead, ClientError, Loop, ServerConnect, ServerTimeout, ServerReset,
	ServerBadResponse, ServerDrained, RouteTimeout, NoServer, QueueFull, QueueTimeout, BreakerOpen, NoRoute, RateLimited, Overload, Shutdown,
	Internal,
}

// Number returns the index of r in Reasons; of none of them, that of Internal.
func (r Reason) Number() int {
	if i := slices.Index(Reasons, r); i >= 0 {
		return i
	}
	return slices.Index(Reasons, Internal)
}

// Failure reports whether a request with this reason was not served though the
// client did its part.
func (r Reason) Failure() bool {
	switch r {
	case Loop, ServerConnect, ServerTimeout, ServerReset, ServerBadResponse, ServerDrained, RouteTimeout,
		NoServer, QueueFull, QueueTimeout, BreakerOpen, Overload, Shutdown, Internal:
		return true
	}
	return false
}
