package frontend

import (
	"maps"
	"sync"
)

// counts counts events by name. There are few names, and it is not what a proxy
// spends its time with.
type counts struct {
	mu sync.Mutex
	by map[string]uint64
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[string]uint64)
	}
	c.by[name]++
}

// all returns a copy; nil when nothing was counted.
func (c *counts) all() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}
