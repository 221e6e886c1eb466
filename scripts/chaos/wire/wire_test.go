package wire

import (
	"net/netip"
	"slices"
	"testing"
)

var vip = netip.MustParseAddr("10.0.0.9")

func arp(op byte, sender, target string) []byte {
	b := make([]byte, ethernet, 64)
	b[12], b[13] = 8, 6
	b = append(b, 0, 1, 8, 0, 6, 4, 0, op, 2, 0, 0, 0, 0, 1)
	b = append(b, netip.MustParseAddr(sender).AsSlice()...)
	b = append(b, 2, 0, 0, 0, 0, 2)
	return append(b, netip.MustParseAddr(target).AsSlice()...)
}

func ip(protocol byte) []byte {
	b := make([]byte, ethernet+20)
	b[12], b[13] = 8, 0
	b[ethernet], b[ethernet+9] = 0x45, protocol
	return b
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
		want  Kind
	}{
		{"nothing", nil, Other},
		{"a header alone", arp(1, "10.0.0.9", "10.0.0.9")[:ethernet], Other},
		{"a gratuitous request", arp(1, "10.0.0.9", "10.0.0.9"), Announcement},
		{"a gratuitous reply", arp(2, "10.0.0.9", "10.0.0.9"), Announcement},
		{"a reply to someone", arp(2, "10.0.0.9", "10.0.0.1"), Answer},
		{"a question for someone", arp(1, "10.0.0.9", "10.0.0.1"), Other},
		{"of another address", arp(2, "10.0.0.8", "10.0.0.1"), Other},
		{"another operation", arp(9, "10.0.0.9", "10.0.0.9"), Other},
		{"cut short", arp(2, "10.0.0.9", "10.0.0.1")[:ethernet+27], Other},
		{"with padding", append(arp(2, "10.0.0.9", "10.0.0.1"), make([]byte, 18)...), Answer},
		{"VRRP", ip(112), Advertisement},
		{"TCP", ip(6), Other},
		{"VRRP cut short", ip(112)[:ethernet+19], Other},
	} {
		if got := Read(test.frame, vip); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(arp(2, "10.0.0.9", "10.0.0.1"))
	f.Add(ip(112))
	f.Fuzz(func(t *testing.T, frame []byte) {
		kind := Read(frame, vip)
		if padded := Read(append(slices.Clone(frame), 0), vip); kind != Other && padded != kind {
			t.Errorf("%x is %q, and with a byte of padding %q", frame, kind, padded)
		}
	})
}
