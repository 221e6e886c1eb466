// Package plan draws schedules of faults. The same seed and length give the same
// schedule, whatever the machine does. It is pure: values in, values out.
package plan

import (
	"fmt"
	"time"
)

// Kind names a way to do harm, or to try to.
type Kind string

// The kinds of faults.
const (
	Kill        Kind = "kill"         // SIGKILL to Part of Node; For is how long the service manager waits then
	Stop        Kind = "stop"         // SIGSTOP to Part of Node, SIGCONT after For
	LinkDown    Kind = "link down"    // Node's link loses its carrier
	LinkSilent  Kind = "link silent"  // Node's link passes nothing, and keeps its carrier
	Loss        Kind = "loss"         // Amount percent of Part are lost between the nodes, both ways
	OneWay      Kind = "one-way cut"  // all of Part that Node sends to its peer is lost
	NetLoss     Kind = "network loss" // Amount percent of all that Node sends and receives are lost
	ServerCrash Kind = "server crash" // nobody listens on server Node, and its connections are reset
	ServerSlow  Kind = "server slow"  // server Node answers nothing that it has read
	Reload      Kind = "reload"       // a good config is taken up by Node
	ReloadBad   Kind = "bad reload"   // Node is told to take up a config that it must refuse
	CPU         Kind = "cpu"          // Amount processes that only compute
	Memory      Kind = "memory"       // the worker of Node may take Amount MiB more, and no more
	Descriptors Kind = "descriptors"  // Part of Node may open Amount descriptors more, and no more
	Malformed   Kind = "malformed"    // packets and requests that are none are sent to everything
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{Kill, Stop, LinkDown, LinkSilent, Loss, OneWay, NetLoss, ServerCrash, ServerSlow, Reload, ReloadBad, CPU,
		Memory, Descriptors, Malformed}
}

// The nodes of the pair.
const (
	LB1 = "lb1"
	LB2 = "lb2"
)

// Parts of a node, as Kill, Stop and Descriptors name them.
const (
	Agent      = "agent"
	Worker     = "worker"
	Supervisor = "supervisor"
	Whole      = "node" // all three
)

// Parts of what the nodes say to each other, as Loss and OneWay name them.
const (
	Heartbeat  = "vrrp"   // VRRP
	Gossip     = "gossip" // gossip and death notices
	Everything = "all"    // both, and ARP
)

// A Fault is one thing that is done.
type Fault struct {
	ID     int // its number in the plan, from 1
	Kind   Kind
	Node   string        // a node, or a server; empty: it is about no host
	Part   string        // of the node, or of what passes
	Amount int           // of the kind's unit
	At     time.Duration // since the beginning
	For    time.Duration // until it is undone; 0: there is nothing to undo
}

// End is when the fault is undone.
func (f Fault) End() time.Duration { return f.At + f.For }

// Harmless reports whether neither a client nor the election may feel the fault.
func (f Fault) Harmless() bool {
	switch f.Kind {
	case Reload, ReloadBad, Malformed:
		return true
	case Loss, OneWay:
		return f.Part == Gossip
	}
	return false
}

// resource is what no two faults hold at the same time.
func (f Fault) resource() string {
	switch f.Kind {
	case Kill, Stop, Reload, ReloadBad, Memory, Descriptors:
		return "processes of " + f.Node
	case LinkDown, LinkSilent:
		return "link of " + f.Node
	case ServerCrash, ServerSlow:
		return "server " + f.Node
	}
	return string(f.Kind)
}

// String describes the fault without its time.
func (f Fault) String() string {
	s := string(f.Kind)
	switch f.Kind {
	case Kill, Stop:
		s += fmt.Sprintf(" %s of %s", f.Part, f.Node)
	case Loss:
		s += fmt.Sprintf(" of %d%% of %s", f.Amount, f.Part)
	case OneWay:
		s += fmt.Sprintf(" of %s from %s", f.Part, f.Node)
	case NetLoss:
		s += fmt.Sprintf(" of %d%% at %s", f.Amount, f.Node)
	case CPU:
		s += fmt.Sprintf(", %d processes", f.Amount)
	case Memory:
		s += fmt.Sprintf(", %d MiB more for the worker of %s", f.Amount, f.Node)
	case Descriptors:
		s += fmt.Sprintf(", %d more for the %s of %s", f.Amount, f.Part, f.Node)
	default:
		if f.Node != "" {
			s += " of " + f.Node
		}
	}
	if f.For > 0 {
		s += ", " + f.For.String()
	}
	return s
}
