package upstream

import (
	"math"
	"sync"
	"time"
)

// A retry budget remembers the requests of about budgetSpan, and lets budgetFloor
// retries through in that time whatever there was.
const (
	budgetSpan  = 10 * time.Second
	budgetFloor = 3
)

// budget bounds retries to a share of the requests, so that a pool that fails as a whole
// is not asked twice as much. It is a purse: requests fill it, retries empty it, and what
// is in it melts away with time.
type budget struct {
	mu       sync.Mutex
	purse    float64
	at       int64 // when purse was true, in ns since the epoch
	requests int64 // that have filled it
	spent    uint64
	refused  uint64
}

func newBudget() *budget { return &budget{purse: budgetFloor} }

// spend takes a retry out of the purse, into which requests, the number of all since
// the beginning, have put share each.
func (b *budget) spend(now int64, requests int64, share float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	age := float64(max(now-b.at, 0)) / float64(budgetSpan)
	b.at = max(b.at, now)
	if b.purse > budgetFloor {
		b.purse = max(budgetFloor, b.purse*math.Exp(-age))
	} else { // the floor comes back in the time in which the rest melts away
		b.purse = min(budgetFloor, b.purse+age*budgetFloor)
	}
	if requests > b.requests { // it falls for a while when a retry is granted that has not begun
		b.purse += share * float64(requests-b.requests) * remaining(age)
		b.requests = requests
	}
	if b.purse < 1 {
		b.refused++
		return false
	}
	b.purse--
	b.spent++
	return true
}

// remaining returns how much is left, of what came in evenly over the last age spans,
// when all of it melts away from the moment that it came. Nobody asks the purse while
// all is well, so that much may have come at once.
func remaining(age float64) float64 {
	if age < 1e-9 {
		return 1
	}
	return -math.Expm1(-age) / age
}

func (b *budget) counts() (spent, refused uint64, purse float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent, b.refused, b.purse
}
