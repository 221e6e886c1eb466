// Package admin is the node's local API: JSON over HTTP on a unix socket, its
// types, its server and the command line's client.
package admin

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// Status is everything that a node says of itself and of its peer.
type Status struct {
	Node      string     `json:"node,omitempty"` // empty when the config names no nodes
	Version   string     `json:"version"`
	Started   time.Time  `json:"started"`
	Fit       bool       `json:"fit"`
	Demoted   bool       `json:"demoted"`         // fit, but its peer is the better one
	Unfit     string     `json:"unfit,omitempty"` // why it is unfit or demoted
	Config    Config     `json:"config"`
	Agent     *Process   `json:"agent,omitempty"` // nil when there is no VIP
	Worker    Process    `json:"worker"`
	VIPs      []VIP      `json:"vips"`
	Peers     []Peer     `json:"peers"`
	Cluster   string     `json:"cluster,omitempty"` // why the node is not a member
	Listeners []Listener `json:"listeners"`
	Pools     []Pool     `json:"pools"`
}

// Config says which config the node runs.
type Config struct {
	Path   string    `json:"path"`
	Hash   string    `json:"hash"`
	Loaded time.Time `json:"loaded"`
	// Refused is the error of the newest reload, when that was refused.
	Refused string `json:"refused,omitempty"`
}

// Process is one of the node's two children.
type Process struct {
	PID      int    `json:"pid"` // 0 while it is not running
	Restarts uint64 `json:"restarts"`
	Error    string `json:"error,omitempty"` // why it is not running, or ended last
	// The agent's only.
	Realtime     string        `json:"realtime,omitempty"`     // "yes", or why not
	MemoryLocked string        `json:"memoryLocked,omitempty"` // "yes", or why not
	Lateness     time.Duration `json:"latenessNanos,omitempty"`
	// Notice is the newest word about the watch over the process of the peer's
	// agent: whether its death would be noticed at once.
	Notice string `json:"deathNotice,omitempty"`
	// Dropped counts VRRP packets that belong to no VIP of this node.
	Dropped map[vrrp.Drop]uint64 `json:"dropped,omitempty"`
}

// VIP is one virtual router of the node.
type VIP struct {
	Name        string         `json:"name"`
	Addresses   []netip.Prefix `json:"addresses"`
	Interface   string         `json:"interface"`
	RouterID    uint8          `json:"routerId"`
	Role        vrrp.Role      `json:"role"`
	Since       time.Time      `json:"since"`
	Reason      string         `json:"reason"`
	Priority    uint8          `json:"priority"`
	Holds       bool           `json:"holds"` // the kernel has the addresses
	Active      netip.Addr     `json:"active,omitzero"`
	ActivePrio  uint8          `json:"activePriority,omitempty"`
	ActiveHeard time.Time      `json:"activeHeard,omitzero"`
	Interval    time.Duration  `json:"intervalNanos"`
	Error       string         `json:"error,omitempty"`
	Counters    vrrp.Counters  `json:"counters"`
}

// Peer is another node of the cluster.
type Peer struct {
	Name    string               `json:"name"`
	Address netip.Addr           `json:"address"`
	Alive   bool                 `json:"alive"`           // by gossip
	Since   time.Time            `json:"since"`           // when Alive last changed
	Error   string               `json:"error,omitempty"` // why it could not be called last
	Roles   map[string]vrrp.Role `json:"roles,omitempty"`
	Fit     bool                 `json:"fit"`
	Demoted bool                 `json:"demoted"`
	Unfit   string               `json:"unfit,omitempty"`
	Version string               `json:"version,omitempty"`
	Hash    string               `json:"configHash,omitempty"`
	Drift   bool                 `json:"drift"` // its config differs from ours
	// Servers counts the servers of its pools, Reachable those that it does not
	// hold for dead.
	Servers   int `json:"servers"`
	Reachable int `json:"reachable"`
	// Verdict names what this node makes of the peer: empty, death, cut or
	// gossip_cut; Explained says it in words.
	Verdict   string `json:"verdict,omitempty"`
	Explained string `json:"explained,omitempty"`
}

// Listener is one listener with its counters since the worker started.
type Listener struct {
	Name        string   `json:"name"`
	Protocol    string   `json:"protocol"`
	Bind        []string `json:"bind"`
	Pool        string   `json:"pool"`
	Connections int64    `json:"connections"`
	Accepted    uint64   `json:"accepted"`
	Requests    uint64   `json:"requests"`
	Failed      uint64   `json:"failed"`
}

// Pool is one pool with its servers.
type Pool struct {
	Name    string   `json:"name"`
	Servers []Server `json:"servers"`
}

// Server is one server of a pool.
type Server struct {
	Name    string         `json:"name"`
	Address netip.AddrPort `json:"address"`
	Checked bool           `json:"checked"` // its pool has a check
	Health  string         `json:"health"`  // unknown | up | down
	Since   time.Time      `json:"since"`
	Reason  string         `json:"reason,omitempty"`
	Active  int64          `json:"active"`
	Served  uint64         `json:"served"`
	Failed  uint64         `json:"failed"`
}
