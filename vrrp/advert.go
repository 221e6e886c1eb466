package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The versions that the codec knows.
const (
	version2 = 2 // RFC 3768, IPv4 only
	version3 = 3 // RFC 9568
)

const (
	typeAdvert  = 1
	fixedSize   = 8 // the fields before the addresses
	trailerSize = 8 // the authentication data that ends a version 2 message
	checksumAt  = 6
)

// Advert is an advertisement, the one message of VRRP.
type Advert struct {
	Version   uint8         // 3, or 2
	VRID      uint8         // 1..255
	Priority  uint8         // 0: the sender resigns; 255: it owns an address
	Interval  time.Duration // whole centiseconds up to 40.95 s; in version 2 whole seconds up to 255 s
	Addresses []netip.Addr  // 1..255, of the family of the packet
}

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Version| Type  |     VRID      |   Priority    |IPvX Addr Count|
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Reserve| Max Advertise Interval|           Checksum            |  version 3
// |   Auth Type   |   Adver Int   |           Checksum            |  version 2
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                       IPvX Address(es)                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |            8 bytes of zero, in version 2 alone                |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

// Append appends the message that travels in a packet with header h. The form
// of the checksum counts for IPv4 version 3 alone. It fails, and returns b as it
// was, when a value has no place on the wire.
func (a Advert) Append(b []byte, h Header, form ChecksumForm) ([]byte, error) {
	interval, err := a.encodeInterval()
	if err == nil {
		err = a.check(h)
	}
	if err != nil {
		return b, fmt.Errorf("encode advertisement of VRID %d: %w", a.VRID, err)
	}
	start := len(b)
	b = append(b, a.Version<<4|typeAdvert, a.VRID, a.Priority, uint8(len(a.Addresses)))
	b = binary.BigEndian.AppendUint16(b, interval)
	b = append(b, 0, 0)
	for _, addr := range a.Addresses {
		b = append(b, addr.AsSlice()...)
	}
	if a.Version == version2 {
		b = append(b, make([]byte, trailerSize)...)
	}
	message := b[start:]
	binary.BigEndian.PutUint16(message[checksumAt:], checksum(message, h, formOf(a.Version, h, form)))
	return b, nil
}

// encodeInterval returns bytes 4 and 5. In version 2 the upper one is the
// authentication type, of which 0 alone is left (RFC 3768, section 5.3.6).
func (a Advert) encodeInterval() (uint16, error) {
	unit, limit := intervalsOf(a.Version)
	if unit == 0 {
		return 0, fmt.Errorf("version %d: want %d or %d", a.Version, version2, version3)
	}
	if a.Interval < unit || a.Interval > limit || a.Interval%unit != 0 {
		return 0, fmt.Errorf("interval %v of version %d: want %v..%v in steps of %v",
			a.Interval, a.Version, unit, limit, unit)
	}
	return uint16(a.Interval / unit), nil
}

func (a Advert) check(h Header) error {
	if a.VRID == 0 {
		return errors.New("VRID 0 is reserved")
	}
	if n := len(a.Addresses); n == 0 || n > maxAddresses {
		return fmt.Errorf("%d addresses: want 1..%d", n, maxAddresses)
	}
	if err := h.check(a.Version); err != nil {
		return err
	}
	for _, addr := range a.Addresses {
		if !addr.IsValid() || addr.Is4() != h.Source.Is4() {
			return fmt.Errorf("address %q in a packet from %q", addr, h.Source)
		}
	}
	return nil
}

// check reports whether an advertisement of the version can travel under h.
func (h Header) check(version uint8) error {
	if !h.Source.IsValid() || !h.Destination.IsValid() || h.Source.Is4() != h.Destination.Is4() {
		return fmt.Errorf("packet from %q to %q", h.Source, h.Destination)
	}
	if version == version2 && !h.Source.Is4() {
		return fmt.Errorf("version 2 from %q: it knows IPv4 alone", h.Source)
	}
	return nil
}
