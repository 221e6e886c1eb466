package vrrp

import (
	"errors"
	"fmt"
)

// A Drop says why a received packet was not acted on. Its text is short, lower
// case and fit for a metric label.
type Drop string

// The reasons to drop a packet.
const (
	DropIPHeader Drop = "ip_header"      // not a whole IPv4 packet
	DropProtocol Drop = "protocol"       // not IP protocol 112
	DropFamily   Drop = "address_family" // not of the virtual router's address family
	DropOwn      Drop = "own_source"     // sent by this node, or by another with its address
	DropTTL      Drop = "ttl"            // did not come straight from this link
	DropLength   Drop = "length"         // shorter or longer than it says
	DropVRID     Drop = "vrid"           // of another virtual router
	DropVersion  Drop = "version"        // of another version
	DropType     Drop = "type"           // not an advertisement
	DropChecksum Drop = "checksum"
	DropCount    Drop = "count_zero"    // without an address
	DropAuth     Drop = "auth_type"     // version 2, authenticated
	DropInterval Drop = "interval_zero" // without an interval
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
