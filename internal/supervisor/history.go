package supervisor

import (
	"maps"
	"slices"
	"sync"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// maxEvents bounds the memory of what happened.
const maxEvents = 64

// history remembers what happened on this node, in memory.
type history struct {
	mu     sync.Mutex
	events []admin.Event // oldest first
	// transitions counts the changes to Active of each router, by reason.
	transitions map[string]map[vrrp.NewActiveReason]uint64
}

// add remembers an event. One that merely goes on takes the place of its beginning.
func (h *history) add(e admin.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.events); n > 0 {
		last := h.events[n-1]
		if last.Kind == e.Kind && last.Subject == e.Subject && (e.Kind == admin.RemovalEvent || e.Kind == admin.ConflictEvent) {
			h.events = h.events[:n-1]
		}
	}
	h.events = append(h.events, e)
	if len(h.events) > maxEvents {
		h.events = slices.Delete(h.events, 0, len(h.events)-maxEvents)
	}
}

// all returns the events, in the order of their times.
func (h *history) all() []admin.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append([]admin.Event{}, h.events...)
	slices.SortStableFunc(all, func(a, b admin.Event) int { return a.At.Compare(b.At) })
	return all
}

// became counts a change to Active.
func (h *history) became(router string, why vrrp.NewActiveReason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.transitions == nil {
		h.transitions = map[string]map[vrrp.NewActiveReason]uint64{}
	}
	if h.transitions[router] == nil {
		h.transitions[router] = map[vrrp.NewActiveReason]uint64{}
	}
	h.transitions[router][why]++
}

// activations returns how often a router became Active, by reason.
func (h *history) activations(router string) map[vrrp.NewActiveReason]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.transitions[router])
}
