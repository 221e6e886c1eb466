package vrrp_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// unhex decodes hexadecimal with spaces between the fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("bad test data: %v", err)
	}
	return b
}

func addrs(ss ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range ss {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

var (
	header4 = vrrp.Header{
		Source:      netip.MustParseAddr("192.0.2.251"),
		Destination: netip.MustParseAddr("224.0.0.18"),
	}
	header6 = vrrp.Header{
		Source:      netip.MustParseAddr("fe80::5890:86ff:fe3f:2832"),
		Destination: netip.MustParseAddr("ff02::12"),
	}
)

// golden holds messages captured from keepalived 2.2.7, but for the one whose
// checksum it cannot make.
var golden = []struct {
	name   string
	header vrrp.Header
	form   vrrp.ChecksumForm
	advert vrrp.Advert
	bytes  string
}{
	{
		name: "version 3, IPv4, pseudo-header", header: header4, form: vrrp.PseudoHeader,
		advert: vrrp.Advert{Version: 3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond,
			Addresses: addrs("192.0.2.1")},
		bytes: "31 33 c8 01 000a a134 c0000201",
	},
	{
		name: "version 3, IPv4, message only", header: header4, form: vrrp.MessageOnly,
		advert: vrrp.Advert{Version: 3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond,
			Addresses: addrs("192.0.2.1")},
		bytes: "31 33 c8 01 000a 44bf c0000201",
	},
	{
		name: "version 3, IPv6", header: header6, form: vrrp.PseudoHeader,
		advert: vrrp.Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second,
			Addresses: addrs("fe80::1:51", "2001:db8::1")},
		bytes: "31 33 c8 02 0064 d5a8" +
			"fe80 0000 0000 0000 0000 0000 0001 0051" +
			"2001 0db8 0000 0000 0000 0000 0000 0001",
	},
	{
		name: "version 2", header: header4, form: vrrp.MessageOnly,
		advert: vrrp.Advert{Version: 2, VRID: 51, Priority: 200, Interval: time.Second,
			Addresses: addrs("192.0.2.1")},
		bytes: "21 33 c8 01 00 01 54c8 c0000201 0000000000000000",
	},
	{
		name: "version 2, resigning", header: header4, form: vrrp.MessageOnly,
		advert: vrrp.Advert{Version: 2, VRID: 51, Priority: 0, Interval: time.Second,
			Addresses: addrs("192.0.2.1")},
		bytes: "21 33 00 01 00 01 1cc9 c0000201 0000000000000000",
	},
}

func TestAdvertGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.bytes)
			got, err := tt.advert.Append([]byte("before"), tt.header, tt.form)
			if err != nil {
				t.Fatalf("append: %v", err)
			}
			if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
				t.Errorf("appended bytes (-want +got):\n%s", diff)
			}
			advert, form, err := vrrp.ParseAdvert(want, tt.header)
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			if diff := cmp.Diff(tt.advert, advert, byValue); diff != "" {
				t.Errorf("parsed advertisement (-want +got):\n%s", diff)
			}
			if form != tt.form {
				t.Errorf("checksum form is %v, want %v", form, tt.form)
			}
		})
	}
}

// Where there is one form alone, asking for the other changes nothing.
func TestAdvertChecksumFormWithoutChoice(t *testing.T) {
	for _, tt := range golden {
		if tt.advert.Version == 3 && tt.header == header4 {
			continue
		}
		for _, form := range []vrrp.ChecksumForm{vrrp.PseudoHeader, vrrp.MessageOnly} {
			got, err := tt.advert.Append(nil, tt.header, form)
			if err != nil {
				t.Fatalf("%s: append: %v", tt.name, err)
			}
			if diff := cmp.Diff(unhex(t, tt.bytes), got); diff != "" {
				t.Errorf("%s, asked for %v (-want +got):\n%s", tt.name, form, diff)
			}
		}
	}
}

func TestAdvertAppendRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*vrrp.Advert, *vrrp.Header)
		want   string
	}{
		{"unknown version", func(a *vrrp.Advert, _ *vrrp.Header) { a.Version = 4 },
			"encode advertisement of VRID 51: version 4: want 2 or 3"},
		{"VRID 0", func(a *vrrp.Advert, _ *vrrp.Header) { a.VRID = 0 },
			"encode advertisement of VRID 0: VRID 0 is reserved"},
		{"no interval", func(a *vrrp.Advert, _ *vrrp.Header) { a.Interval = 0 },
			"encode advertisement of VRID 51: interval 0s of version 3: want 10ms..40.95s in steps of 10ms"},
		{"interval too long", func(a *vrrp.Advert, _ *vrrp.Header) { a.Interval = vrrp.MaxInterval + vrrp.MinInterval },
			"encode advertisement of VRID 51: interval 40.96s of version 3: want 10ms..40.95s in steps of 10ms"},
		{"interval between steps", func(a *vrrp.Advert, _ *vrrp.Header) { a.Interval += time.Millisecond },
			"encode advertisement of VRID 51: interval 101ms of version 3: want 10ms..40.95s in steps of 10ms"},
		{"fraction of a second in version 2", func(a *vrrp.Advert, _ *vrrp.Header) { a.Version = 2 },
			"encode advertisement of VRID 51: interval 100ms of version 2: want 1s..4m15s in steps of 1s"},
		{"no address", func(a *vrrp.Advert, _ *vrrp.Header) { a.Addresses = nil },
			"encode advertisement of VRID 51: 0 addresses: want 1..255"},
		{"too many addresses", func(a *vrrp.Advert, _ *vrrp.Header) { a.Addresses = make([]netip.Addr, 256) },
			"encode advertisement of VRID 51: 256 addresses: want 1..255"},
		{"address of the other family", func(a *vrrp.Advert, _ *vrrp.Header) { a.Addresses = addrs("fe80::1") },
			`encode advertisement of VRID 51: address "fe80::1" in a packet from "192.0.2.251"`},
		{"empty address", func(a *vrrp.Advert, _ *vrrp.Header) { a.Addresses = []netip.Addr{{}} },
			`encode advertisement of VRID 51: address "invalid IP" in a packet from "192.0.2.251"`},
		{"no source", func(_ *vrrp.Advert, h *vrrp.Header) { h.Source = netip.Addr{} },
			`encode advertisement of VRID 51: packet from "invalid IP" to "224.0.0.18"`},
		{"two families in the header", func(_ *vrrp.Advert, h *vrrp.Header) { h.Destination = header6.Destination },
			`encode advertisement of VRID 51: packet from "192.0.2.251" to "ff02::12"`},
		{"IPv6 in version 2", func(a *vrrp.Advert, h *vrrp.Header) { *h = header6; a.Version = 2; a.Interval = time.Second },
			`encode advertisement of VRID 51: version 2 from "fe80::5890:86ff:fe3f:2832": it knows IPv4 alone`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, h := golden[0].advert, header4
			tt.change(&a, &h)
			got, err := a.Append([]byte("kept"), h, vrrp.PseudoHeader)
			if err == nil {
				t.Fatalf("appended % x, want an error", got)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if string(got) != "kept" {
				t.Errorf("buffer is %q after the error, want it as it was", got)
			}
		})
	}
}
