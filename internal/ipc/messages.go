// Package ipc carries small typed messages, and descriptors, between the three
// processes of a node: supervisor to agent, supervisor to worker, and back.
package ipc

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

// ToAgent is a message from the supervisor to the agent; one field is set.
type ToAgent struct {
	Config   *AgentConfig `json:",omitempty"`
	Fitness  *Fitness     `json:",omitempty"`
	Announce *Announce    `json:",omitempty"`
	Leave    *Leave       `json:",omitempty"`
}

// FromAgent is a message from the agent to the supervisor; one field is set.
type FromAgent struct {
	State *AgentState `json:",omitempty"`
	Log   *LogLine    `json:",omitempty"`
}

// AgentConfig replaces the set of virtual routers that the agent runs. A router
// that is equal in the old set and the new keeps its state.
type AgentConfig struct {
	Routers []Router
	Notice  *Notice `json:",omitempty"` // nil without a peer
}

// Notice configures the watch that the two agents keep over each other's
// processes. It cannot be changed while the agent runs.
type Notice struct {
	Node       string
	Self, Peer netip.AddrPort
	Key        []byte // of the cluster; empty: nobody is authenticated
}

// Router is one virtual router as the agent runs it.
type Router struct {
	Name      string // of the VIP in the config
	Interface string
	Params    vrrp.Params
	Prefixes  []netip.Prefix // Params.Addresses with their prefix lengths
	Lease     time.Duration  // kernel lifetime of the addresses, whole seconds
}

// Fitness tells the agent whether the node can serve. An unfit node yields its
// addresses at once and takes no part in the election. A demoted one yields too,
// and stands by with the lowest priority, for when nobody better is left.
type Fitness struct {
	Fit     bool
	Demoted bool
	Reason  string // why it is unfit or demoted; else empty
}

// Announce tells the agent that another node announced the addresses in epoch
// Above. The owner announces them once more, in a later one; who does not own
// them remembers, and begins above it.
type Announce struct {
	Router string
	Above  uint64
}

// Leave asks the agent to hand its addresses over and exit.
type Leave struct{}

// AgentState is what the agent publishes whenever it changes, and once a second.
type AgentState struct {
	Routers  []RouterState
	Realtime string        // empty when the agent runs under SCHED_RR, else why not
	Locked   string        // empty when its memory is locked, else why not
	Lateness time.Duration // greatest lateness of the loop since the last report
	Notice   string        // newest word about the watch over the peer's process
	// Dropped counts the packets that belong to no virtual router of the node;
	// what a router refuses is in its own counters.
	Dropped map[vrrp.Drop]uint64 `json:",omitempty"`
}

// RouterState is the state of one virtual router.
type RouterState struct {
	Name   string
	Status vrrp.Status
	Holds  bool // the addresses are in the kernel, as far as the agent knows
	// Epoch counts the announcements of the addresses, over all nodes that know
	// of each other: it is that of this node's newest one, and Heard the highest
	// that it was told of another's.
	Epoch, Heard uint64
	Error        string // why the node cannot take part or cannot hold the addresses
}

// LogLine is a log entry of the agent, which itself never writes to a file.
type LogLine struct {
	Level   string // of zap
	Message string
	Fields  map[string]any `json:",omitempty"`
}

// ToWorker is a message from the supervisor to the worker; one field is set.
type ToWorker struct {
	Sockets *Sockets      `json:",omitempty"`
	Config  *WorkerConfig `json:",omitempty"`
	Drain   *Drain        `json:",omitempty"`
	Ping    *Ping         `json:",omitempty"`
}

// FromWorker is a message from the worker to the supervisor; one field is set.
type FromWorker struct {
	Applied *Applied     `json:",omitempty"`
	Pong    *Ping        `json:",omitempty"`
	State   *WorkerState `json:",omitempty"`
}

// Socket names a listening socket by what it belongs to.
type Socket struct {
	Listener string
	Bind     netip.AddrPort
}

// Sockets hands listening sockets over, one descriptor each, in order. The
// worker keeps them until a WorkerConfig no longer names them; of one that it
// refuses it keeps none that it did not serve before.
type Sockets struct{ List []Socket }

// WorkerConfig replaces what the worker serves. Every bound address of Spec has
// been handed over before.
type WorkerConfig struct {
	Generation uint64
	Spec       proxy.Spec
	LogLevel   string // of zap; empty: info
}

// Applied answers a WorkerConfig. On an error the worker serves what it served
// before.
type Applied struct {
	Generation uint64
	Error      string
}

// Drain asks the worker to stop accepting, let requests and connections finish
// for at most Within, and exit.
type Drain struct{ Within time.Duration }

// Ping is sent by the supervisor and returned by the worker's main loop.
type Ping struct{ Seq uint64 }

// WorkerState is what the worker publishes whenever a server's health changes,
// and once a second.
type WorkerState struct {
	Listeners []ListenerState
	Pools     []PoolState
}

// ListenerState counts what a listener did since the worker started.
type ListenerState struct {
	Name        string
	Connections int64 // open now
	Accepted    uint64
	Requests    uint64 // HTTP only
	Failed      uint64 // connections or requests that no server answered
	Panics      uint64 // handlers that ended in a panic; each is a bug
}

// PoolState is the state of a pool's servers.
type PoolState struct {
	Name    string
	Servers []ServerState
}

// ServerState is the state of one server of a pool.
type ServerState struct {
	Name    string
	Address netip.AddrPort
	Checked bool      // its pool has a check
	Health  string    // unknown | up | down
	Since   time.Time // when Health last changed
	Reason  string    // evidence for Health: what the last check or connect said
	Active  int64     // requests (HTTP) or connections (TCP) in progress
	Served  uint64
	Failed  uint64 // connects that failed, responses that broke
}
