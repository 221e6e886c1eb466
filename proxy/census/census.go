// Package census counts what is open by the client that it belongs to, for limits that
// hold for each. It is pure.
package census

import (
	"net/netip"
	"sync"
)

// Client is what things are counted by.
type Client netip.Addr

// ClientOf returns the client that addr belongs to. Whoever has one address of IPv6 has
// a network of them, so that it is a /64.
func ClientOf(addr netip.Addr) Client {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	return Client(addr)
}

// Census counts by client. The zero value has counted nothing; multiple goroutines may
// use it at the same time.
type Census struct {
	mu   sync.Mutex
	open map[Client]int
}

// Enter counts one more of a client, unless there are most already.
func (c *Census) Enter(client Client, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[Client]int)
	}
	c.open[client]++
	return true
}

// Leave takes an Enter back that has returned true.
func (c *Census) Leave(client Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client]--; c.open[client] == 0 {
		delete(c.open, client)
	}
}
