package admin

import (
	"net/netip"
	"time"
)

// Pool is one pool with its servers. What it counts, it counts since the worker
// started.
type Pool struct {
	Name    string   `json:"name"`
	Servers []Server `json:"servers"`

	Active int64 `json:"active"`         // requests or connections in progress
	Most   int   `json:"most,omitempty"` // of them; 0: no limit

	Waiting      int64  `json:"waiting"`               // in the queue
	QueueLength  int    `json:"queueLength,omitempty"` // how many may wait; 0: there is no queue
	Queued       uint64 `json:"queued"`
	QueueRefused uint64 `json:"queueRefused"` // the queue was full
	QueueLeft    uint64 `json:"queueLeft"`    // gave up waiting

	Retries        uint64  `json:"retries"`
	RetriesRefused uint64  `json:"retriesRefused"` // the budget was spent
	RetryBudget    float64 `json:"retryBudget"`    // how many retries would be let through now

	Breaker Breaker `json:"breaker,omitzero"`
}

// Breaker is the state of a circuit breaker.
type Breaker struct {
	State    string `json:"state,omitempty"` // empty: there is none; closed | half-open | open
	Requests int    `json:"requests"`        // in its window
	Failed   int    `json:"failed"`          // of them
	Opens    uint64 `json:"opens"`           // how often it has opened
}

// Server is one server of a pool.
type Server struct {
	Name    string         `json:"name"`
	Address netip.AddrPort `json:"address"`
	Host    string         `json:"host,omitempty"` // the name that the address was found under
	Checked bool           `json:"checked"`        // its pool has a check
	Health  string         `json:"health"`         // unknown | up | down
	Since   time.Time      `json:"since"`
	Reason  string         `json:"reason,omitempty"`
	Active  int64          `json:"active"`
	Served  uint64         `json:"served"`
	Failed  uint64         `json:"failed"`
	Share   Share          `json:"share"`
	Ejected Ejection       `json:"ejected,omitzero"`
	Breaker Breaker        `json:"breaker,omitzero"`
}

// Share is what of its pool's work a server may get now.
type Share struct {
	State        string        `json:"state"`          // ready | drain | maint
	Weight       float64       `json:"weight"`         // of now, with the slow start
	Most         int64         `json:"most,omitempty"` // in progress; 0: no limit
	Backup       bool          `json:"backup,omitempty"`
	ResponseTime time.Duration `json:"responseTime,omitempty"` // of late, in nanoseconds; 0: unknown
}

// Ejection says that a server was set aside for how its traffic went.
type Ejection struct {
	Until  time.Time `json:"until,omitzero"` // zero: it is not, now
	Reason string    `json:"reason,omitempty"`
	Count  uint64    `json:"count"`
}

// Name is a name that DNS is asked for.
type Name struct {
	Name      string    `json:"name"`
	Addresses []string  `json:"addresses"`
	At        time.Time `json:"at,omitzero"`     // when the newest good answer came; zero: never
	Error     string    `json:"error,omitempty"` // why the newest question failed
}

// Overload says what the worker has used of what it may.
type Overload struct {
	Reason          string    `json:"reason,omitempty"` // why new work is turned away; empty: it is not
	Since           time.Time `json:"since,omitzero"`
	Count           uint64    `json:"count"` // how often it began
	Descriptors     uint64    `json:"descriptors"`
	DescriptorLimit uint64    `json:"descriptorLimit"`
	Memory          uint64    `json:"memory"`
	MemoryLimit     uint64    `json:"memoryLimit,omitempty"`
}

// Console says who asks the node on TCP.
type Console struct {
	Listen   string `json:"listen"`
	TLS      bool   `json:"tls"`
	ReadOnly bool   `json:"readOnly"` // there is no token: nobody may change anything
	Watchers int    `json:"watchers"` // who follow what happens
	// Refused counts requests and connections, by reason.
	Refused map[string]uint64 `json:"refused,omitempty"`
}
