package netio

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var vip = netip.MustParseAddr("192.0.2.100")

func (h host) dialARP() *ARP {
	h.t.Helper()
	var a *ARP
	h.do(func() {
		var err error
		a, err = DialARP("eth0")
		must(h.t, err)
	})
	h.t.Cleanup(func() { a.Close() })
	return a
}

// announcement is the frame that announces 192.0.2.100 at mac, field by field.
func announcement(op byte, mac, target net.HardwareAddr) []byte {
	return bytes.Join([][]byte{
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac, {0x08, 0x06}, // Ethernet: to all, from mac, ARP
		{0x00, 0x01, 0x08, 0x00, 6, 4}, // Ethernet and IPv4 addresses
		{0, op},
		mac, {192, 0, 2, 100}, // sender
		target, {192, 0, 2, 100}, // target
		make([]byte, 18), // Ethernet's minimum of 60 bytes
	}, nil)
}

func TestAnnouncementBytes(t *testing.T) {
	a, b := newHosts(t)
	frames := b.capture(unix.ETH_P_ARP)
	arp := a.dialARP()
	check := func() {
		t.Helper()
		must(t, arp.Announce(vip))
		mac, all := a.mac(), net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		for _, want := range [][]byte{announcement(1, mac, all), announcement(2, mac, mac)} {
			got := frames.next(func([]byte) bool { return true })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		}
	}
	check()
	t.Log("# the interface gets another MAC address")
	must(t, a.nl.LinkSetHardwareAddr(a.link(), net.HardwareAddr{0x02, 0, 0, 0, 0, 0x42}))
	check()
}

func TestNeighboursFollowTheAnnouncement(t *testing.T) {
	a, b := newHosts(t)
	arp := a.dialARP()
	for range 2 {
		t.Log("# the neighbour has just heard that the address is elsewhere")
		must(t, b.nl.NeighSet(&netlink.Neigh{
			LinkIndex:    b.link().Attrs().Index,
			IP:           vip.AsSlice(),
			HardwareAddr: net.HardwareAddr{0x02, 0, 0, 0, 0, 0x99},
			State:        netlink.NUD_REACHABLE,
		}))
		must(t, arp.Announce(vip))
		eventually(t, "neighbour entry with the announced MAC address", func() bool {
			neighbours, err := b.nl.NeighList(b.link().Attrs().Index, netlink.FAMILY_V4)
			must(t, err)
			for _, n := range neighbours {
				if n.IP.Equal(net.IP(vip.AsSlice())) {
					return bytes.Equal(n.HardwareAddr, a.mac())
				}
			}
			return false
		})
	}
}

func TestARPSocketReceivesNothing(t *testing.T) {
	a, b := newHosts(t)
	arp := a.dialARP()
	arrived := a.capture(unix.ETH_P_ARP)
	other := b.dialARP()
	must(t, other.Announce(vip))
	arrived.next(func([]byte) bool { return true })
	arrived.next(func([]byte) bool { return true })
	must(t, arp.conn.raw.Control(func(fd uintptr) {
		if n, err := unix.Read(int(fd), make([]byte, 100)); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("read of the ARP socket = %d, %v; want EAGAIN", n, err)
		}
	}))
}

func TestAnnounceErrors(t *testing.T) {
	for _, tt := range []struct {
		name      string
		breakIt   func(a host)
		addr      netip.Addr
		want      string
		retryable bool
	}{
		{
			"link down", func(a host) { a.down() }, vip,
			`announce 192.0.2.100 on "eth0": network is down`, true,
		},
		{
			"interface deleted", func(a host) { must(a.t, a.nl.LinkDel(a.link())) }, vip,
			`announce 192.0.2.100 on "eth0": the interface was deleted: no such device`, true,
		},
		{
			"IPv6 address", func(host) {}, netip.MustParseAddr("2001:db8::100"),
			`announce 2001:db8::100 on "eth0": invalid IPv4 address`, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newHosts(t)
			arp := a.dialARP()
			tt.breakIt(a)
			err := arp.Announce(tt.addr)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := Retryable(err); got != tt.retryable {
				t.Errorf("Retryable = %t, want %t", got, tt.retryable)
			}
		})
	}
}

func TestDialARPErrors(t *testing.T) {
	for _, tt := range []struct {
		name      string
		prepare   func(a host)
		ifname    string
		want      string
		retryable bool
	}{
		{"no such interface", func(host) {}, "eth7", `"eth7": no such device`, true},
		{"loopback", func(host) {}, "lo", "not an Ethernet interface", false},
		{"no IPv4 address", func(a host) { a.remove("192.0.2.1/24") }, "eth0", "no IPv4 address", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newHosts(t)
			tt.prepare(a)
			a.do(func() {
				_, err := DialARP(tt.ifname)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want %q in it", err, tt.want)
				}
				if got := Retryable(err); got != tt.retryable {
					t.Errorf("Retryable = %t, want %t", got, tt.retryable)
				}
			})
		})
	}
}
