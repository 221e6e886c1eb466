package vrrp_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// accept has r accept what from sends it, with the checksum in the given form.
func accept(t testing.TB, r *vrrp.Router, from netip.Addr, a vrrp.Advert, form vrrp.ChecksumForm) {
	t.Helper()
	h := vrrp.Header{Source: from, Destination: r.Destinations()[0]}
	if r.Params().Peers != nil {
		h.Destination = r.Params().Self
	}
	b, err := a.Append(nil, h, form)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	if _, err := r.Accept(vrrp.Packet{Header: h, TTL: 255, Payload: b}); err != nil {
		t.Fatalf("accept: %v", err)
	}
}

func TestDestinations(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vrrp.Params)
		want   []netip.Addr
	}{
		{"IPv4", func(*vrrp.Params) {}, addrs("224.0.0.18")},
		{"IPv6", func(p *vrrp.Params) { *p = params6() }, addrs("ff02::12")},
		{"unicast", func(p *vrrp.Params) { p.Peers = []netip.Addr{upper, lower} }, []netip.Addr{upper, lower}},
		{"IPv6 unicast, the zone is the driver's", func(p *vrrp.Params) {
			*p = params6()
			p.Peers = addrs("fe80::2%eth0")
		}, addrs("fe80::2")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			tt.change(&p)
			if diff := cmp.Diff(tt.want, newRouter(t, p).Destinations(), byValue); diff != "" {
				t.Errorf("destinations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnicastHearsPeersAlone(t *testing.T) {
	p := params()
	p.Peers = []netip.Addr{upper}
	r := newRouter(t, p)
	toSelf := func(from netip.Addr, ttl uint8) vrrp.Packet {
		h := vrrp.Header{Source: from, Destination: self}
		b, err := advert(250).Append(nil, h, vrrp.PseudoHeader)
		if err != nil {
			t.Fatal(err)
		}
		return vrrp.Packet{Header: h, TTL: ttl, Payload: b}
	}
	if _, err := r.Accept(toSelf(upper, 255)); err != nil {
		t.Errorf("the peer is refused: %v", err)
	}
	_, err := r.Accept(toSelf(lower, 255))
	if got, want := vrrp.DropOf(err), vrrp.DropUnknownPeer; got != want {
		t.Errorf("a stranger: drop reason %q, want %q", got, want)
	}
	if got, want := err.Error(), "drop packet: packet from 192.0.2.10, which is none of the peers [192.0.2.12]"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
	// The pair shares a link: the TTL says so for unicast as well.
	if _, err := r.Accept(toSelf(upper, 254)); vrrp.DropOf(err) != vrrp.DropTTL {
		t.Errorf("the peer from afar: error %v, want drop reason %q", err, vrrp.DropTTL)
	}
}

// RFC 9568, 5.2.8, covers the message alone, RFC 5798 was read to cover a
// pseudo-header: either is accepted, and answered as the policy has it.
func TestChecksumFor(t *testing.T) {
	type heard struct {
		from netip.Addr
		form vrrp.ChecksumForm
	}
	const pseudo, message = vrrp.PseudoHeader, vrrp.MessageOnly
	tests := []struct {
		name                      string
		policy                    vrrp.ChecksumPolicy
		heard                     []heard
		toGroup, toLower, toUpper vrrp.ChecksumForm
		variants                  uint64
	}{
		{"auto, before anything is heard", vrrp.ChecksumAuto, nil, pseudo, pseudo, pseudo, 0},
		{"auto, one of the message only", vrrp.ChecksumAuto, []heard{{upper, message}}, message, pseudo, message, 0},
		{"auto, one of the pseudo-header", vrrp.ChecksumAuto, []heard{{upper, pseudo}}, pseudo, pseudo, pseudo, 0},
		{"auto, one of each, the newest decides for the group", vrrp.ChecksumAuto,
			[]heard{{upper, message}, {lower, pseudo}}, pseudo, pseudo, message, 0},
		{"auto, the other way round", vrrp.ChecksumAuto,
			[]heard{{lower, pseudo}, {upper, message}}, message, pseudo, message, 0},
		{"auto, one that changed", vrrp.ChecksumAuto, []heard{{upper, message}, {upper, pseudo}}, pseudo, pseudo, pseudo, 0},
		{"message only", vrrp.ChecksumRFC9568, []heard{{upper, pseudo}, {upper, pseudo}, {lower, message}}, message, message, message, 2},
		{"pseudo-header", vrrp.ChecksumRFC5798, []heard{{upper, pseudo}, {lower, message}}, pseudo, pseudo, pseudo, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := params()
			p.Checksum = tt.policy
			r := newRouter(t, p)
			for _, h := range tt.heard {
				accept(t, r, h.from, advert(100), h.form)
			}
			for _, to := range []struct {
				addr netip.Addr
				want vrrp.ChecksumForm
			}{{group, tt.toGroup}, {lower, tt.toLower}, {upper, tt.toUpper}} {
				if got := r.ChecksumFor(to.addr); got != to.want {
					t.Errorf("to %s it is %v, want %v", to.addr, got, to.want)
				}
			}
			if got := r.Status().Counters.ChecksumVariant; got != tt.variants {
				t.Errorf("%d variants counted, want %d", got, tt.variants)
			}
		})
	}
}

func TestChecksumForIgnoresDrops(t *testing.T) {
	r := newRouter(t, params())
	p := packet(t, upper, advert(100), vrrp.MessageOnly)
	p.TTL = 64
	if _, err := r.Accept(p); vrrp.DropOf(err) != vrrp.DropTTL {
		t.Fatalf("error %v, want drop reason %q", err, vrrp.DropTTL)
	}
	if got := r.ChecksumFor(group); got != vrrp.PseudoHeader {
		t.Errorf("the form is %v, want %v", got, vrrp.PseudoHeader)
	}
	if got := r.Status().Peers; got != nil {
		t.Errorf("peers %v, want none", got)
	}
}

// IPv6 has the pseudo-header alone, version 2 the message alone.
func TestChecksumWithoutChoice(t *testing.T) {
	six := params6()
	six.Checksum = vrrp.ChecksumRFC9568
	r := newRouter(t, six)
	accept(t, r, netip.MustParseAddr("fe80::2"), advert6(100), vrrp.PseudoHeader)
	if got := r.ChecksumFor(vrrp.GroupIPv6); got != vrrp.PseudoHeader {
		t.Errorf("IPv6: the form is %v, want %v", got, vrrp.PseudoHeader)
	}
	two := params2()
	two.Checksum = vrrp.ChecksumRFC5798
	r2 := newRouter(t, two)
	accept(t, r2, upper, advert2(100), vrrp.MessageOnly)
	if got := r2.ChecksumFor(group); got != vrrp.MessageOnly {
		t.Errorf("version 2: the form is %v, want %v", got, vrrp.MessageOnly)
	}
	for _, r := range []*vrrp.Router{r, r2} {
		if got := r.Status().Counters.ChecksumVariant; got != 0 {
			t.Errorf("%d variants counted where there are none", got)
		}
	}
}

func TestStatusListsPeers(t *testing.T) {
	p := params()
	p.Preempt = false
	r := backup(t, p)
	drifted := advert(100)
	drifted.Interval, drifted.Addresses = time.Second, addrs("192.0.2.99")

	accept(t, r, upper, advert(150), vrrp.PseudoHeader)
	r.Receive(at(1), upper, advert(150))
	accept(t, r, lower, drifted, vrrp.MessageOnly)
	r.Receive(at(2), lower, drifted)
	accept(t, r, upper, advert(0), vrrp.PseudoHeader)

	want := []vrrp.PeerStatus{
		{Address: lower, Version: 3, Priority: 100, Interval: time.Second, Checksum: vrrp.MessageOnly, Heard: at(2), AddressesDiffer: true},
		{Address: upper, Version: 3, Priority: 0, Interval: interval, Checksum: vrrp.PseudoHeader, Heard: at(1)},
	}
	if diff := cmp.Diff(want, r.Status().Peers, byValue); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}

	t.Log("# what is shown survives the way to another process")
	text, err := json.Marshal(r.Status())
	if err != nil {
		t.Fatal(err)
	}
	var again vrrp.Status
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Status(), again, byValue); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// What a peer lists is read anew when it changes, and only then.
func TestDriftedAddresses(t *testing.T) {
	r := newRouter(t, params())
	steps := []struct {
		name   string
		list   []netip.Addr
		differ bool
	}{
		{"another list", addrs("192.0.2.99", "192.0.2.98"), true},
		{"the same again", addrs("192.0.2.99", "192.0.2.98"), true},
		{"yet another", addrs("192.0.2.99", "192.0.2.97"), true},
		{"repaired", []netip.Addr{vip}, false},
	}
	for _, s := range steps {
		a := advert(100)
		a.Addresses = s.list
		got, err := r.Accept(packet(t, upper, a, vrrp.PseudoHeader))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, got, byValue); diff != "" {
			t.Errorf("%s: advertisement (-want +got):\n%s", s.name, diff)
		}
		if got := r.Status().Peers[0].AddressesDiffer; got != s.differ {
			t.Errorf("%s: differs %v, want %v", s.name, got, s.differ)
		}
	}
	if got := r.Status().Counters.AddressMismatch; got != 3 {
		t.Errorf("%d mismatches counted, want 3", got)
	}
}

// However many senders there are, what is remembered is bounded, and the newest
// are.
func TestPeersAreBounded(t *testing.T) {
	r := newRouter(t, params())
	for i := range 20 {
		accept(t, r, netip.AddrFrom4([4]byte{192, 0, 2, byte(200 + i)}), advert(100), vrrp.MessageOnly)
		accept(t, r, upper, advert(100), vrrp.PseudoHeader)
	}
	got := r.Status().Peers
	if len(got) != 8 {
		t.Fatalf("%d peers remembered, want 8", len(got))
	}
	if got[0].Address != upper {
		t.Errorf("the first is %s, want %s", got[0].Address, upper)
	}
	if want := netip.MustParseAddr("192.0.2.213"); got[1].Address != want {
		t.Errorf("the oldest but one is %s, want %s", got[1].Address, want)
	}
	if form := r.ChecksumFor(netip.MustParseAddr("192.0.2.200")); form != vrrp.PseudoHeader {
		t.Errorf("a forgotten peer is sent %v, want %v", form, vrrp.PseudoHeader)
	}
}
