// Package balance chooses among the servers of a pool. Each policy is one small
// file; none knows what a server is, only what Candidates tell of them.
package balance

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Candidates are the servers to choose among, by their number. They keep their number,
// order and nominal weights as long as the policy lives.
type Candidates interface {
	// Usable reports whether candidate i may be chosen.
	Usable(i int) bool
	// Weight returns the weight of candidate i as of now, in thousandths of a weight of
	// one: less than the nominal one while it starts slowly.
	Weight(i int) int64
	// Load returns how many requests candidate i is busy with.
	Load(i int) int64
	// Time returns how long candidate i takes of late to answer; 0: nobody knows.
	Time(i int) time.Duration
}

// Need says what a choice may depend on beside the candidates.
type Need struct {
	Hash   uint64 // of what the request is told apart by, see Hash
	Random uint64 // fresh for each choice
}

// A Policy chooses among candidates. Multiple goroutines may use a Policy at the same
// time.
type Policy interface {
	// Pick returns the number of a usable candidate, or -1 when there is none.
	Pick(c Candidates, n Need) int
}

// Member is what a policy is made for: one candidate that it will have.
type Member struct {
	ID     string // tells it apart, the same on all nodes
	Weight int    // nominal, 0..1000; 0: never chosen
}

// New returns the policy that b names, for candidates that are members.
func New(b proxy.Balance, members []Member) (Policy, error) {
	switch b {
	case proxy.RoundRobin, "":
		return newRoundRobin(members), nil
	case proxy.LeastConnections:
		return &leastConnections{least{n: len(members)}}, nil
	case proxy.LeastResponseTime:
		return &leastResponseTime{least{n: len(members)}}, nil
	case proxy.ClientIPHash, proxy.ConsistentHash:
		return newRendezvous(members), nil
	case proxy.Random:
		return newRandom(members), nil
	default:
		return nil, fmt.Errorf("unknown balance %q (known: %s, %s, %s, %s, %s, %s)", b, proxy.RoundRobin, proxy.LeastConnections,
			proxy.LeastResponseTime, proxy.ClientIPHash, proxy.ConsistentHash, proxy.Random)
	}
}
