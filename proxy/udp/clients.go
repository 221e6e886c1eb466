package udp

import (
	"net/netip"
	"sync"
)

// clients counts sessions by client, over all loops. It is asked when a session begins
// and ends, and only if there is a limit.
type clients struct {
	mu   sync.Mutex
	open map[netip.Addr]int
}

// clientOf returns what the sessions of addr are counted by. Whoever has one address of
// IPv6 has a network of them.
func clientOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}

// enter counts a session, unless there are most of its client already.
func (c *clients) enter(addr netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := clientOf(addr)
	if c.open[key] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[netip.Addr]int)
	}
	c.open[key]++
	return true
}

func (c *clients) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := clientOf(addr)
	if c.open[key]--; c.open[key] <= 0 {
		delete(c.open, key)
	}
}
