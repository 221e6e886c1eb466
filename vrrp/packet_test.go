package vrrp_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// captured is a whole IPv4 packet of keepalived 2.2.7: precedence CS6, a Router
// option is absent, TTL 255.
const (
	capturedHeader = "45 c0 0020 0001 0000 ff 70 179f c00002fb e0000012"
	capturedBody   = "31 33 c8 01 000a a134 c0000201"
)

func TestParseIPv4(t *testing.T) {
	body := unhex(t, capturedBody)
	want := vrrp.Packet{Header: header4, TTL: 255, Payload: body}
	tests := []struct {
		name  string
		bytes string
		want  vrrp.Packet
	}{
		{"captured", capturedHeader + capturedBody, want},
		// The header is as long as it says, and so is the packet.
		{"Ethernet padding", capturedHeader + capturedBody + "0000 0000 0000 0000 0000 0000 0000", want},
		{"router alert option", "46 c0 0024 0001 0000 ff 70 0000 c00002fb e0000012 94040000" + capturedBody, want},
		{"forwarded", "45 c0 0020 0001 0000 fe 70 179f c00002fb e0000012" + capturedBody,
			vrrp.Packet{Header: header4, TTL: 254, Payload: body}},
		{"header alone", "45 c0 0014 0001 0000 ff 70 179f c00002fb e0000012",
			vrrp.Packet{Header: header4, TTL: 255, Payload: []byte{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := vrrp.ParseIPv4(unhex(t, tt.bytes))
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			if diff := cmp.Diff(tt.want, got, byValue); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseIPv4Drops(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  vrrp.Drop
	}{
		{"empty", "", vrrp.DropIPHeader},
		{"19 bytes", "45c000130001 0000 ff 70 179f c00002fb e00000", vrrp.DropIPHeader},
		{"IPv6", "65 c0 0020 0001 0000 ff 70 179f c00002fb e0000012" + capturedBody, vrrp.DropIPHeader},
		{"header shorter than the fixed fields", "44 c0 0020 0001 0000 ff 70 179f c00002fb e0000012" + capturedBody, vrrp.DropIPHeader},
		{"header longer than the packet", "4f c0 0020 0001 0000 ff 70 179f c00002fb e0000012" + capturedBody, vrrp.DropIPHeader},
		{"total length 0", "45 c0 0000 0001 0000 ff 70 179f c00002fb e0000012" + capturedBody, vrrp.DropIPHeader},
		{"cut off", "45 c0 0021 0001 0000 ff 70 179f c00002fb e0000012" + capturedBody, vrrp.DropIPHeader},
		{"UDP", "45 c0 0020 0001 0000 ff 11 179f c00002fb e0000012" + capturedBody, vrrp.DropProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := vrrp.ParseIPv4(unhex(t, tt.bytes))
			if got := vrrp.DropOf(err); got != tt.want {
				t.Errorf("drop reason is %q (%v), want %q", got, err, tt.want)
			}
			if diff := cmp.Diff(vrrp.Packet{}, p, byValue); diff != "" {
				t.Errorf("packet beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPeekVRID(t *testing.T) {
	if vrid, ok := vrrp.PeekVRID(unhex(t, capturedBody)); vrid != 51 || !ok {
		t.Errorf("got %d, %v; want 51, true", vrid, ok)
	}
	if vrid, ok := vrrp.PeekVRID(unhex(t, "31 33 c8 01 000a a1")); ok {
		t.Errorf("got %d from a message of 7 bytes, want none", vrid)
	}
}

// What is received is addressed as it was sent, whichever way it came.
func TestCapturedPacketIsAccepted(t *testing.T) {
	packet, err := vrrp.ParseIPv4(unhex(t, capturedHeader+capturedBody))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	p := params()
	p.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if _, err := newRouter(t, p).Accept(packet); err != nil {
		t.Errorf("accept: %v", err)
	}
}
