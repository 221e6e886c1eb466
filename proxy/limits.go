package proxy

import "time"

// MinRateGrace is for how long a body may move more slowly than
// ListenerLimits.MinRate: a connection that starts, and one that recovers from a
// loss, are slow for a while and no attack.
const MinRateGrace = 5 * time.Second

// ListenerLimits bound what clients may take of a node, where a zero means that
// there is no bound.
type ListenerLimits struct {
	Connections          int // open at once, over all clients; of UDP, sessions
	ConnectionsPerClient int // open at once from one address
	Handshakes           int // of TLS, begun in a second

	// The others are of HTTP.

	LineBytes   int   // of a request line; beyond it the answer is 414; of a field, 431
	HeaderBytes int   // of a request's head together with its trailers; 431
	Headers     int   // fields of a request's head, and again of its trailers; 431
	BodyBytes   int64 // of a request's body; 413
	// MinRate is the least number of bytes a second, averaged from the start of a
	// body and judged after MinRateGrace, that a client sends of a request's body
	// while it is waited for, and takes of a response while some is waiting. A
	// deadline that every byte extends can be kept alive for ever, one byte at a
	// time.
	MinRate int64
}

// ListenerTimeouts bound how long clients may take, where a zero means for ever.
type ListenerTimeouts struct {
	// Tunnel is the longest silence of both sides of a TCP connection, and of one
	// that HTTP has upgraded to another protocol.
	Tunnel time.Duration
	// Idle is the time between two requests of a connection of HTTP, and before the
	// first; and the silence that ends a session of UDP.
	Idle time.Duration

	TLSHandshake time.Duration // for a whole handshake, from the accept

	// The others are of HTTP.

	Header    time.Duration // for a whole head, from its first byte
	BodyIdle  time.Duration // between two parts of a request's body
	WriteIdle time.Duration // in which a client takes nothing of a response that waits for it
}

// PoolTimeouts bound how long servers may take, where a zero means for ever.
type PoolTimeouts struct {
	Connect time.Duration // for a connection to be accepted

	// The others are of HTTP.

	Response time.Duration // for the head of the response, from the end of the request
	BodyIdle time.Duration // between two parts of a response's body
	Idle     time.Duration // that a connection is kept without a request
}

// PoolLimits bound what a pool's servers are asked for at the same time.
type PoolLimits struct {
	Connections  int           // requests, or connections of TCP, in progress on one node; 0: no limit
	Queue        int           // how many may wait for one of those to end; 0: none
	QueueTimeout time.Duration // for how long

	// The others are of HTTP, and about connections that are kept for the next request.

	Idle int           // to each server, kept by one node; 0: each request has its own
	Age  time.Duration // since it was opened, beyond which one is not used again; 0: any
}

// Log says what is logged of the traffic.
type Log struct {
	Access bool
	Sample float64 // the share of the requests that are logged, in (0, 1]; 0 without Access
	// RequestID and Tenant name request header fields, in lower case. The first
	// carries a request's identity: it is kept when it comes, else made. The second
	// says for whom the request is; it is logged, and empty means that nothing is.
	RequestID string
	Tenant    string
}
