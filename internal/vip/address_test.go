package vip

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	for b = append(b, value...); len(b)%4 != 0; {
		b = append(b, 0)
	}
	return b
}

func cacheInfo(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return attribute(unix.IFA_CACHEINFO, b...)
}

// addressMessage is about an IPv4 address on interface 2.
func addressMessage(bits byte, attributes ...[]byte) []byte {
	b := []byte{unix.AF_INET, bits, 0, 0}
	b = binary.NativeEndian.AppendUint32(b, 2)
	for _, a := range attributes {
		b = append(b, a...)
	}
	return b
}

// ipv6Message is about an IPv6 address without duplicate address detection on
// interface 2.
func ipv6Message(bits byte, attributes ...[]byte) []byte {
	b := addressMessage(bits, attributes...)
	b[0], b[2] = unix.AF_INET6, unix.IFA_F_NODAD
	return b
}

func TestParseAddress(t *testing.T) {
	local := attribute(unix.IFA_LOCAL, 192, 0, 2, 100)
	for _, tt := range []struct {
		name    string
		message []byte
		want    address
		wantErr string
	}{
		{
			"with lifetime",
			addressMessage(24, local, attribute(unix.IFA_LABEL, []byte("eth0\x00")...), cacheInfo(1, 2, 3, 4)),
			address{index: 2, ifname: "eth0", prefix: front, valid: 2, created: 3, updated: 4}, "",
		},
		{
			"without",
			addressMessage(24, local),
			address{index: 2, prefix: front, valid: forever}, "",
		},
		{
			"alias label",
			addressMessage(24, local, attribute(unix.IFA_LABEL, []byte("eth0:vip\x00")...)),
			address{index: 2, ifname: "eth0", prefix: front, valid: forever}, "",
		},
		{
			"point to point: ours is the local one",
			addressMessage(24, attribute(unix.IFA_ADDRESS, 203, 0, 113, 1), local),
			address{index: 2, prefix: front, valid: forever}, "",
		},
		{
			"IPv6",
			ipv6Message(64, attribute(unix.IFA_ADDRESS, front6.Addr().AsSlice()...), cacheInfo(0, 2, 3, 4)),
			address{index: 2, prefix: front6, flags: unix.IFA_F_NODAD, valid: 2, created: 3, updated: 4}, "",
		},
		{
			"IPv6 with another at the other end",
			ipv6Message(64, attribute(unix.IFA_LOCAL, front6.Addr().AsSlice()...), attribute(unix.IFA_ADDRESS, netip.MustParseAddr("2001:db8::2").AsSlice()...)),
			address{index: 2, prefix: front6, flags: unix.IFA_F_NODAD, valid: forever}, "",
		},
		{"IPv4 of the other end alone", addressMessage(24, attribute(unix.IFA_ADDRESS, 203, 0, 113, 1)), address{}, "no address with 24 bits of network in the message"},
		{"empty", nil, address{}, "address message of 0 bytes"},
		{"not padded", addressMessage(24, local)[:15], address{}, "address message of 15 bytes"},
		{"cut", addressMessage(24, local)[:12], address{}, "attributes of an address on interface 2: invalid argument"},
		{"no address", addressMessage(24), address{}, "no address with 24 bits of network in the message"},
		{"33 bits", addressMessage(33, local), address{}, "no address with 33 bits of network in the message"},
		{"short lifetime", addressMessage(24, local, cacheInfo(1, 2, 3)), address{}, "lifetime of 12 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseAddress(tt.message)
			opts := cmp.Options{
				cmp.AllowUnexported(address{}),
				cmpopts.EquateComparable(netip.Prefix{}),
			}
			if diff := cmp.Diff(tt.want, got, opts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(tt.wantErr, message); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add(addressMessage(24, attribute(unix.IFA_LOCAL, 192, 0, 2, 100), cacheInfo(1, 2, 3, 4)))
	f.Add(ipv6Message(64, attribute(unix.IFA_ADDRESS, front6.Addr().AsSlice()...)))
	f.Add(addressMessage(32, attribute(unix.IFA_LABEL, 'e', 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAddress(b)
		if err == nil && !a.prefix.IsValid() {
			t.Errorf("%+v without an error", a)
		}
		if err != nil && a != (address{}) {
			t.Errorf("%+v with error %v", a, err)
		}
	})
}
