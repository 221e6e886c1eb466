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

var (
	vip  = netip.MustParseAddr("192.0.2.100")
	vip6 = netip.MustParseAddr("2001:db8::1:100")
)

func (h host) announcer(virtualMAC net.HardwareAddr) *Announcer {
	h.t.Helper()
	var a *Announcer
	h.do(func() {
		var err error
		a, err = DialAnnouncer("eth0", virtualMAC)
		must(h.t, err)
	})
	h.t.Cleanup(func() { a.Close() })
	return a
}

// arpBytes is an ARP frame to all, field by field.
func arpBytes(op byte, mac net.HardwareAddr, sender string, targetMAC net.HardwareAddr, target string) []byte {
	return bytes.Join([][]byte{
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac, {0x08, 0x06}, // Ethernet: to all, from mac, ARP
		{0x00, 0x01, 0x08, 0x00, 6, 4}, // Ethernet and IPv4 addresses
		{0, op},
		mac, netip.MustParseAddr(sender).AsSlice(),
		targetMAC, netip.MustParseAddr(target).AsSlice(),
		make([]byte, 18), // Ethernet's minimum of 60 bytes
	}, nil)
}

// checkFrame compares frames. The ICMPv6 checksum is taken from got, once it is
// known to be right.
func checkFrame(t *testing.T, want, got []byte) {
	t.Helper()
	if len(got) > 14+40 && got[12] == 0x86 {
		pseudo := bytes.Join([][]byte{got[22:54], {0, 0}, got[18:20], {0, 0, 0, 58}, got[54:]}, nil)
		if sum := checksum(pseudo); sum != 0 {
			t.Errorf("checksum over the message with its checksum = %#x, want 0", sum)
		}
		copy(want[56:58], got[56:58])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frame (-want +got):\n%s", diff)
	}
}

func TestIPv4AnnouncementBytes(t *testing.T) {
	a, b := newHosts(t)
	frames := b.capture(unix.ETH_P_ARP)
	check := func(announcer *Announcer, mac net.HardwareAddr) {
		t.Helper()
		must(t, announcer.Announce(vip))
		for _, want := range [][]byte{
			arpBytes(1, mac, "192.0.2.100", broadcast(), "192.0.2.100"),
			arpBytes(2, mac, "192.0.2.100", mac, "192.0.2.100"),
		} {
			checkFrame(t, want, frames.next(func([]byte) bool { return true }))
		}
	}
	own, virtual := a.announcer(nil), a.announcer(virtualMAC)
	check(own, a.mac())
	check(virtual, virtualMAC)
	t.Log("# the interface gets another MAC address")
	other := net.HardwareAddr{0x02, 0, 0, 0, 0, 0x42}
	must(t, a.nl.LinkSetHardwareAddr(a.link(), other))
	check(own, other)
	check(virtual, virtualMAC)
}

// RFC 9568, section 6.4.2: an unsolicited neighbour advertisement with the flags R
// and O, and without S. But R says that the host is a router, which one that does
// not forward is not.
func TestIPv6AnnouncementBytes(t *testing.T) {
	a, b := newHosts(t)
	frames := b.capture(unix.ETH_P_IPV6)
	announcers := map[string]*Announcer{"": a.announcer(nil), virtualMAC.String(): a.announcer(virtualMAC)}
	for _, tt := range []struct {
		forwarding string
		flags      byte
	}{{"0", 0x20}, {"1", 0xa0}, {"0", 0x20}} {
		a.sysctl("net/ipv6/conf/eth0/forwarding", tt.forwarding)
		for name, announcer := range announcers {
			mac := virtualMAC
			if name == "" {
				mac = a.mac()
			}
			must(t, announcer.Announce(vip6))
			got := frames.next(func(f []byte) bool { return f[54] == 136 && bytes.Equal(f[22:38], vip6.AsSlice()) })
			checkFrame(t, bytes.Join([][]byte{
				{0x33, 0x33, 0x00, 0x00, 0x00, 0x01}, mac, {0x86, 0xdd},
				{0x60, 0, 0, 0, 0, 32, 58, 255},
				vip6.AsSlice(), netip.MustParseAddr("ff02::1").AsSlice(),
				{136, 0, 0, 0}, {tt.flags, 0, 0, 0}, vip6.AsSlice(),
				{2, 1}, mac, // target link-layer address
			}, nil), got)
		}
	}
}

func TestProbeBytes(t *testing.T) {
	a, b := newHosts(t)
	for _, virtual := range []net.HardwareAddr{nil, virtualMAC} {
		announcer := a.announcer(virtual)
		t.Log("# RFC 5227, section 2.1.1: the sender is 0.0.0.0, the target MAC address all zeros")
		frames := b.capture(unix.ETH_P_ARP)
		must(t, announcer.Probe(vip))
		checkFrame(t, arpBytes(1, a.mac(), "0.0.0.0", make([]byte, 6), "192.0.2.100"),
			frames.next(func([]byte) bool { return true }))

		t.Log("# RFC 4862, section 5.4.2: from the unspecified address to the solicited-node group")
		frames = b.capture(unix.ETH_P_IPV6)
		must(t, announcer.Probe(vip6))
		checkFrame(t, bytes.Join([][]byte{
			{0x33, 0x33, 0xff, 0x01, 0x01, 0x00}, a.mac(), {0x86, 0xdd},
			{0x60, 0, 0, 0, 0, 24, 58, 255},
			netip.IPv6Unspecified().AsSlice(), netip.MustParseAddr("ff02::1:ff01:0100").AsSlice(),
			{135, 0, 0, 0}, {0, 0, 0, 0}, vip6.AsSlice(),
		}, nil), frames.next(func(f []byte) bool { return f[54] == 135 && bytes.Equal(f[62:78], vip6.AsSlice()) }))
	}
}

func TestOtherOwnerAnswersAProbe(t *testing.T) {
	for _, tt := range []struct {
		cidr      string
		addr      netip.Addr
		etherType uint16
		answer    func(f []byte) bool
	}{
		{
			"192.0.2.100/24", vip, unix.ETH_P_ARP,
			func(f []byte) bool { return f[21] == 2 && bytes.Equal(f[28:32], vip.AsSlice()) },
		},
		{
			"2001:db8::1:100/64", vip6, unix.ETH_P_IPV6,
			func(f []byte) bool { return f[54] == 136 && bytes.Equal(f[62:78], vip6.AsSlice()) },
		},
	} {
		t.Run(tt.cidr, func(t *testing.T) {
			a, b := newHosts(t)
			announcer := a.announcer(nil)
			b.add(tt.cidr)
			frames := a.capture(tt.etherType)
			var answer []byte
			eventually(t, "answer", func() bool { // the kernel joins the solicited-node group a little later
				must(t, announcer.Probe(tt.addr))
				answer = frames.poll(tt.answer)
				return answer != nil
			})
			if !bytes.Equal(answer[6:12], b.mac()) {
				t.Errorf("answer from % x, want the other host's % x", answer[6:12], b.mac())
			}
			t.Log("# and the other host has not learned anything from the question")
			for _, n := range b.neighbours() {
				if n.IP.IsUnspecified() {
					t.Errorf("neighbour entry %v", n)
				}
			}
		})
	}
}

func (h host) neighbours() []netlink.Neigh {
	h.t.Helper()
	all, err := h.nl.NeighList(h.link().Attrs().Index, netlink.FAMILY_ALL)
	must(h.t, err)
	return all
}

func TestNeighboursFollowTheAnnouncement(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		t.Run(addr.String(), func(t *testing.T) {
			a, b := newHosts(t)
			for _, virtual := range []net.HardwareAddr{nil, virtualMAC, nil} {
				announcer, mac := a.announcer(virtual), virtual
				if mac == nil {
					mac = a.mac()
				}
				t.Log("# the neighbour has just heard that the address is elsewhere")
				must(t, b.nl.NeighSet(&netlink.Neigh{
					LinkIndex:    b.link().Attrs().Index,
					IP:           addr.AsSlice(),
					HardwareAddr: net.HardwareAddr{0x02, 0, 0, 0, 0, 0x99},
					State:        netlink.NUD_REACHABLE,
				}))
				must(t, announcer.Announce(addr))
				eventually(t, "neighbour entry with the announced MAC address", func() bool {
					for _, n := range b.neighbours() {
						if n.IP.Equal(net.IP(addr.AsSlice())) {
							return bytes.Equal(n.HardwareAddr, mac)
						}
					}
					return false
				})
			}
		})
	}
}

func TestFramesIsWhatAnAnnouncementTakes(t *testing.T) {
	a, b := newHosts(t)
	announcer := a.announcer(nil)
	for _, tt := range []struct {
		addr      netip.Addr
		etherType uint16
	}{{vip, unix.ETH_P_ARP}, {vip6, unix.ETH_P_IPV6}} {
		frames := b.capture(tt.etherType)
		must(t, announcer.Announce(tt.addr))
		t.Log("# the probe is the first frame that is no announcement")
		must(t, announcer.Probe(tt.addr))
		announced := 0
		frames.next(func(f []byte) bool {
			ours := bytes.Contains(f, tt.addr.AsSlice())
			probe := ours && (f[54] == 135 || tt.addr.Is4() && bytes.Equal(f[28:32], make([]byte, 4)))
			if ours && !probe {
				announced++
			}
			return probe
		})
		if want := Frames(tt.addr); announced != want {
			t.Errorf("%d frames announced %s, want %d", announced, tt.addr, want)
		}
	}
}

func TestAnnouncerReceivesNothing(t *testing.T) {
	a, b := newHosts(t)
	announcer := a.announcer(nil)
	arrived := a.capture(unix.ETH_P_ARP)
	must(t, b.announcer(nil).Announce(vip))
	arrived.next(func([]byte) bool { return true })
	arrived.next(func([]byte) bool { return true })
	must(t, announcer.conn.raw.Control(func(fd uintptr) {
		if n, err := unix.Read(int(fd), make([]byte, 100)); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("read of the socket = %d, %v; want EAGAIN", n, err)
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
		{"link down", func(a host) { a.down() }, vip, `192.0.2.100 on "eth0": network is down`, true},
		{"link down, IPv6", func(a host) { a.down() }, vip6, `2001:db8::1:100 on "eth0": network is down`, true},
		{
			"interface deleted", func(a host) { must(a.t, a.nl.LinkDel(a.link())) }, vip6,
			`2001:db8::1:100 on "eth0": the interface was deleted: no such device`, true,
		},
		{
			"no address", func(host) {}, netip.Addr{},
			`invalid IP on "eth0": "invalid IP" is not the address of a host`, false,
		},
		{
			"group", func(host) {}, group6(),
			`ff02::12 on "eth0": "ff02::12" is not the address of a host`, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newHosts(t)
			announcer := a.announcer(nil)
			tt.breakIt(a)
			for verb, err := range map[string]error{"announce ": announcer.Announce(tt.addr), "probe for ": announcer.Probe(tt.addr)} {
				if err == nil {
					t.Fatalf("%s: no error", verb)
				}
				if diff := cmp.Diff(verb+tt.want, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if got := Retryable(err); got != tt.retryable {
					t.Errorf("Retryable = %t, want %t", got, tt.retryable)
				}
			}
		})
	}
}

func TestAnnouncingOfARenamedInterface(t *testing.T) {
	a, _ := newHosts(t)
	announcer := a.announcer(nil)
	a.down()
	must(t, a.nl.LinkSetName(a.link(), "eth1"))
	if err := announcer.Announce(vip6); !errors.Is(err, unix.ENODEV) || !Retryable(err) {
		t.Errorf("error %v, want a retryable ENODEV", err)
	}
}

func TestHostWithoutIPv6AnnouncesIPv4(t *testing.T) {
	a, _ := newHosts(t)
	must(t, a.nl.LinkSetMTU(a.link(), 1000)) // IPv6 leaves an interface below 1280
	announcer := a.announcer(nil)
	must(t, announcer.Announce(vip))
	if err := announcer.Announce(vip6); err == nil || !strings.Contains(err.Error(), "no IPv6") || Retryable(err) {
		t.Errorf("error %v, want a final one that says that there is no IPv6", err)
	}
}

func TestHostWithoutIPv4AnnouncesBoth(t *testing.T) {
	a, b := newHosts(t)
	a.remove("192.0.2.1/24")
	frames := b.capture(unix.ETH_P_ARP)
	announcer := a.announcer(nil)
	must(t, announcer.Announce(vip6))
	must(t, announcer.Announce(vip))
	frames.next(func(f []byte) bool { return bytes.Equal(f[28:32], vip.AsSlice()) })
}

func TestDialAnnouncerErrors(t *testing.T) {
	for _, tt := range []struct {
		name       string
		ifname     string
		virtualMAC net.HardwareAddr
		want       string
		retryable  bool
	}{
		{"no such interface", "eth7", nil, `"eth7": no such device`, true},
		{"loopback", "lo", nil, "not an Ethernet interface", false},
		{"long MAC address", "eth0", make(net.HardwareAddr, 8), `virtual MAC address "00:00:00:00:00:00:00:00" does not have 6 bytes`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newHosts(t)
			a.do(func() {
				_, err := DialAnnouncer(tt.ifname, tt.virtualMAC)
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
