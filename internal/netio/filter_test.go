package netio

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
)

// admits runs a program without the part that needs a kernel.
func admits(t *testing.T, program []bpf.Instruction, frame []byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(program)
	must(t, err)
	n, err := vm.Run(frame)
	must(t, err)
	return n != 0
}

// advertisementOf is a neighbour advertisement of addr from the unicast address
// of a host.
func advertisementOf(t *testing.T, addr netip.Addr) []byte {
	t.Helper()
	frames, err := advertisement(addr, otherMAC, false)
	must(t, err)
	return frames[0]
}

func claimProgram(addrs []netip.Addr) []bpf.Instruction {
	if addrs[0].Is4() {
		return admit(arpFields(), arpSender, addrs)
	}
	return admit(advertisementFields(), neighbourAt, addrs)
}

func TestFilterAdmitsClaimsOnly(t *testing.T) {
	v4 := []netip.Addr{vip, netip.MustParseAddr("198.51.100.1")}
	v6 := []netip.Addr{vip6, netip.MustParseAddr("fe80::100")}
	claim4 := arpBytes(2, otherMAC, "192.0.2.100", otherMAC, "192.0.2.7")
	claim6 := advertisementOf(t, vip6)
	for _, tt := range []struct {
		name  string
		addrs []netip.Addr
		frame []byte
		want  bool
	}{
		{"ARP reply", v4, claim4, true},
		{"ARP request", v4, arpBytes(1, otherMAC, "192.0.2.100", broadcast(), "192.0.2.7"), true},
		{"second address", v4, arpBytes(1, otherMAC, "198.51.100.1", broadcast(), "198.51.100.1"), true},
		{"other sender", v4, arpBytes(2, otherMAC, "192.0.2.101", otherMAC, "192.0.2.100"), false},
		{"probe", v4, arpBytes(1, otherMAC, "0.0.0.0", make([]byte, 6), "192.0.2.100"), false},
		{"other kind of address", v4, patch(claim4, 17, 0xdd), false},
		{"other length of address", v4, patch(claim4, 19, 16), false},
		{"cut ARP packet", v4, claim4[:30], false},
		{"advertisement", v6, claim6, true},
		{"advertisement of the second address", v6, advertisementOf(t, v6[1]), true},
		{"advertisement of another address", v6, advertisementOf(t, netip.MustParseAddr("2001:db8::1:101")), false},
		{"same end, other network", v6, advertisementOf(t, netip.MustParseAddr("2001:db9::1:100")), false},
		{"halves of two addresses", v6, advertisementOf(t, netip.MustParseAddr("fe80::1:100")), false},
		{"solicitation", v6, patch(claim6, icmpv6Type, 135), false},
		{"from beyond a router", v6, patch(claim6, 21, 254), false},
		{"not ICMPv6", v6, patch(claim6, 20, 17), false},
		{"cut advertisement", v6, claim6[:70], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := admits(t, claimProgram(tt.addrs), tt.frame); got != tt.want {
				t.Errorf("admitted: %t, want %t", got, tt.want)
			}
		})
	}
}

// patch returns the frame with another byte at an offset.
func patch(frame []byte, offset int, b byte) []byte {
	frame = slices.Clone(frame)
	frame[offset] = b
	return frame
}

// manyAddresses are lists of 255 addresses: of one network, and each of another.
func manyAddresses() map[string][]netip.Addr {
	all := map[string][]netip.Addr{}
	for i := range byte(255) {
		all["IPv4"] = append(all["IPv4"], netip.AddrFrom4([4]byte{192, 0, 2, i}))
		all["IPv6"] = append(all["IPv6"], netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: i + 1}))
		all["IPv6 networks"] = append(all["IPv6 networks"], netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: i, 6: i, 15: 1}))
	}
	return all
}

func TestFilterOf255Addresses(t *testing.T) {
	for name, addrs := range manyAddresses() {
		t.Run(name, func(t *testing.T) {
			slices.Reverse(addrs)
			// One is left out, and must be told from its neighbours.
			left, addrs := addrs[100], slices.Concat(addrs[:100], addrs[101:], addrs[:1])
			program := claimProgram(addrs)
			if n := len(forThisHost()) + len(program); n > 4096 {
				t.Fatalf("%d instructions, more than a kernel takes", n)
			}
			frame := func(a netip.Addr) []byte {
				if a.Is4() {
					return arpBytes(2, otherMAC, a.String(), otherMAC, "192.0.2.7")
				}
				return advertisementOf(t, a)
			}
			for _, a := range addrs {
				if !admits(t, program, frame(a)) {
					t.Errorf("%s is not admitted", a)
				}
			}
			if admits(t, program, frame(left)) {
				t.Errorf("%s is admitted", left)
			}
		})
	}
}
