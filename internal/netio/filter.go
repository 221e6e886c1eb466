package netio

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// field is a number of 1, 2 or 4 bytes that a frame must have at an offset.
type field struct {
	offset uint32
	size   int
	value  uint32
}

// Offsets in an Ethernet frame, of ARP and of ICMPv6 without extension headers,
// which hosts do not use in neighbour discovery.
const (
	arpOperation    = 20
	arpSender       = 28
	arpTarget       = 38
	ipv6Destination = 38
	icmpv6Type      = 54
	neighbourAt     = 62 // the target of a solicitation or an advertisement
)

// wholeFrame is how much of an admitted frame is kept.
const wholeFrame = 0xffff

// arpFields are those of ARP between Ethernet and IPv4 addresses.
func arpFields() []field {
	return []field{{14, 4, 0x0001_0800}, {18, 2, 6<<8 | 4}}
}

// advertisementFields are those of a neighbour advertisement that comes from the
// link, as its hop limit proves (RFC 4861, section 7.1.2).
func advertisementFields() []field {
	return []field{{20, 1, unix.IPPROTO_ICMPV6}, {21, 1, ttl}, {icmpv6Type, 1, 136}}
}

// addressFields are those of an address at an offset.
func addressFields(offset uint32, addr netip.Addr) []field {
	var all []field
	for i, w := range words(addr) {
		all = append(all, field{offset + uint32(4*i), 4, w})
	}
	return all
}

// words returns an address as numbers of 32 bits.
func words(addr netip.Addr) []uint32 {
	var all []uint32
	for b := addr.AsSlice(); len(b) > 0; b = b[4:] {
		all = append(all, binary.BigEndian.Uint32(b))
	}
	return all
}

// admit returns a program that lets through the frames that have all the fields
// and, at the offset, one of the addresses, which are of one family.
func admit(fields []field, offset uint32, addrs []netip.Addr) []bpf.Instruction {
	var p []bpf.Instruction
	for _, f := range fields {
		p = append(p,
			bpf.LoadAbsolute{Off: f.offset, Size: f.size},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: f.value, SkipTrue: 1},
			bpf.RetConstant{},
		)
	}
	var keys [][]uint32
	for _, a := range addrs {
		keys = append(keys, words(a))
	}
	slices.SortFunc(keys, slices.Compare)
	// A word in the scratch memory is cheaper than one in the frame: what an old
	// kernel makes of the program must fit into 20 kB.
	for i := range keys[0] {
		p = append(p, bpf.LoadAbsolute{Off: offset + uint32(4*i), Size: 4}, bpf.StoreScratch{Src: bpf.RegA, N: i})
	}
	return append(p, oneOf(0, slices.CompactFunc(keys, slices.Equal))...)
}

// oneOf returns a program that lets the frame through if the words in the scratch
// memory from n on are those of one of the keys, which are sorted. Addresses of
// one network are compared with it once.
func oneOf(n int, keys [][]uint32) []bpf.Instruction {
	if n == len(keys[0]) {
		return []bpf.Instruction{bpf.RetConstant{Val: wholeFrame}}
	}
	p := []bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegA, N: n}}
	for len(keys) > 0 {
		same := slices.IndexFunc(keys, func(k []uint32) bool { return k[n] != keys[0][n] })
		if same < 0 {
			same = len(keys)
		}
		then := oneOf(n+1, keys[:same])
		// A conditional jump is one of at most 255 instructions.
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: keys[0][n], SkipTrue: 1},
			bpf.Jump{Skip: uint32(len(then))},
		)
		p = append(p, then...)
		keys = keys[same:]
	}
	return append(p, bpf.RetConstant{})
}

// forThisHost comes before a program. The kernel hands what arrives in a VLAN that
// it has no interface for to the sockets of the interface below, without the tag,
// but calls it addressed to another host.
func forThisHost() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OTHERHOST, SkipTrue: 1},
		bpf.RetConstant{},
	}
}

// assemble returns the socket filter that a program makes.
func assemble(p []bpf.Instruction) ([]bpf.RawInstruction, error) {
	raw, err := bpf.Assemble(slices.Concat(forThisHost(), p))
	if err != nil {
		return nil, fmt.Errorf("assemble socket filter: %w", err)
	}
	return raw, nil
}
