// Package proxy describes what a node serves: listeners, and the pools of
// servers behind them. The values here are plain data, shared by the config
// that produces them and the worker that runs them; nothing in this package
// opens a socket or starts a goroutine.
package proxy

import (
	"net/netip"
	"time"
)

// Spec is everything the data plane serves. It is immutable once published.
type Spec struct {
	Listeners []Listener
	Pools     []Pool
	Log       Log
	Tracing   Tracing
}

// Protocol says how a listener treats the bytes of a connection.
type Protocol string

// The protocols a listener can speak.
const (
	HTTP Protocol = "http" // HTTP/1.1, balanced request by request
	TCP  Protocol = "tcp"  // bytes, balanced connection by connection
	UDP  Protocol = "udp"  // datagrams, balanced client by client
)

// Listener is a set of bound addresses with one protocol.
type Listener struct {
	Name string
	// Bind lists the addresses to listen on. The unspecified IPv6 address
	// means every address of both families.
	Bind     []netip.AddrPort
	Protocol Protocol
	// Routes say what becomes of a request; the first that matches does. UDP has one,
	// and so has TCP unless Passthrough is set.
	Routes []Route
	// Passthrough: the connections are TLS, which is not decrypted, and routed by the
	// name that the client asks for. TCP only.
	Passthrough bool
	TLS         *ListenerTLS `json:",omitempty"` // nil: it is not terminated here. HTTP and TCP
	// ProxyProtocol lists the networks whose connections begin with a header of the
	// PROXY protocol, which says who the client is. Not UDP.
	ProxyProtocol []netip.Prefix
	// TrustForwarded lists the networks whose word on whom they forward for is
	// believed: other proxies, whose X-Forwarded-* and Forwarded fields are kept.
	// The prefixes have no host bits. HTTP only.
	TrustForwarded []netip.Prefix
	Limits         ListenerLimits
	Timeouts       ListenerTimeouts
}

// Balance names a way to choose among the servers of a pool.
type Balance string

// The ways to choose.
const (
	RoundRobin        Balance = "round_robin"         // in turn, smoothly by weight
	LeastConnections  Balance = "least_connections"   // the fewest in progress, by weight
	LeastResponseTime Balance = "least_response_time" // the quickest of late (peak EWMA), by what is in progress
	ClientIPHash      Balance = "client_ip_hash"      // consistent_hash on the address of the client
	ConsistentHash    Balance = "consistent_hash"     // by HashOn
	Random            Balance = "random"              // the less busy of two
)

// Pool is a named set of servers that serve the same thing.
type Pool struct {
	Name     string
	Servers  []Server
	Discover Discover
	TLS      *PoolTLS `json:",omitempty"` // nil: the servers are spoken to in plain
	Balance  Balance
	HashOn   Key // of ConsistentHash
	Sticky   Sticky
	Check    Check
	Outlier  Outlier
	Breaker  Breaker
	Retry    Retry
	Timeouts PoolTimeouts
	Limits   PoolLimits
	// SlowStart is how long a server that comes up takes to get its whole share.
	SlowStart time.Duration
	// Drain is how long connections to a server that is drained, or gone from the pool,
	// may last; 0: for ever.
	Drain     time.Duration
	SendProxy ProxyVersion // a header of the PROXY protocol begins each connection
}

// Server is one destination of a pool.
type Server struct {
	Name    string // unique in its pool; the address unless the config names it
	Address netip.AddrPort
	// Host is the HOST:PORT that Address was, or is to be, found under. Without an
	// Address the server is not there yet. Empty: the config has the address.
	Host           string
	Weight         int  // 0..1000: its share; 0: no work but by stickiness
	MaxConnections int  // in progress at the same time on one node; 0: no limit
	Backup         bool // it gets work when no other server can be used
	State          ServerState
}

// CheckKind says how a server's health is probed.
type CheckKind string

// The kinds of health check.
const (
	CheckNone CheckKind = ""     // judged by the traffic alone
	CheckTCP  CheckKind = "tcp"  // a connection is accepted
	CheckHTTP CheckKind = "http" // a request is answered with an expected status
)

// Check says how the servers of a pool are probed.
type Check struct {
	Kind    CheckKind
	Method  string        // HTTP only
	Path    string        // HTTP only
	Expect  StatusRange   // HTTP only
	Every   time.Duration // between the starts of two probes of a server, before jitter
	Timeout time.Duration // of one probe
	Rise    int           // successes in a row that make a server healthy
	Fall    int           // failures in a row that make it unhealthy
}

// StatusRange is an inclusive range of HTTP status codes.
type StatusRange struct{ Low, High int }

// Contains reports whether code lies in the range.
func (r StatusRange) Contains(code int) bool { return r.Low <= code && code <= r.High }
