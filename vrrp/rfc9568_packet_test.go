package vrrp_test

// The sentences of RFC 9568 about packets, as in rfc9568_test.go. Tables of all
// that can be wrong with one are in parse_test.go, accept_test.go and drop_test.go.

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// wantRefused has a Backup refuse a packet that changed, counted and without a
// trace in its state.
func wantRefused(t *testing.T, want vrrp.Drop, change func(*vrrp.Packet)) {
	t.Helper()
	r := backup(t, params())
	next := r.Next()
	p := packet(t, upper, advert(250), vrrp.MessageOnly)
	change(&p)
	_, err := r.Accept(p)
	if drop, ok := errors.AsType[*vrrp.DropError](err); !ok || drop.Reason != want || drop.Detail == "" {
		t.Errorf("error %v, want drop reason %q with a detail", err, want)
	}
	s := r.Status()
	if s.Counters.Dropped[want] != 1 || s.Counters.Received != 0 {
		t.Errorf("counters %+v, want 1 drop for %q", s.Counters, want)
	}
	if s.Role != vrrp.Backup || s.Peer.IsValid() || s.Peers != nil {
		t.Errorf("the packet left a trace: %+v", s)
	}
	wantNext(t, r, next)
}

// 5.1.1.2: "The IPv4 multicast address as assigned by the IANA for VRRP is:
// 224.0.0.18." 5.1.2.2: "FF02:0:0:0:0:0:0:12."
func TestGroupsAreThoseOfIANA(t *testing.T) {
	if got := vrrp.GroupIPv4.String(); got != "224.0.0.18" {
		t.Errorf("IPv4 group is %s", got)
	}
	if got := vrrp.GroupIPv6.String(); got != "ff02::12" {
		t.Errorf("IPv6 group is %s", got)
	}
}

// 5.1.1.4: "The IPv4 protocol number assigned by the IANA for VRRP is 112."
func TestProtocolIs112(t *testing.T) {
	b := unhex(t, capturedHeader+capturedBody)
	for protocol := range 256 {
		b[9] = byte(protocol)
		if _, err := vrrp.ParseIPv4(b); (err == nil) != (protocol == 112) {
			t.Errorf("protocol %d: error %v", protocol, err)
		}
	}
}

// 7.1: "If any one of the above checks fails, the receiver MUST discard the
// packet": "MUST verify that the IPv4 TTL or IPv6 Hop Limit is 255."
func TestTTLMustBe255(t *testing.T) {
	for ttl := range 255 {
		wantRefused(t, vrrp.DropTTL, func(p *vrrp.Packet) { p.TTL = uint8(ttl) })
	}
	six := newRouter(t, params6())
	h := vrrp.Header{Source: upper6, Destination: vrrp.GroupIPv6}
	b, err := advert6(250).Append(nil, h, vrrp.PseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := six.Accept(vrrp.Packet{Header: h, TTL: 64, Payload: b}); vrrp.DropOf(err) != vrrp.DropTTL {
		t.Errorf("hop limit 64: error %v, want drop reason %q", err, vrrp.DropTTL)
	}
	if _, err := six.Accept(vrrp.Packet{Header: h, TTL: 255, Payload: b}); err != nil {
		t.Errorf("hop limit 255: %v", err)
	}
}

// 7.1: "MUST verify that the VRRP version is 3."
func TestVersionMustBe3(t *testing.T) {
	for version := range 16 {
		if version == 3 || version == 2 { // of version 2 the length differs, too
			continue
		}
		wantRefused(t, vrrp.DropVersion, func(p *vrrp.Packet) { p.Payload[0] = byte(version<<4 | 1); resum(p.Payload) })
	}
}

// 5.2.2: "The type field specifies the type of this VRRP packet. The only packet
// type defined in this version of the protocol is: 1 ADVERTISEMENT. A packet with
// unknown type MUST be discarded."
func TestTypeMustBeAdvertisement(t *testing.T) {
	for typ := range 16 {
		if typ != 1 {
			wantRefused(t, vrrp.DropType, func(p *vrrp.Packet) { p.Payload[0] = byte(3<<4 | typ); resum(p.Payload) })
		}
	}
}

// 7.1: "MUST verify that the received packet contains the complete VRRP packet
// (including fixed fields, and the IPvX address(es))." Nor is there more of it,
// like the trailer of version 2.
func TestPacketMustBeWhole(t *testing.T) {
	for n := range 12 {
		wantRefused(t, vrrp.DropLength, func(p *vrrp.Packet) { p.Payload = p.Payload[:n] })
	}
	for _, more := range []int{1, 4, 8} {
		wantRefused(t, vrrp.DropLength, func(p *vrrp.Packet) { p.Payload = append(p.Payload, make([]byte, more)...) })
	}
}

// 7.1: "MUST verify the VRRP checksum." In no single bit may it be wrong.
func TestChecksumMustBeRight(t *testing.T) {
	for bit := range 16 {
		wantRefused(t, vrrp.DropChecksum, func(p *vrrp.Packet) { p.Payload[6+bit/8] ^= 1 << (bit % 8) })
	}
	wantRefused(t, vrrp.DropChecksum, func(p *vrrp.Packet) { p.Payload[6], p.Payload[7] = 0, 0 })
}

// 7.1: "MUST verify that the VRID is configured on the receiving interface".
func TestVRIDMustBeOurs(t *testing.T) {
	for vrid := range 256 {
		if vrid != 51 {
			wantRefused(t, vrrp.DropVRID, func(p *vrrp.Packet) { p.Payload[1] = byte(vrid); resum(p.Payload) })
		}
	}
}

// 5.2.5: "The number of IPvX addresses contained in this VRRP Advertisement. The
// minimum value is 1. If the received count is 0, the VRRP Advertisement MUST be
// ignored." The greatest is 255, and is taken for both families.
func TestAddressCount(t *testing.T) {
	wantRefused(t, vrrp.DropCount, func(p *vrrp.Packet) { p.Payload[3] = 0; p.Payload = resum(p.Payload[:8]) })
	for _, h := range []vrrp.Header{header4, header6} {
		a := advert(100)
		a.Addresses = nil
		for i := range 255 {
			b := h.Source.AsSlice()
			b[len(b)-2], b[len(b)-1] = 9, byte(i)
			address, _ := netip.AddrFromSlice(b)
			a.Addresses = append(a.Addresses, address)
		}
		b, err := a.Append(nil, h, vrrp.PseudoHeader)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := vrrp.ParseAdvert(b, h)
		if err != nil {
			t.Fatalf("255 addresses of %d bits: %v", h.Source.BitLen(), err)
		}
		if diff := cmp.Diff(a, got, byValue); diff != "" {
			t.Errorf("advertisement (-want +got):\n%s", diff)
		}
		for _, n := range []int{8, len(b) - 1, len(b) / 2} {
			if _, _, err := vrrp.ParseAdvert(b[:n], h); vrrp.DropOf(err) != vrrp.DropLength {
				t.Errorf("%d of %d bytes: error %v, want drop reason %q", n, len(b), err, vrrp.DropLength)
			}
		}
	}
}

// 5.2.6: "The Reserve field MUST be set to zero on transmission and ignored on
// reception."
func TestReserveIsZeroAndIgnored(t *testing.T) {
	slow := params()
	slow.Interval = vrrp.MaxInterval
	r := newRouter(t, slow)
	a := advert(100)
	a.Interval = vrrp.MaxInterval
	p := packet(t, upper, a, vrrp.MessageOnly)
	if got := binary.BigEndian.Uint16(p.Payload[4:]); got != 0x0fff {
		t.Errorf("sent %#04x, want 0x0fff", got)
	}
	p.Payload[4] |= 0xf0
	resum(p.Payload)
	got, err := r.Accept(p)
	if err != nil || got.Interval != vrrp.MaxInterval {
		t.Errorf("read %v, error %v; want %v", got.Interval, err, vrrp.MaxInterval)
	}
}

// 5.2.7: "The Max Advertise Interval is a 12-bit field that indicates the interval
// (in centiseconds) between ADVERTISEMENTS." An interval of 0 is none (erratum
// 8301).
func TestIntervalCountsCentiseconds(t *testing.T) {
	for _, field := range []uint16{1, 100, 0x0fff} {
		a := advert(100)
		a.Interval = time.Duration(field) * 10 * time.Millisecond
		p := packet(t, upper, a, vrrp.MessageOnly)
		if got := binary.BigEndian.Uint16(p.Payload[4:]); got != field {
			t.Errorf("%v was sent as %d, want %d", a.Interval, got, field)
		}
		if got, _, err := vrrp.ParseAdvert(p.Payload, p.Header); err != nil || got.Interval != a.Interval {
			t.Errorf("%d was read as %v, error %v; want %v", field, got.Interval, err, a.Interval)
		}
	}
	wantRefused(t, vrrp.DropInterval, func(p *vrrp.Packet) { p.Payload[4], p.Payload[5] = 0, 0; resum(p.Payload) })
}

// 5.2.8: "For IPv4, the checksum calculation is done over the VRRP message alone";
// "For IPv6, the checksum calculation also includes a prepended pseudo-header [...]
// The next header field in the pseudo-header should be set to 112 (decimal)."
func TestChecksumCoversWhatItShould(t *testing.T) {
	p := packet(t, upper, advert(100), vrrp.MessageOnly)
	if sent := string(p.Payload); string(resum(p.Payload)) != sent {
		t.Error("the IPv4 checksum is not that of the message")
	}
	other := p
	other.Source, other.Destination = lower, upper
	if _, form, err := vrrp.ParseAdvert(other.Payload, other.Header); err != nil || form != vrrp.MessageOnly {
		t.Errorf("IPv4 between other addresses: %v, %v", form, err)
	}
	for _, g := range golden {
		if g.header == header6 {
			h := header6
			h.Source = upper6
			if _, _, err := vrrp.ParseAdvert(unhex(t, g.bytes), h); vrrp.DropOf(err) != vrrp.DropChecksum {
				t.Errorf("IPv6 from another address: error %v, want drop reason %q", err, vrrp.DropChecksum)
			}
		}
	}
}

// 5.2.9: "For IPv6, the first address MUST be the IPv6 link-local address
// associated with the Virtual Router." Params demand it of us; from others it is
// counted, and taken.
func TestFirstIPv6AddressIsLinkLocal(t *testing.T) {
	tests := []struct {
		name  string
		list  []netip.Addr
		odd   uint64
		drift uint64
	}{
		{"in first place", addrs("fe80::1:51", "2001:db8::100"), 0, 0},
		{"in second place", addrs("2001:db8::100", "fe80::1:51"), 1, 0},
		{"not at all", addrs("2001:db8::100"), 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, params6())
			a := advert6(100)
			a.Addresses = tt.list
			accept(t, r, upper6, a, vrrp.PseudoHeader)
			c := r.Status().Counters
			if c.NotLinkLocalFirst != tt.odd || c.AddressMismatch != tt.drift || c.Received != 1 {
				t.Errorf("counters %+v", c)
			}
		})
	}
	r := newRouter(t, params())
	accept(t, r, upper, advert(100), vrrp.PseudoHeader)
	if got := r.Status().Counters.NotLinkLocalFirst; got != 0 {
		t.Errorf("counted %d for IPv4", got)
	}
}

// 5.2.9: the addresses are of the family of the packet, and a packet of one family
// is not for a virtual router of the other.
func TestFamiliesDoNotMix(t *testing.T) {
	wantRefused(t, vrrp.DropFamily, func(p *vrrp.Packet) { p.Header = header6 })
	if _, err := newRouter(t, params6()).Accept(packet(t, upper, advert(100), vrrp.PseudoHeader)); vrrp.DropOf(err) != vrrp.DropFamily {
		t.Errorf("error %v, want drop reason %q", err, vrrp.DropFamily)
	}
}

// 7.1: "A receiver SHOULD also verify that the Max Advertise Interval in the
// received VRRP packet matches the Advertisement_Interval configured for the
// VRID" and MAY do so for the addresses, and log: neither is a reason to discard.
func TestMismatchesAreCountedAndTaken(t *testing.T) {
	r := backup(t, params())
	a := advert(250)
	a.Interval, a.Addresses = time.Second, addrs("192.0.2.7")
	accept(t, r, upper, a, vrrp.PseudoHeader)
	r.Receive(at(1), upper, a)
	if c := r.Status().Counters; c.IntervalMismatch != 1 || c.AddressMismatch != 1 || c.Dropped != nil {
		t.Errorf("counters %+v", c)
	}
	if got := r.Status().Interval; got != time.Second {
		t.Errorf("learned %v, want 1s", got)
	}
}

// An IPv6 packet is made of what the kernel hands over.
func TestCapturedIPv6PacketIsAccepted(t *testing.T) {
	p := params6()
	p.Addresses = addrs("fe80::1:51", "2001:db8::1")
	for _, g := range golden {
		if g.header != header6 {
			continue
		}
		h := header6
		h.Source = h.Source.WithZone("eth0")
		if _, err := newRouter(t, p).Accept(vrrp.Packet{Header: h, TTL: 255, Payload: unhex(t, g.bytes)}); err != nil {
			t.Errorf("accept: %v", err)
		}
	}
}

// A zone does not make another router of a peer, nor a higher address.
func TestZonesAreIgnored(t *testing.T) {
	r := newRouter(t, params6())
	r.Startup(epoch)
	zoned := netip.MustParseAddr("fe80::12%eth0")
	accept(t, r, zoned, advert6(250), vrrp.PseudoHeader)
	r.Receive(at(1), zoned, advert6(250))
	accept(t, r, upper6, advert6(250), vrrp.PseudoHeader)
	s := r.Status()
	if len(s.Peers) != 1 || s.Peers[0].Address != upper6 || s.Peers[0].Heard != at(1) || s.Peer != upper6 {
		t.Errorf("peer %s, peers %+v", s.Peer, s.Peers)
	}
	r.PeerDied(at(2), zoned, "connection refused")
	wantRole(t, r, vrrp.Active)
	same := netip.MustParseAddr("fe80::10%zz")
	r.Receive(at(3), same, advert6(200))
	wantRole(t, r, vrrp.Active)
}
