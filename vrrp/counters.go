package vrrp

import "maps"

// Counters counts what a virtual router sent, heard and refused, after the
// statistics of RFC 6527.
type Counters struct {
	Transitions      uint64 // to Active
	Sent             uint64
	SentZero         uint64          // with priority 0
	Received         uint64          // accepted
	ReceivedZero     uint64          // accepted, with priority 0
	AddressMismatch  uint64          // accepted although the address list differs from ours
	IntervalMismatch uint64          // accepted although the interval differs from ours
	Dropped          map[Drop]uint64 `json:",omitempty"`
}

func (c Counters) clone() Counters {
	c.Dropped = maps.Clone(c.Dropped)
	return c
}

func (c *Counters) drop(d Drop) {
	if c.Dropped == nil {
		c.Dropped = make(map[Drop]uint64)
	}
	c.Dropped[d]++
}
