// Package balance chooses among the servers of a pool. Each policy is one small
// file; none knows what a server is, only how many there are and which of them
// can be used.
package balance

import (
	"fmt"

	"github.com/tandemlb/tandem/proxy"
)

// A Policy chooses among candidates that keep their number and order as long as
// the policy lives. Multiple goroutines may use a Policy at the same time.
type Policy interface {
	// Pick returns the index of one of n candidates for which usable is true,
	// or -1 when there is none.
	Pick(n int, usable func(i int) bool) int
}

// New returns the policy that b names.
func New(b proxy.Balance) (Policy, error) {
	switch b {
	case proxy.RoundRobin:
		return &RoundRobin{}, nil
	default:
		return nil, fmt.Errorf("unknown balance %q (known: %s)", b, proxy.RoundRobin)
	}
}
