package vrrp

import "maps"

// Counters counts what a virtual router sent, heard and refused. It holds the
// statistics of RFC 6527, whose names stand beside them, and more. All count
// from the making of the Router.
type Counters struct {
	Transitions  uint64 // to Active: vrrpv3StatisticsMasterTransitions
	Sent         uint64
	SentZero     uint64 // with priority 0: vrrpv3StatisticsSentPriZeroPackets
	Received     uint64 // accepted: vrrpv3StatisticsRcvdAdvertisements
	ReceivedZero uint64 // accepted, with priority 0: vrrpv3StatisticsRcvdPriZeroPackets
	Stalls       uint64 // times that the Router was not run for so long that it assumed to have lost

	// What was accepted although it is not as configured here.
	AddressMismatch   uint64 // addresses: vrrpv3StatisticsAddressListErrors, with Dropped[DropAddresses]
	IntervalMismatch  uint64 // interval: vrrpv3StatisticsAdvIntervalErrors, with Dropped[DropIntervalMismatch]
	ChecksumVariant   uint64 // form of the checksum, where Params.Checksum fixes ours
	NotLinkLocalFirst uint64 // IPv6: the first address is not link-local, as RFC 9568, section 5.2.9, wants it

	// Dropped counts by reason. The constants of Drop name the objects of RFC
	// 6527 among them.
	Dropped map[Drop]uint64 `json:",omitempty"`
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
