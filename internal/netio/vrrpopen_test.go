package netio

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestOpenErrors(t *testing.T) {
	a, _ := newHosts(t)
	a.add("2001:db8::1/64")
	for _, tt := range []struct {
		name, ifname, self string
		unicast            bool
		virtualMAC         net.HardwareAddr
		want               string
		retryable          bool
	}{
		{"no such interface", "eth7", "192.0.2.1", false, nil, `bind to device: no such device`, true},
		{"no address", "eth0", "0.0.0.0", false, nil, `source address: "0.0.0.0" is not the address of a host`, false},
		{"a group", "eth0", "ff02::12", false, nil, `source address: "ff02::12" is not the address of a host`, false},
		{"IPv4 in IPv6", "eth0", "::ffff:192.0.2.1", false, nil, `source address: "::ffff:192.0.2.1" is not the address of a host`, false},
		{
			"global IPv6 address", "eth0", "2001:db8::1", false, nil,
			`source address "2001:db8::1" is not link-local, as VRRP for IPv6 wants it`, false,
		},
		{"another interface's zone", "eth0", "fe80::1%eth1", false, nil, `source address "fe80::1%eth1" belongs to another interface`, false},
		{"short virtual MAC", "eth0", "192.0.2.1", false, net.HardwareAddr{0, 0, 0x5e}, `virtual MAC address "00:00:5e" does not have 6 bytes`, false},
		{
			"virtual MAC and unicast", "eth0", "192.0.2.1", true, virtualMAC,
			`unicast from a virtual MAC address is not possible: choose one of them`, false,
		},
		{"unicast without the address", "eth0", "192.0.2.7", true, nil, `bind to 192.0.2.7: cannot assign requested address`, true},
		{
			"IPv6 without the address", "eth0", "fe80::7", false, nil,
			`bind to fe80::7: cannot assign requested address: the interface does not have the address, or duplicate address detection has not passed it (yet)`, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.do(func() {
				_, err := OpenVRRP(VRRPOptions{
					Interface: tt.ifname, Self: netip.MustParseAddr(tt.self), Unicast: tt.unicast, VirtualMAC: tt.virtualMAC,
				})
				if err == nil {
					t.Fatal("no error")
				}
				if diff := cmp.Diff(`open VRRP socket on "`+tt.ifname+`": `+tt.want, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if got := Retryable(err); got != tt.retryable {
					t.Errorf("Retryable = %t, want %t", got, tt.retryable)
				}
			})
		})
	}
}

func TestZoneOfTheInterfaceIsAllowed(t *testing.T) {
	a, b := newHosts(t)
	receiver := b.listen("fe80::2")
	must(t, a.listen("fe80::1%eth0").Send(advert, netip.MustParseAddr("ff02::12%eth0")))
	if got := receive(t, receiver).Source.String(); got != "fe80::1" {
		t.Errorf("source %s, want fe80::1", got)
	}
}

// A tentative address may turn out to be another host's.
func TestTentativeAddressIsNotUsedYet(t *testing.T) {
	a, _ := newHosts(t)
	a.sysctl("net/ipv6/neigh/eth0/retrans_time_ms", "100")
	addr, err := netlink.ParseAddr("fe80::7/64")
	must(t, err)
	must(t, a.nl.AddrAdd(a.link(), addr))
	open := func() (err error) {
		a.do(func() {
			var c *VRRPConn
			if c, err = OpenVRRP(VRRPOptions{Interface: "eth0", Self: netip.MustParseAddr("fe80::7")}); err == nil {
				c.Close()
			}
		})
		return err
	}
	err = open()
	if !errors.Is(err, unix.EADDRNOTAVAIL) || !Retryable(err) || !strings.Contains(err.Error(), "duplicate address detection") {
		t.Errorf("error %v, want a retryable one that names duplicate address detection", err)
	}
	eventually(t, "socket on the address", func() bool { return open() == nil })
}

func TestUnicast(t *testing.T) {
	for _, tt := range []struct{ one, two string }{
		{"192.0.2.1", "192.0.2.2"}, {"fe80::1", "fe80::2"}, {"2001:db8::1", "2001:db8::2"},
	} {
		t.Run(tt.one, func(t *testing.T) {
			a, b := newHosts(t)
			a.add("2001:db8::1/64")
			b.add("2001:db8::2/64")
			t.Log("# addresses that the kernel might prefer")
			a.add("192.0.2.100/24")
			a.add("2001:db8::100/128")
			one, two := netip.MustParseAddr(tt.one), netip.MustParseAddr(tt.two)
			sender := a.open(VRRPOptions{Self: one, Unicast: true})
			receiver := b.open(VRRPOptions{Self: two, Unicast: true})
			must(t, sender.Send(advert, two))
			checkDatagram(t, Datagram{Source: one, Destination: two, TTL: 255, Payload: advert}, receive(t, receiver))

			t.Log("# what is sent to the group or to another of its addresses is not received")
			if one.IsLinkLocalUnicast() || one.Is4() {
				group := a.listen(tt.one)
				must(t, group.Send(advert[:8], group.group()))
			}
			b.add("192.0.2.102/24")
			b.add("2001:db8::102/64")
			other := netip.MustParseAddr("2001:db8::102")
			if one.Is4() {
				other = netip.MustParseAddr("192.0.2.102")
			}
			must(t, sender.Send(advert[:8], other))
			must(t, sender.Send(advert, two))
			if got := receive(t, receiver); len(got.Payload) != len(advert) {
				t.Errorf("received %+v, want what was sent to %s", got, two)
			}
		})
	}
}
