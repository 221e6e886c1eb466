// Package ipc carries small typed messages, and descriptors, between the three
// processes of a node: supervisor to agent, supervisor to worker, and back.
package ipc

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/vrrp"
)

// ToAgent is a message from the supervisor to the agent; one field is set.
type ToAgent struct {
	Config   *AgentConfig `json:",omitempty"`
	Fitness  *Fitness     `json:",omitempty"`
	Announce *Announce    `json:",omitempty"`
	Facts    *vrrp.Facts  `json:",omitempty"`
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

// Router is one virtual router as the agent runs it: one address family of a
// VIP of the config.
type Router struct {
	// Name is unique: that of the VIP, with "/4" or "/6" appended when the VIP has
	// addresses of both families.
	Name      string
	VIP       string // name of the VIP in the config
	Group     string // routers of one group move together; never empty
	Interface string
	Params    vrrp.Params
	// Prefixes are those of Params.Addresses that this node adds and removes, with
	// their prefix lengths: all but those that are the host's own.
	Prefixes []netip.Prefix
	Lease    time.Duration // kernel lifetime of the addresses, whole seconds
	// OwnedElsewhere: one of the addresses is another node's own. While this node
	// holds it, what that node sends has a source address of this host.
	OwnedElsewhere bool
	VirtualMAC     bool // the addresses live on a macvlan with the virtual router's MAC address
	Track          Track
}

// Track is what a virtual router loses priority without. The agent observes it;
// what follows is for the supervisor to say.
type Track struct {
	Interfaces []string   `json:",omitempty"`
	Gateway    netip.Addr `json:",omitzero"` // asked on the router's interface
}

// Fitness tells the agent whether the node can serve. An unfit node yields its
// addresses at once and takes no part in the election. A demoted one yields too,
// and stands by with the lowest priority, for when nobody better is left.
type Fitness struct {
	Fit     bool
	Demoted bool
	Reason  string // why it is unfit or demoted; else empty
	// Lowered says by how much the priority of a VIP is lowered, and why; by the
	// name of the VIP in the config.
	Lowered map[string]Lowered `json:",omitempty"`
}

// Lowered is a loss of priority.
type Lowered struct {
	By     uint8 // what is left is at least 2
	Reason string
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
	// PeerDied says that the newest word about the peer's process is its death.
	PeerDied bool `json:",omitempty"`
	// Slept is the newest stall of the agent of which it had to assume that its
	// peer had taken over; zero when there was none.
	Slept Sleep `json:",omitzero"`
	// Dropped counts the packets that belong to no virtual router of the node;
	// what a router refuses is in its own counters.
	Dropped map[vrrp.Drop]uint64 `json:",omitempty"`
	// Delays are by how much each turn of the loop was late, since the agent started.
	Delays  stats.Distribution
	Process Process
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
	// Changes are the newest changes of role, oldest first.
	Changes []vrrp.Change `json:",omitempty"`
	// Lost is what the router tracks and misses now.
	Lost []Lost `json:",omitempty"`
	// Conflict is the newest sight of another host that answers for one of the
	// addresses while this node holds it.
	Conflict *Conflict `json:",omitempty"`
	// Removals counts how often someone else removed an address that was held.
	Removals uint64
	Lease    LeaseCounts
	// Flapping counts the changes to and from Active of late, when they are too many.
	Flapping int
}

// LeaseCounts say how often the addresses were set, spoken of, and lost, since the agent
// started.
type LeaseCounts struct {
	Renewals      uint64 // of the lease, with the first time that it was taken
	Announcements uint64 // of single addresses: gratuitous ARP, unsolicited advertisements of a neighbour
	Errors        uint64 // of either
	Losses        uint64 // changes from Active to another role
}

// Lost is something that a router tracks and misses.
type Lost struct {
	What  string // "interface eth1" or "gateway 192.0.2.1"
	Since time.Time
}

// Conflict says that another host has claimed an address.
type Conflict struct {
	Address netip.Addr
	MAC     string
	At      time.Time // when it was seen last
	Count   uint64    // since the agent started
}

// Sleep is a time in which the agent was not run.
type Sleep struct {
	At    time.Time     // when it ended
	For   time.Duration // how long it lasted
	Count uint64        // how many there were since the agent started
}

// LogLine is a log entry of the agent, which itself never writes to a file.
type LogLine struct {
	At      time.Time
	Level   string // of zap
	Message string
	Role    bool           `json:",omitempty"` // it tells of a change of role
	Fields  map[string]any `json:",omitempty"`
}

// ToWorker is a message from the supervisor to the worker; one field is set.
type ToWorker struct {
	Sockets *Sockets      `json:",omitempty"`
	Config  *WorkerConfig `json:",omitempty"`
	Tickets *Tickets      `json:",omitempty"`
	Files   *Files        `json:",omitempty"`
	Drain   *Drain        `json:",omitempty"`
	Ping    *Ping         `json:",omitempty"`
	Scrape  *Scrape       `json:",omitempty"`
	Found   *Found        `json:",omitempty"`
}

// FromWorker is a message from the worker to the supervisor; one field is set.
type FromWorker struct {
	Applied *Applied     `json:",omitempty"`
	Pong    *Ping        `json:",omitempty"`
	State   *WorkerState `json:",omitempty"`
	Counts  *Counts      `json:",omitempty"`
	Lookup  *Lookup      `json:",omitempty"`
}

// Socket names a bound socket by what it belongs to.
type Socket struct {
	Listener string
	Bind     netip.AddrPort
	UDP      bool `json:",omitempty"` // else it is a listening socket of TCP
}

// Sockets hands bound sockets over, one descriptor each, in order. The
// worker keeps them until a WorkerConfig no longer names them; of one that it
// refuses it keeps none that it did not serve before.
type Sockets struct{ List []Socket }

// WorkerConfig replaces what the worker serves. Every bound address of Spec has
// been handed over before.
type WorkerConfig struct {
	Generation uint64
	Spec       proxy.Spec
	LogLevel   string // of zap; empty: info
	Pseudonym  string // names the pair in Via: a token, the same on both nodes
	Node       string // its name, for traces; empty: it has none
	Version    string // of the program, for traces
	// StickyKey is what the cookies that keep clients at their servers are made with,
	// the same on both nodes.
	StickyKey []byte `json:",omitempty"`
	// Files are those that Spec names: the worker may not read private keys itself.
	// FilesKept: they are those of the config in force, and left out here.
	Files     proxy.Files `json:",omitempty"`
	FilesKept bool        `json:",omitempty"`
}

// Tickets replaces the keys that the session tickets of TLS are made with: the first
// makes new ones, all are good for those that clients bring. It comes before the
// first WorkerConfig, unless there are none yet.
type Tickets struct{ Keys [][32]byte }

// Files are changed files of the config in force. Those that it names and that are not
// among them stay as they are.
type Files struct {
	Generation uint64 // of the answer alone: the config stays
	Files      proxy.Files
}

// Applied answers a WorkerConfig, or Files. On an error the worker serves what it
// served before.
type Applied struct {
	Generation uint64
	Error      string
}

// Drain asks the worker to stop accepting, let requests and connections finish
// for at most Within, and exit.
type Drain struct{ Within time.Duration }

// Ping is sent by the supervisor and returned by the worker's main loop.
type Ping struct{ Seq uint64 }

// Scrape asks the worker for what it counts. It answers with its state, and then with
// its Counts.
type Scrape struct{ Seq uint64 }

// Lookup asks the supervisor for the addresses of a host that the config names.
type Lookup struct{ Host string }

// Found answers a Lookup.
type Found struct {
	Host      string
	Addresses []netip.Addr `json:",omitempty"`
	Error     string       `json:",omitempty"`
}

// Counts answers a Scrape.
type Counts struct {
	Seq     uint64
	Stats   stats.Snapshot
	Process Process
}

// Process is what a process uses of its host; see package usage.
type Process struct {
	CPU             time.Duration
	Memory          uint64
	Descriptors     uint64
	DescriptorLimit uint64
	Goroutines      int
}

// WorkerState is what the worker publishes whenever a server's health changes,
// and once a second.
type WorkerState struct {
	Listeners  []ListenerState
	Pools      []PoolState
	Overload   Overload
	LogDropped uint64 // lines of the access log that were lost
	Traces     Traces
	Panics     uint64 // that ended a connection or a callback; each is a bug
	Sandbox    Sandbox
}

// Sandbox is what confines a worker; see package sandbox.
type Sandbox struct {
	UID          int
	Capabilities string `json:",omitempty"`
	Bounding     string `json:",omitempty"`
	NoNewPrivs   bool
	Landlock     int
	Seccomp      bool
	Missing      []string `json:",omitempty"`
}

// Traces counts the spans of traces since the worker started.
type Traces struct {
	Receiver string `json:",omitempty"` // URL that they go to; empty: none are recorded
	Sent     uint64
	Dropped  uint64
	Error    string `json:",omitempty"` // why the newest could not be sent
}

// Overload says what the worker has used of what it may.
type Overload struct {
	Reason          string    `json:",omitempty"` // why new work is turned away; empty: it is not
	Since           time.Time // when Reason last changed
	Count           uint64    // how often it began
	Descriptors     uint64
	DescriptorLimit uint64
	Memory          uint64 // resident, in bytes
	MemoryLimit     uint64 // in bytes; 0: none is known
}

// ListenerState counts what a listener did since the worker started.
type ListenerState struct {
	Name        string
	Connections int64 // open now
	Accepted    uint64
	Requests    uint64 // HTTP only
	Failed      uint64 // connections or requests that no server answered
	Shed        uint64 // connections turned away because the host was out of descriptors
	// Refused counts, by reason, what was not carried.
	Refused map[string]uint64 `json:",omitempty"`
	TLS     proxy.TLSTraffic  `json:",omitzero"`
	In, Out proxy.Datagrams   `json:",omitzero"` // UDP only: from and to clients
}

// PoolState is the state of a pool and of its servers.
type PoolState struct {
	Name    string
	Servers []ServerState

	Active int64 // requests or connections in progress
	Most   int   // of them; 0: no limit

	Waiting      int64 // in the queue
	QueueLength  int   // how many may wait; 0: there is no queue
	Queued       uint64
	QueueRefused uint64 // the queue was full
	QueueLeft    uint64 // gave up waiting

	Retries        uint64
	RetriesRefused uint64  // the budget was spent
	RetryBudget    float64 // how many retries would be let through now

	Breaker Breaker
}

// Breaker is the state of a circuit breaker.
type Breaker struct {
	State    string // empty: there is none; closed | half-open | open
	Requests int    // in its window
	Failed   int    // of them
	Opens    uint64 // how often it has opened
}

// ServerState is the state of one server of a pool.
type ServerState struct {
	Name    string
	Address netip.AddrPort
	Host    string    // HOST:PORT, or SRV name, that the address was found under; empty: in the config
	Checked bool      // its pool has a check
	Health  string    // unknown | up | down
	Since   time.Time // when Health last changed
	Reason  string    // evidence for Health: what the last check or connect said
	Active  int64     // requests (HTTP) or connections (TCP) in progress
	Served  uint64
	Failed  uint64 // connects that failed, responses that broke
	Share   Share
	Ejected Ejection
	Breaker Breaker
}

// Share is what of its pool's work a server may get now.
type Share struct {
	State        string  // ready | drain | maint
	Weight       float64 // of now, with the slow start
	Most         int64   // in progress; 0: no limit
	Backup       bool
	ResponseTime time.Duration // of late; 0: unknown, or nobody asks
}

// Ejection says that a server was set aside for how its traffic went.
type Ejection struct {
	Until  time.Time // zero: it is not, now
	Reason string    // of the newest one
	Count  uint64
}
