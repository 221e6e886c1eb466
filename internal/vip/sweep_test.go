package vip

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSweep(t *testing.T) {
	leftOver := func(cidr string) func(h host) {
		return func(h host) {
			table, err := New()
			must(h.t, err)
			defer table.Close()
			_, err = table.Hold("eth0", netip.MustParsePrefix(cidr), time.Hour)
			must(h.t, err)
		}
	}
	byHand := func(cidr string) func(h host) { return func(h host) { h.add(cidr) } }
	for _, tt := range []struct {
		name      string
		present   []func(h host)
		removed   []string
		remaining []string
		wantErr   string
	}{
		{"nothing left", nil, nil, []string{"192.0.2.1/24"}, ""},
		{
			"left by a crash",
			[]func(host){leftOver("192.0.2.100/24"), leftOver("192.0.2.101/24")},
			[]string{"192.0.2.100/24 on eth0", "192.0.2.101/24 on eth0"},
			[]string{"192.0.2.1/24"}, "",
		},
		{
			"prefix length was changed in the config",
			[]func(host){leftOver("192.0.2.100/32")},
			[]string{"192.0.2.100/32 on eth0"},
			[]string{"192.0.2.1/24"}, "",
		},
		{
			"of both families",
			[]func(host){leftOver("2001:db8::100/64"), leftOver("192.0.2.100/24"), leftOver("2001:db8::77/64")},
			[]string{"192.0.2.100/24 on eth0", "2001:db8::100/64 on eth0"},
			[]string{"192.0.2.1/24", "2001:db8::77/64"}, "",
		},
		{
			"IPv6 set by hand",
			[]func(host){byHand("2001:db8::100/64")},
			nil,
			[]string{"192.0.2.1/24", "2001:db8::100/64"},
			`2001:db8::100/64 on "eth0" is set permanently, but a virtual address must be left to this program: remove it with: ip addr del 2001:db8::100/64 dev eth0`,
		},
		{
			"of someone else",
			[]func(host){leftOver("192.0.2.77/24"), byHand("192.0.2.78/24")},
			nil,
			[]string{"192.0.2.1/24", "192.0.2.77/24", "192.0.2.78/24"}, "",
		},
		{
			"set by hand",
			[]func(host){byHand("192.0.2.100/24"), leftOver("192.0.2.101/24")},
			[]string{"192.0.2.101/24 on eth0"},
			[]string{"192.0.2.1/24", "192.0.2.100/24"},
			`192.0.2.100/24 on "eth0" is set permanently, but a virtual address must be left to this program: remove it with: ip addr del 192.0.2.100/24 dev eth0`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			for _, f := range tt.present {
				f(h)
			}
			removed, err := Sweep([]netip.Prefix{front, netip.MustParsePrefix("192.0.2.101/24"), front6})
			if diff := cmp.Diff(tt.removed, removed); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(tt.wantErr, message); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			h.expect(tt.remaining...)
		})
	}
}
