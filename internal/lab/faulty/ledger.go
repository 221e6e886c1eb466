package faulty

import (
	"slices"
	"sync"
)

// A Ledger counts the requests that arrived whole at the servers that share it,
// by identity, so that a request that was served twice shows. Its methods may be
// called from several goroutines.
type Ledger struct {
	mu       sync.Mutex
	requests int
	arrivals map[string]int
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{arrivals: make(map[string]int)} }

func (l *Ledger) note(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.arrivals[id]++
}

// Requests returns how many requests arrived.
func (l *Ledger) Requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// Arrivals returns how often the request arrived.
func (l *Ledger) Arrivals(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.arrivals[id]
}

// Repeated returns, in order, the requests that arrived more than once.
func (l *Ledger) Repeated() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, n := range l.arrivals {
		if n > 1 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
