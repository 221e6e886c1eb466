package vrrp

import (
	"errors"
	"fmt"
)

// A Drop says why a received packet was not acted on. Its text is short, lower
// case and fit for a metric label.
type Drop string

// The reasons to drop a packet, with the objects of RFC 6527 that count the same.
const (
	DropIPHeader    Drop = "ip_header"      // not a whole IPv4 packet
	DropProtocol    Drop = "protocol"       // not IP protocol 112
	DropFamily      Drop = "address_family" // not of the virtual router's address family
	DropOwn         Drop = "own_source"     // sent by this node, or by another with its address
	DropUnknownPeer Drop = "unknown_peer"   // from nobody in Params.Peers
	DropTTL         Drop = "ttl"            // did not come straight from this link; vrrpv3StatisticsIpTtlErrors
	DropLength      Drop = "length"         // shorter or longer than it says; vrrpv3StatisticsPacketLengthErrors
	DropVRID        Drop = "vrid"           // of another virtual router; vrrpv3RouterVrIdErrors
	DropVersion     Drop = "version"        // of another version; vrrpv3RouterVersionErrors
	DropType        Drop = "type"           // not an advertisement; vrrpv3StatisticsRcvdInvalidTypePackets
	DropChecksum    Drop = "checksum"       // vrrpv3RouterChecksumErrors
	DropCount       Drop = "count_zero"     // without an address
	DropInterval    Drop = "interval_zero"  // without an interval
)

// The reasons that version 2 has of its own (RFC 3768, section 7.1).
const (
	DropAuth             Drop = "auth_type"         // authenticated
	DropIntervalMismatch Drop = "interval_mismatch" // not our interval; vrrpv3StatisticsAdvIntervalErrors
	DropAddresses        Drop = "addresses"         // not our addresses, and not from their owner; vrrpv3StatisticsAddressListErrors
)

// A DropError is the error of a packet that is dropped.
type DropError struct {
	Reason Drop
	Detail string // what was found, for a log
}

// Error returns the detail.
func (e *DropError) Error() string { return "drop packet: " + e.Detail }

func dropf(reason Drop, format string, args ...any) error {
	return &DropError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// DropOf returns the reason that err carries, or "" when it is not, and does not
// wrap, a *DropError.
func DropOf(err error) Drop {
	if e, ok := errors.AsType[*DropError](err); ok {
		return e.Reason
	}
	return ""
}
