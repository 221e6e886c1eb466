// Package judge finds out, from what was seen from outside of a pair of nodes,
// whether it kept its promises. It is pure: observations go in by time, and
// violations come out, each with its evidence.
package judge

import "time"

// The nodes are 0, the preferred one, and 1. Nobody stands for neither.
const Nobody = -1

// What says what an event is.
type What string

// What is seen, and what is done.
const (
	Sample    What = "sample"    // Holds: whose kernel has the address
	Neighbour What = "neighbour" // Node is whom the third host's kernel takes for the owner, or Nobody
	Answer    What = "answer"    // Node answered an ARP request for the address
	Announce  What = "announce"  // Node sent a gratuitous ARP packet for the address
	Advert    What = "advert"    // Node sent an advertisement
	State     What = "state"     // Status: what Node says of itself
	Outcome   What = "outcome"   // of a request of a client, at its end: Text is its class, Span its length, Reason why it failed
	Late      What = "late"      // Span: Text, see below, was that late
	Check     What = "check"     // Text was to be so of Node, of the invariant Reason, in the last Span, and was if OK

	Down    What = "down"    // Part of Node is about to be killed or stopped; OK: it leaves orphans behind
	Up      What = "up"      // Part of Node runs again
	LinkOff What = "linkoff" // Node is about to be cut off
	LinkOn  What = "linkon"  // it is not any more
	Bad     What = "bad"     // Part of what the nodes say to each other is about to get lost
	Good    What = "good"    // it is not any more
	Begin   What = "begin"   // fault N, Text, is about to begin; OK: it is harmless
	End     What = "end"     // it is undone
)

// Parts of a node, as Down and Up name them.
const (
	Agent      = "agent"
	Worker     = "worker"
	Supervisor = "supervisor"
)

// Parts of what the nodes say, as Bad and Good name them.
const (
	Heartbeat = "vrrp"
	Gossip    = "gossip"
)

// Whose lateness Late tells.
const (
	Harness = "harness" // the sampler, which is scheduled in real time, as the agents are
	Lock    = "lock"    // the kernel's lock of network configuration, as this machine shares it
	// Ordinary is a process that is not scheduled in real time, as workers and clients
	// are not: its timers, or a request of it that no node stands before.
	Ordinary = "ordinary"
)

// An Event is something seen or done. Which fields count depends on What.
type Event struct {
	At     time.Duration // since the beginning
	What   What
	Node   int
	Part   string
	Text   string
	Reason string
	OK     bool
	N      int
	Span   time.Duration
	Holds  [2]bool
	Status Status
}

// Status is what a node said of itself. It was asked at the event's time.
type Status struct {
	Ready     bool // it is fit and takes part in the election
	Role      string
	Priority  int
	ServersUp bool // all of them
	Panics    uint64
}

// A Violation is a broken promise.
type Violation struct {
	At        time.Duration
	Invariant string // I1 .. I7, or "calm" for what must not happen when nothing is wrong
	What      string
	Evidence  string
}

// Bounds are what was promised.
type Bounds struct {
	Interval time.Duration // of advertisements
	Priority [2]int        // as configured
	Lease    time.Duration
	// Expiry is by how much later than the lease the kernel may find out: it looks
	// for addresses that have expired once a second at most.
	Expiry time.Duration
	// Takeover is what a takeover may take beside the down interval.
	Takeover time.Duration
	// Heal is how long the network may go on to believe what is not so any more,
	// once nothing is wrong: the down interval, and the announcements that follow
	// the first within half a second.
	Heal time.Duration
	// Settle is for how long nothing must have been wrong for a failure not to be
	// a consequence.
	Settle time.Duration
	// Orphan is how long a worker serves the connections that it has when its
	// supervisor has been killed: they may end as late as that.
	Orphan time.Duration
	// Announcements and Adverts are how many frames a node may send in a second.
	Announcements, Adverts int
}

// Promised returns the bounds for a pair with one IPv4 address.
func Promised(interval, lease time.Duration) Bounds {
	b := Bounds{
		Interval: interval, Priority: [2]int{200, 150}, Lease: lease, Expiry: 1250 * time.Millisecond,
		Takeover: 50 * time.Millisecond, Settle: 2 * time.Second, Orphan: 10 * time.Second, Announcements: 40,
	}
	b.Heal = b.DownInterval(1) + time.Second
	b.Adverts = 4*int(time.Second/interval) + 20
	return b
}

// DownInterval is how long a node of the priority waits for the Active one.
func (b Bounds) DownInterval(priority int) time.Duration {
	return 3*b.Interval + b.Interval*time.Duration(256-priority)/256
}
