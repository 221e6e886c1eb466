package vrrp_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

func TestNewRouterRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vrrp.Params)
		want   string
	}{
		{"VRID 0", func(p *vrrp.Params) { p.VRID = 0 },
			"virtual router 0: VRID 0 is reserved: use 1..255"},
		{"priority 0", func(p *vrrp.Params) { p.Priority = 0 },
			"virtual router 51: priority 0 means resignation: use 1..254, or 255 for the owner of an address"},
		{"interval below the unit", func(p *vrrp.Params) { p.Interval = time.Millisecond },
			"virtual router 51: interval 1ms cannot be advertised in version 3: use 10ms..40.95s in steps of 10ms"},
		{"interval above the field", func(p *vrrp.Params) { p.Interval = 41 * time.Second },
			"virtual router 51: interval 41s cannot be advertised in version 3: use 10ms..40.95s in steps of 10ms"},
		{"interval between steps", func(p *vrrp.Params) { p.Interval = 15 * time.Millisecond },
			"virtual router 51: interval 15ms cannot be advertised in version 3: use 10ms..40.95s in steps of 10ms"},
		{"no interface address", func(p *vrrp.Params) { p.Self = netip.Addr{} },
			"virtual router 51: the interface has no address to send advertisements from"},
		{"no virtual address", func(p *vrrp.Params) { p.Addresses = nil },
			"virtual router 51: 0 virtual addresses: use 1..255"},
		{"256 virtual addresses", func(p *vrrp.Params) { p.Addresses = make([]netip.Addr, 256) },
			"virtual router 51: 256 virtual addresses: use 1..255"},
		{"empty virtual address", func(p *vrrp.Params) { p.Addresses = []netip.Addr{vip, {}} },
			"virtual router 51: virtual address 2 is empty"},
		{"two families", func(p *vrrp.Params) { p.Addresses = addrs("192.0.2.100", "2001:db8::100") },
			`virtual router 51: virtual address "2001:db8::100" is not of the family of the interface address ` +
				`"192.0.2.11": use one virtual router for each family`},
		{"duplicate", func(p *vrrp.Params) { p.Addresses = addrs("192.0.2.100", "192.0.2.100") },
			`virtual router 51: virtual address "192.0.2.100" is listed twice`},
		{"own address without being owner", func(p *vrrp.Params) { p.Addresses = []netip.Addr{self} },
			`virtual router 51: virtual address "192.0.2.11" is this node's own: choose another, or give its owner priority 255`},
		// RFC 9568, 5.2.9.
		{"IPv6 without link-local", func(p *vrrp.Params) {
			p.Self, p.Addresses = netip.MustParseAddr("fe80::1"), addrs("2001:db8::100")
		}, `virtual router 51: virtual address "2001:db8::100" comes first but is not link-local: ` +
			"an IPv6 virtual router needs one from fe80::/10 in first place"},
		{"version that does not exist", func(p *vrrp.Params) { p.Version = 4 },
			"virtual router 51: version 4 does not exist: use 2 or 3"},
		{"version 2 below a second", func(p *vrrp.Params) { p.Version = 2 },
			"virtual router 51: interval 100ms cannot be advertised in version 2: use 1s..4m15s in steps of 1s"},
		{"version 2 between seconds", func(p *vrrp.Params) { p.Version, p.Interval = 2, 1500*time.Millisecond },
			"virtual router 51: interval 1.5s cannot be advertised in version 2: use 1s..4m15s in steps of 1s"},
		{"version 2 above the field", func(p *vrrp.Params) { p.Version, p.Interval = 2, 256*time.Second },
			"virtual router 51: interval 4m16s cannot be advertised in version 2: use 1s..4m15s in steps of 1s"},
		{"version 2 over IPv6", func(p *vrrp.Params) { *p = params6(); p.Version, p.Interval = 2, time.Second },
			`virtual router 51: version 2 at the interface address "fe80::11": it knows IPv4 alone, use version 3`},
		{"unknown checksum policy", func(p *vrrp.Params) { p.Checksum = 3 },
			"virtual router 51: checksum policy 3 does not exist"},
		{"unknown policy for doubt", func(p *vrrp.Params) { p.Doubt = 1 },
			"virtual router 51: policy 1 for doubt does not exist"},
		{"peer of the other family", func(p *vrrp.Params) { p.Peers = addrs("fe80::2") },
			`virtual router 51: peer "fe80::2" is not of the family of the interface address "192.0.2.11"`},
		{"itself among the peers", func(p *vrrp.Params) { p.Peers = []netip.Addr{upper, self} },
			`virtual router 51: peer "192.0.2.11" is this node itself: list the others alone`},
		{"itself among the peers, in a zone", func(p *vrrp.Params) { *p = params6(); p.Peers = addrs("fe80::11%eth1") },
			`virtual router 51: peer "fe80::11" is this node itself: list the others alone`},
		{"a peer twice", func(p *vrrp.Params) { p.Peers = []netip.Addr{upper, upper} },
			`virtual router 51: peer "192.0.2.12" is listed twice`},
		{"empty peer", func(p *vrrp.Params) { p.Peers = []netip.Addr{{}} },
			`virtual router 51: peer "invalid IP" is not the address of a router`},
		{"group as a peer", func(p *vrrp.Params) { p.Peers = []netip.Addr{group} },
			`virtual router 51: peer "224.0.0.18" is not the address of a router`},
		{"everything at once", func(p *vrrp.Params) { *p = vrrp.Params{Version: 3} }, strings.Join([]string{
			"virtual router 0: VRID 0 is reserved: use 1..255",
			"priority 0 means resignation: use 1..254, or 255 for the owner of an address",
			"interval 0s cannot be advertised in version 3: use 10ms..40.95s in steps of 10ms",
			"the interface has no address to send advertisements from",
		}, "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			tt.change(&p)
			_, err := vrrp.NewRouter(p)
			if err == nil {
				t.Fatal("made a router, want an error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRouterAccepts(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vrrp.Params)
	}{
		{"shortest interval", func(p *vrrp.Params) { p.Interval = vrrp.MinInterval }},
		{"longest interval", func(p *vrrp.Params) { p.Interval = vrrp.MaxInterval }},
		{"owner of the address", func(p *vrrp.Params) { p.Priority, p.Addresses = 255, []netip.Addr{self} }},
		{"IPv6", func(p *vrrp.Params) { *p = params6() }},
		{"version 2", func(p *vrrp.Params) { *p = params2() }},
		{"version 2, longest interval", func(p *vrrp.Params) { p.Version, p.Interval = 2, 255*time.Second }},
		{"unicast", func(p *vrrp.Params) { p.Peers = []netip.Addr{lower, upper} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			tt.change(&p)
			newRouter(t, p)
		})
	}
}

func TestRouterSharesNoMemory(t *testing.T) {
	given := params()
	given.Addresses, given.Peers = addrs("192.0.2.100", "192.0.2.101"), addrs("192.0.2.12", "192.0.2.13")
	r := newRouter(t, given)
	given.Addresses[0], given.Peers[0] = upper, lower
	r.Params().Addresses[1], r.Params().Peers[1] = upper, lower
	if diff := cmp.Diff(addrs("192.0.2.12", "192.0.2.13"), r.Params().Peers, byValue); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(addrs("192.0.2.100", "192.0.2.101"), r.Params().Addresses, byValue); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}

	drop := vrrp.Packet{Header: vrrp.Header{Source: self, Destination: group}}
	if _, err := r.Accept(drop); err == nil {
		t.Fatal("accepted a packet from this node's own address")
	}
	r.Status().Counters.Dropped[vrrp.DropOwn] = 7
	if got := r.Status().Counters.Dropped[vrrp.DropOwn]; got != 1 {
		t.Errorf("counter is %d after a copy was changed, want 1", got)
	}
}
