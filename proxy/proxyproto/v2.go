package proxyproto

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
)

// Section 2.2: the signature, version and command, family and transport, and the
// length of what follows.
const (
	fixedV2 = len(prefixV2) + 4

	localV2 = 0x20 // the proxy's own connection
	proxyV2 = 0x21

	unspec = 0x00
)

// addressesV2 has the size of the two addresses of a family. What is not here must be
// refused.
var addressesV2 = map[byte]int{
	unspec: 0,
	0x11:   2 * (4 + 2), 0x12: 2 * (4 + 2), // TCP and UDP over IPv4
	0x21: 2 * (16 + 2), 0x22: 2 * (16 + 2), // and over IPv6
	0x31: 2 * 108, 0x32: 2 * 108, // unix stream and datagram
}

func parseV2(b []byte) (Header, int, error) {
	if len(b) > len(prefixV2) {
		if c := b[len(prefixV2)]; c != localV2 && c != proxyV2 {
			return Header{}, 0, &Error{BadSyntax, fmt.Sprintf("version and command %#02x are not defined", c)}
		}
	}
	if len(b) < fixedV2 {
		return Header{}, 0, nil
	}
	command, family := b[len(prefixV2)], b[len(prefixV2)+1]
	size := fixedV2 + int(binary.BigEndian.Uint16(b[len(prefixV2)+2:]))
	addresses, defined := addressesV2[family]
	switch {
	case size > MaxSize:
		return Header{}, 0, &Error{BadLength, fmt.Sprintf("%d bytes; at most %d are accepted", size, MaxSize)}
	case command == localV2: // all of the rest is to be discarded, the family, too
		addresses = 0
	case !defined:
		return Header{}, 0, &Error{BadSyntax, fmt.Sprintf("family and transport %#02x are not defined", family)}
	case size < fixedV2+addresses:
		return Header{}, 0, &Error{BadLength, fmt.Sprintf("%d bytes are too few for the addresses of family %#02x", size, family)}
	}
	if len(b) < size {
		return Header{}, 0, nil
	}
	h := Header{Version: proxy.ProxyV2}
	if command == localV2 || family == unspec {
		return h, size, nil
	}
	if err := checkTLVs(b[:size], fixedV2+addresses); err != nil {
		return Header{}, 0, err
	}
	h.binary(family, b[fixedV2:fixedV2+addresses])
	return h, size, nil
}

// binary fills in the addresses of a family.
func (h *Header) binary(family byte, b []byte) {
	var src, dst netip.Addr
	switch family >> 4 {
	case 1:
		src, dst = netip.AddrFrom4([4]byte(b[:4])), netip.AddrFrom4([4]byte(b[4:8]))
	case 2:
		src, dst = netip.AddrFrom16([16]byte(b[:16])), netip.AddrFrom16([16]byte(b[16:32]))
	default: // unix sockets have no addresses that mean something elsewhere
		return
	}
	ports := b[len(b)-4:]
	h.endpoints(netip.AddrPortFrom(src, binary.BigEndian.Uint16(ports)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(ports[2:])))
}

// Extensions (section 2.2.1 and following). The others are passed over.
const (
	tlvCRC32C   = 0x03
	tlvUniqueID = 0x05
	tlvSSL      = 0x20

	maxUniqueID = 128
	fixedSSL    = 1 + 4 // the client's bits and the verdict on it; extensions of its own follow
)

// castagnoli is the polynomial of CRC32c.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkTLVs walks the extensions of a header from an offset to its end.
func checkTLVs(header []byte, from int) error {
	summed := false
	for at := from; at < len(header); {
		kind, value, err := cutTLV(header[at:])
		if err != nil {
			return err
		}
		at += 3 + len(value)
		switch kind {
		case tlvCRC32C:
			if summed || len(value) != 4 || checksum(header, at-4) != binary.BigEndian.Uint32(value) {
				return &Error{BadChecksum, "the checksum does not hold"}
			}
			summed = true
		case tlvUniqueID:
			if len(value) > maxUniqueID {
				return &Error{BadTLV, fmt.Sprintf("a unique id of %d bytes; at most %d are allowed", len(value), maxUniqueID)}
			}
		case tlvSSL:
			if err := checkSSL(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutTLV returns the extension that b begins with.
func cutTLV(b []byte) (kind byte, value []byte, err error) {
	if len(b) < 3 {
		return 0, nil, &Error{BadTLV, fmt.Sprintf("%d bytes at the end are no extension", len(b))}
	}
	size := int(binary.BigEndian.Uint16(b[1:]))
	if size > len(b)-3 {
		return 0, nil, &Error{BadTLV, fmt.Sprintf("extension %#02x has %d bytes, of which %d are there", b[0], size, len(b)-3)}
	}
	return b[0], b[3 : 3+size], nil
}

func checkSSL(b []byte) error {
	if len(b) < fixedSSL {
		return &Error{BadTLV, "the extension on TLS is too short"}
	}
	for b = b[fixedSSL:]; len(b) > 0; {
		_, value, err := cutTLV(b)
		if err != nil {
			return err
		}
		b = b[3+len(value):]
	}
	return nil
}

// checksum returns the CRC32c of a header that has its own at an offset, where it
// counts as zeros.
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, header[at+4:])
}

func appendV2(b []byte, src, dst netip.AddrPort, known bool) []byte {
	b = append(b, prefixV2...)
	switch {
	case !known:
		return append(b, localV2, unspec, 0, 0)
	case src.Addr().Is4():
		b = append(b, proxyV2, 0x11, 0, byte(addressesV2[0x11]))
	default:
		b = append(b, proxyV2, 0x21, 0, byte(addressesV2[0x21]))
	}
	b = append(b, src.Addr().AsSlice()...)
	b = append(b, dst.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}
