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
	Sandbox   *Sandbox   `json:"workerSandbox,omitempty"` // nil while the worker has not said
	VIPs      []VIP      `json:"vips"`
	Peers     []Peer     `json:"peers"`
	Cluster   string     `json:"cluster,omitempty"` // why the node is not a member
	Listeners []Listener `json:"listeners"`
	// LogDropped counts the lines of the access log that were lost, since the worker
	// started, because the log was not read fast enough.
	LogDropped uint64 `json:"accessLogDropped"`
	Traces     Traces `json:"traces,omitzero"`
	// Panics counts what ended in a panic in the worker, one connection each; each is a
	// bug.
	Panics uint64 `json:"panics"`
	Pools  []Pool `json:"pools"`
	// Servers counts the servers that have a check, Reachable those of them that
	// this node does not hold for dead.
	Servers   int     `json:"servers"`
	Reachable int     `json:"reachable"`
	Tickets   Tickets `json:"sessionTickets"`
	// Timeline is why the events do not survive the process; empty: they do.
	Timeline string `json:"timeline,omitempty"`
	// RuntimeChanges is how the pools differ from the config by what operators said.
	RuntimeChanges []RuntimeChange `json:"runtimeChanges,omitempty"`
	// Notes say what of the pools is not as the config has it.
	Notes    []string `json:"notes,omitempty"`
	Names    []Name   `json:"names,omitempty"` // that DNS is asked for, sorted
	Overload Overload `json:"overload"`
	// Certificates are the files of TLS.
	Certificates Certificates `json:"certificates"`
	Console      *Console     `json:"console,omitempty"` // nil: the node is not asked on TCP
}

// Traces counts spans since the worker started.
type Traces struct {
	Receiver string `json:"receiver"` // URL that they go to; empty: none are recorded
	Sent     uint64 `json:"sent"`
	Dropped  uint64 `json:"dropped"`         // because they could not be sent, or not soon enough
	Error    string `json:"error,omitempty"` // why the newest could not be sent
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
	Slept   *Sleep               `json:"slept,omitempty"` // nil: it was never
}

// Sleep is the newest stall of a node's agent: a time in which it was not run.
type Sleep struct {
	At    time.Time     `json:"at"` // when it ended, by the clock of that node
	For   time.Duration `json:"forNanos"`
	Count uint64        `json:"count"` // how many there were since the agent started
}

// VIP is one virtual router of the node: the addresses of one family of an entry
// of the config.
type VIP struct {
	// Name is that of the entry, with "/4" or "/6" appended when the entry has
	// addresses of both families.
	Name       string         `json:"name"`
	VIP        string         `json:"vip"`    // name of the entry
	Group      string         `json:"group"`  // routers of one group move together
	Family     string         `json:"family"` // ipv4 | ipv6
	Version    uint8          `json:"version"`
	Addresses  []netip.Prefix `json:"addresses"` // those that the node adds and removes
	Interface  string         `json:"interface"`
	VirtualMAC bool           `json:"virtualMac"`
	RouterID   uint8          `json:"routerId"`
	Role       vrrp.Role      `json:"role"`
	Since      time.Time      `json:"since"`
	Reason     string         `json:"reason"`
	Holds      bool           `json:"holds"` // the kernel has the addresses
	Error      string         `json:"error,omitempty"`
	// Due means that it would be Active by itself, and waits for its group.
	Due bool `json:"due"`

	Base         uint8         `json:"basePriority"` // configured
	Priority     uint8         `json:"priority"`     // effective
	Lowered      *Lowered      `json:"lowered,omitempty"`
	Preempt      bool          `json:"preempt"`
	PreemptDelay time.Duration `json:"preemptDelayNanos"` // counts from Since of a Backup
	Tracked      []string      `json:"tracked,omitempty"` // "interface eth1", "gateway 192.0.2.1"
	Lost         []Lost        `json:"lost,omitempty"`    // those of Tracked that are missed now

	Active      netip.Addr    `json:"active,omitzero"` // heard last as the Active router
	ActivePrio  uint8         `json:"activePriority,omitempty"`
	ActiveHeard time.Time     `json:"activeHeard,omitzero"`
	Interval    time.Duration `json:"intervalNanos"`
	// DownInterval is for how long the Active router must be silent for this one
	// to take over.
	DownInterval time.Duration `json:"downIntervalNanos"`
	Speakers     []Speaker     `json:"speakers,omitempty"` // whose advertisements were accepted

	// AddressMismatch: a router advertised other addresses within the last minute.
	AddressMismatch bool          `json:"addressMismatch"`
	Conflict        *AddressClaim `json:"conflict,omitempty"`
	Conflicts       uint64        `json:"conflicts,omitempty"` // claims since the agent started, of conflicts that are over too
	Removals        uint64        `json:"removals"`            // how often someone else removed an address
	Lease           LeaseCounts   `json:"lease"`
	Flapping        int           `json:"flapping,omitempty"` // changes to and from active of late, when they are too many
	// Epoch counts the announcements of the addresses, over both nodes: it is that
	// of this node's newest one, EpochHeard the highest that it was told of.
	Epoch      uint64 `json:"epoch"`
	EpochHeard uint64 `json:"epochHeard"`
	// Activations counts how often it became Active since the node started, by
	// reason.
	Activations map[vrrp.NewActiveReason]uint64 `json:"activations,omitempty"`
	Counters    vrrp.Counters                   `json:"counters"`
}

// LeaseCounts count, since the agent started.
type LeaseCounts struct {
	Renewals      uint64 `json:"renewals"`      // of the lease of the addresses, with the first time that it was taken
	Announcements uint64 `json:"announcements"` // of single addresses
	Errors        uint64 `json:"errors"`        // of either
	Losses        uint64 `json:"losses"`        // changes from Active to another role
}

// Lowered is a loss of priority by what a VIP tracks.
type Lowered struct {
	By     uint8  `json:"by"` // what is left is at least 2
	Reason string `json:"reason"`
}

// Lost is something that is tracked and missed.
type Lost struct {
	What  string    `json:"what"`
	Since time.Time `json:"since,omitzero"` // by the clock of the node that misses it; zero: never seen
}

// Speaker is another router of the same VRID, as its newest advertisement says.
type Speaker struct {
	Address         netip.Addr        `json:"address"`
	Node            string            `json:"node,omitempty"` // empty: none that the config names
	Version         uint8             `json:"version"`
	Priority        uint8             `json:"priority"` // 0: it resigned
	Interval        time.Duration     `json:"intervalNanos"`
	Checksum        vrrp.ChecksumForm `json:"checksum"`
	Heard           time.Time         `json:"heard,omitzero"`
	AddressesDiffer bool              `json:"addressesDiffer"`
}

// AddressClaim is the newest sight of another host that answers for an address
// which this node holds.
type AddressClaim struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"`
	At      time.Time  `json:"at"`
	Count   uint64     `json:"count"` // since the agent started
}

// Peer is another node of the cluster.
type Peer struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"`
	Alive   bool       `json:"alive"`           // by gossip
	Since   time.Time  `json:"since"`           // when Alive last changed
	Error   string     `json:"error,omitempty"` // why it could not be called last
	// Roles, Priorities and VIPs are by the name of the virtual router, as it says.
	Roles      map[string]vrrp.Role `json:"roles,omitempty"`
	Priorities map[string]uint8     `json:"priorities,omitempty"`
	VIPs       map[string]PeerVIP   `json:"vips,omitempty"`
	// Lost is what it misses of what it tracks, by group of VIPs.
	Lost    map[string][]Lost `json:"lost,omitempty"`
	Slept   *Sleep            `json:"slept,omitempty"`
	Fit     bool              `json:"fit"`
	Demoted bool              `json:"demoted"`
	Unfit   string            `json:"unfit,omitempty"`
	Version string            `json:"version,omitempty"`
	Hash    string            `json:"configHash,omitempty"`
	Drift   bool              `json:"drift"` // its config differs from ours
	// Servers counts the servers of its pools, Reachable those that it does not
	// hold for dead.
	Servers   int `json:"servers"`
	Reachable int `json:"reachable"`
	// Verdict names what this node makes of the peer: empty, death, cut or
	// gossip_cut; Explained says it in words.
	Verdict      string    `json:"verdict,omitempty"`
	Explained    string    `json:"explained,omitempty"`
	VerdictSince time.Time `json:"verdictSince,omitzero"`
}

// PeerVIP is what another node says of one of its virtual routers.
type PeerVIP struct {
	Role     vrrp.Role `json:"role"`
	Priority uint8     `json:"priority"`         // effective
	Since    time.Time `json:"since,omitzero"`   // of Role, by its clock; zero: it does not say
	Reason   string    `json:"reason,omitempty"` // of Role
}

// Tickets says which keys the session tickets of TLS are made with.
type Tickets struct {
	Shared bool `json:"shared"` // with the other node
	// Unshared says why the keys are not shared with the other node; empty: they are, or
	// there is none.
	Unshared string      `json:"unshared,omitempty"`
	Keys     []TicketKey `json:"keys"` // the newest first
}

// TicketKey names a key.
type TicketKey struct {
	ID   string    `json:"id"`
	Born time.Time `json:"born"`
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
	// Shed counts the connections that were turned away because the node was out of
	// descriptors.
	Shed uint64 `json:"shed"`
	// Refused counts, by reason, the connections beyond a limit, and what clients and
	// servers sent that was not carried.
	Refused map[string]uint64 `json:"refused,omitempty"`
	TLS     *TLSTraffic       `json:"tls,omitempty"` // nil: it does not terminate TLS
	// In and Out are from and to clients, of UDP only.
	In  Datagrams `json:"in,omitzero"`
	Out Datagrams `json:"out,omitzero"`
}

// TLSTraffic counts the handshakes with clients that were completed, by version. Those
// that failed are in Listener.Refused.
type TLSTraffic struct {
	TLS12 Handshakes `json:"tls12"`
	TLS13 Handshakes `json:"tls13"`
}

// Handshakes counts those that were done in full, and those that resumed a session.
type Handshakes struct {
	Full    uint64 `json:"full"`
	Resumed uint64 `json:"resumed"`
}

// Datagrams are datagrams, and what is in them.
type Datagrams struct {
	Count uint64 `json:"datagrams"`
	Bytes uint64 `json:"bytes"`
}
