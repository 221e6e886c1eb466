package frontend

import (
	"maps"
	"net/netip"
	"sync"
)

// clientKey is a client whose connections are counted.
type clientKey netip.Addr

// keyOf returns what the connections from addr are counted by. Whoever has one
// address of IPv6 has a network of them.
func keyOf(addr netip.Addr) clientKey {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	return clientKey(addr)
}

// clients counts connections by client. It is used by all loops.
type clients struct {
	mu   sync.Mutex
	open map[clientKey]int
}

// enter counts a connection, unless there are most of its client already.
func (c *clients) enter(key clientKey, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[clientKey]int)
	}
	c.open[key]++
	return true
}

func (c *clients) leave(key clientKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key]--; c.open[key] == 0 {
		delete(c.open, key)
	}
}

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
