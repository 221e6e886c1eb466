package census

import (
	"net/netip"
	"testing"
)

func TestClientsAreKnownByAddressOrNetwork(t *testing.T) {
	for _, tc := range []struct {
		one, other string
		same       bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::1", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"fe80::1%eth0", "fe80::2", true},
		{"::1", "127.0.0.1", false},
	} {
		one, other := ClientOf(netip.MustParseAddr(tc.one)), ClientOf(netip.MustParseAddr(tc.other))
		if got := one == other; got != tc.same {
			t.Errorf("%s and %s are one client: %v", tc.one, tc.other, got)
		}
	}
}

func TestClientsThatAreGoneAreForgotten(t *testing.T) {
	var c Census
	one, other := ClientOf(netip.MustParseAddr("192.0.2.1")), ClientOf(netip.MustParseAddr("192.0.2.2"))
	for i, want := range []bool{true, true, false} {
		if got := c.Enter(one, 2); got != want {
			t.Errorf("connection %d: let in: %v", i+1, got)
		}
	}
	if !c.Enter(other, 2) {
		t.Error("the other client is not let in")
	}
	c.Leave(one)
	c.Leave(other)
	c.Leave(one)
	if len(c.open) != 0 {
		t.Errorf("still known: %v", c.open)
	}
}
