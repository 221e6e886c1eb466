package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// ParseAdvert parses the message b of a packet with header h, and says in which
// form its checksum was right. It judges the message alone: whether the
// advertisement is acceptable to a virtual router is for Router.Accept to say.
//
// The error is a *DropError. The Advert shares no memory with b.
func ParseAdvert(b []byte, h Header) (Advert, ChecksumForm, error) {
	a, form, err := parseFixed(b, h)
	if err == nil {
		a.Addresses = parseAddresses(addressesOf(b, h), addrSize(h))
	}
	return a, form, err
}

// parseFixed is ParseAdvert without the addresses, which it leaves out of the
// Advert. Those that addressesOf then returns are whole.
func parseFixed(b []byte, h Header) (Advert, ChecksumForm, error) {
	if len(b) < fixedSize {
		return Advert{}, 0, dropf(DropLength, "%d bytes are no advertisement", len(b))
	}
	version, count := b[0]>>4, int(b[3])
	if version != version2 && version != version3 {
		return Advert{}, 0, dropf(DropVersion, "version %d", version)
	}
	if typ := b[0] & 0x0f; typ != typeAdvert {
		return Advert{}, 0, dropf(DropType, "message type %d where %d is expected", typ, typeAdvert)
	}
	if b[1] == 0 {
		return Advert{}, 0, dropf(DropVRID, "VRID 0 is reserved")
	}
	if err := h.check(version); err != nil {
		return Advert{}, 0, dropf(DropFamily, "%v", err)
	}
	// The length is judged before the checksum, which is taken over it.
	if want := messageSize(version, count, h); len(b) != want {
		return Advert{}, 0, dropf(DropLength, "%d bytes where %d addresses take %d", len(b), count, want)
	}
	form, ok := verify(version, b, h)
	if !ok {
		return Advert{}, 0, dropf(DropChecksum, "checksum %#04x is wrong with and without the pseudo-header",
			binary.BigEndian.Uint16(b[checksumAt:]))
	}
	if count == 0 {
		return Advert{}, 0, dropf(DropCount, "no virtual address")
	}
	interval, err := parseInterval(version, b)
	if err != nil {
		return Advert{}, 0, err
	}
	return Advert{Version: version, VRID: b[1], Priority: b[2], Interval: interval}, form, nil
}

func parseInterval(version uint8, b []byte) (time.Duration, error) {
	var interval time.Duration
	if version == version2 {
		if b[4] != 0 {
			return 0, dropf(DropAuth, "authentication type %d: version 2 is understood without", b[4])
		}
		interval = time.Duration(b[5]) * time.Second
	} else {
		// The upper four bits are reserved, to be ignored (RFC 9568, section
		// 5.2.6).
		interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond
	}
	if interval == 0 {
		return 0, dropf(DropInterval, "interval 0: the sender would never be missed, or at once")
	}
	return interval, nil
}

// addressesOf returns the addresses of the well-formed message b as they stand in
// it, without a trailer. It aliases b.
func addressesOf(b []byte, h Header) []byte {
	return b[fixedSize : fixedSize+int(b[3])*addrSize(h)]
}

// addressAt returns the address at the beginning of b.
func addressAt(b []byte, size int) netip.Addr {
	if size == 4 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b))
}

func parseAddresses(b []byte, size int) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(b)/size)
	for ; len(b) > 0; b = b[size:] {
		addresses = append(addresses, addressAt(b, size))
	}
	return addresses
}

// spells reports whether the addresses in b are those of want, in that order.
func spells(b []byte, size int, want []netip.Addr) bool {
	if len(b) != size*len(want) {
		return false
	}
	for i, w := range want {
		if addressAt(b[i*size:], size) != w {
			return false
		}
	}
	return true
}

func messageSize(version uint8, count int, h Header) int {
	size := fixedSize + count*addrSize(h)
	if version == version2 {
		size += trailerSize
	}
	return size
}

// addrSize returns the length of an address of the packet's family, which the
// message itself does not tell.
func addrSize(h Header) int { return h.Source.BitLen() / 8 }
