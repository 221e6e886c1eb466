package vrrp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// packet wraps a as its sender would, with the checksum in the given form.
func packet(t testing.TB, from netip.Addr, a vrrp.Advert, form vrrp.ChecksumForm) vrrp.Packet {
	t.Helper()
	h := vrrp.Header{Source: from, Destination: group}
	b, err := a.Append(nil, h, form)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return vrrp.Packet{Header: h, TTL: 255, Payload: b}
}

func TestAcceptDrops(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vrrp.Packet)
		want   vrrp.Drop
	}{
		{"own source", func(p *vrrp.Packet) { p.Source = self }, vrrp.DropOwn},
		{"TTL 254", func(p *vrrp.Packet) { p.TTL = 254 }, vrrp.DropTTL},
		{"TTL 1", func(p *vrrp.Packet) { p.TTL = 1 }, vrrp.DropTTL},
		{"another VRID", func(p *vrrp.Packet) { p.Payload[1] = 52 }, vrrp.DropVRID},
		{"another VRID, otherwise malformed", func(p *vrrp.Packet) { p.Payload[1], p.Payload[7] = 52, 0 }, vrrp.DropVRID},
		{"too short for a VRID", func(p *vrrp.Packet) { p.Payload = p.Payload[:4] }, vrrp.DropLength},
		{"empty", func(p *vrrp.Packet) { p.Payload = nil }, vrrp.DropLength},
		{"bad checksum", func(p *vrrp.Packet) { p.Payload[7]++ }, vrrp.DropChecksum},
		{"checksum of another source", func(p *vrrp.Packet) { p.Source = lower }, vrrp.DropChecksum},
		{"version 2", func(p *vrrp.Packet) {
			a := vrrp.Advert{Version: 2, VRID: 51, Priority: 250, Interval: time.Second, Addresses: addrs("192.0.2.100")}
			p.Payload, _ = a.Append(nil, p.Header, vrrp.MessageOnly)
		}, vrrp.DropVersion},
		{"IPv6 packet", func(p *vrrp.Packet) { p.Header = header6 }, vrrp.DropFamily},
		{"no header", func(p *vrrp.Packet) { p.Header = vrrp.Header{} }, vrrp.DropFamily},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := backup(t, params())
			before, next := r.Status(), r.Next()
			p := packet(t, upper, advert(250), vrrp.PseudoHeader)
			tt.change(&p)

			if a, err := r.Accept(p); vrrp.DropOf(err) != tt.want {
				t.Errorf("got %+v, error %v; want drop reason %q", a, err, tt.want)
			}
			want := before
			want.LastDrop = tt.want
			want.Counters.Dropped = map[vrrp.Drop]uint64{tt.want: 1}
			if diff := cmp.Diff(want, r.Status(), byValue); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			wantNext(t, r, next)
		})
	}
}

func TestAcceptCounts(t *testing.T) {
	two := func(as ...string) vrrp.Advert {
		a := advert(100)
		a.Addresses = addrs(as...)
		return a
	}
	slow := advert(100)
	slow.Interval = time.Second
	tests := []struct {
		name   string
		advert vrrp.Advert
		want   vrrp.Counters
	}{
		{"as configured here", two("192.0.2.100", "192.0.2.101"), vrrp.Counters{Received: 1}},
		{"addresses in another order", two("192.0.2.101", "192.0.2.100"), vrrp.Counters{Received: 1}},
		// RFC 9568, 7.1: a list that does not match is logged, not discarded.
		{"an address less", two("192.0.2.100"), vrrp.Counters{Received: 1, AddressMismatch: 1}},
		{"an address more", two("192.0.2.100", "192.0.2.101", "192.0.2.102"), vrrp.Counters{Received: 1, AddressMismatch: 1}},
		{"another address", two("192.0.2.100", "192.0.2.102"), vrrp.Counters{Received: 1, AddressMismatch: 1}},
		{"an address twice", two("192.0.2.100", "192.0.2.100"), vrrp.Counters{Received: 1, AddressMismatch: 1}},
		// The same of the interval.
		{"another interval", slow, vrrp.Counters{Received: 1, AddressMismatch: 1, IntervalMismatch: 1}},
		{"resignation", advert(0), vrrp.Counters{Received: 1, ReceivedZero: 1, AddressMismatch: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			p.Addresses = addrs("192.0.2.100", "192.0.2.101")
			r := newRouter(t, p)
			got, err := r.Accept(packet(t, upper, tt.advert, vrrp.PseudoHeader))
			if err != nil {
				t.Fatalf("accept: %v", err)
			}
			if diff := cmp.Diff(tt.advert, got, byValue); diff != "" {
				t.Errorf("advertisement (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, r.Status().Counters); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// An IPv6 zone tells where a packet came in, not who sent it.
func TestAcceptComparesAddressesWithoutZone(t *testing.T) {
	p := params()
	p.Self, p.Addresses = netip.MustParseAddr("fe80::1%eth0"), addrs("fe80::1:51")
	r := newRouter(t, p)
	own := vrrp.Packet{Header: vrrp.Header{
		Source:      netip.MustParseAddr("fe80::1%eth1"),
		Destination: netip.MustParseAddr("ff02::12"),
	}, TTL: 255}
	if _, err := r.Accept(own); vrrp.DropOf(err) != vrrp.DropOwn {
		t.Errorf("error %v, want drop reason %q", err, vrrp.DropOwn)
	}
}
