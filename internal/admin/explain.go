package admin

import "time"

// Explanation is what a node needs to say why it does, or does not, own its VIPs.
type Explanation struct {
	At     time.Time `json:"at"` // when Status was taken, by the node's clock
	Status Status    `json:"status"`
	// History is what happened lately, oldest first. It begins with the process.
	History []Event `json:"history"`
}

// Kind classes events.
type Kind string

// The kinds of events.
const (
	RoleEvent     Kind = "role"     // of a virtual router
	PriorityEvent Kind = "priority" // of a VIP was lowered, or is not any more
	FitnessEvent  Kind = "fitness"  // of this node
	VerdictEvent  Kind = "verdict"  // on a peer
	GossipEvent   Kind = "gossip"   // a peer came or went
	DriftEvent    Kind = "drift"    // a peer runs another config
	StallEvent    Kind = "stall"    // of this node, or of a peer
	ConflictEvent Kind = "conflict" // another host answers for an address of a virtual router
	RemovalEvent  Kind = "removal"  // someone else removed an address of a virtual router
	AgentEvent    Kind = "agent"    // it started or ended
	WorkerEvent   Kind = "worker"   // it started or ended
	ConfigEvent   Kind = "config"   // a reload was accepted or refused
	ServerEvent   Kind = "server"   // an operator has changed a server at runtime
)

// Event is something that happened.
type Event struct {
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	// Subject names the virtual router, the VIP or the peer; empty: the node itself.
	Subject  string `json:"subject,omitempty"`
	What     string `json:"what"`
	Evidence string `json:"evidence,omitempty"`
}
