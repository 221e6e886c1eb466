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
}

// Protocol says how a listener treats the bytes of a connection.
type Protocol string

// The protocols a listener can speak.
const (
	HTTP Protocol = "http" // HTTP/1.1, balanced request by request
	TCP  Protocol = "tcp"  // bytes, balanced connection by connection
)

// Listener is a set of bound addresses with one protocol and one pool.
type Listener struct {
	Name string
	// Bind lists the addresses to listen on. The unspecified IPv6 address
	// means every address of both families.
	Bind     []netip.AddrPort
	Protocol Protocol
	Pool     string // name of a Pool of the same Spec
	// TrustForwarded lists the networks whose word on whom they forward for is
	// believed: other proxies, whose X-Forwarded-* and Forwarded fields are kept.
	// The prefixes have no host bits. HTTP only.
	TrustForwarded []netip.Prefix
	Limits         ListenerLimits
	Timeouts       ListenerTimeouts
}

// Balance names a way to choose among the servers of a pool.
type Balance string

// RoundRobin takes the servers in turn.
const RoundRobin Balance = "round_robin"

// Pool is a named set of servers that serve the same thing.
type Pool struct {
	Name     string
	Servers  []Server
	Balance  Balance
	Check    Check
	Timeouts PoolTimeouts
	Limits   PoolLimits
}

// Server is one destination of a pool.
type Server struct {
	Name    string // unique in its pool; the address unless the config names it
	Address netip.AddrPort
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
