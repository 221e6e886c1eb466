package netio

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// virtualMAC is that of VRID 51 for IPv4.
var virtualMAC = net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, 0x01, 0x33}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	must(t, err)
	return b
}

// The header is the one that keepalived 2.2.7 sent before an advertisement of one
// IPv4 address.
func TestIPv4HeaderBytes(t *testing.T) {
	got := ipv4Header(netip.MustParseAddr("192.0.2.251"), group4(), 1, 12)
	want := unhex(t, "45c0 0020 0001 0000 ff70 179f c000 02fb e000 0012")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestIPv6HeaderBytes(t *testing.T) {
	got := ipv6Header(tos, protocol, netip.MustParseAddr("fe80::5890:86ff:fe3f:2832"), group6(), 40)
	want := unhex(t, "6c00 0000 0028 70ff fe80 0000 0000 0000 5890 86ff fe3f 2832 ff02 0000 0000 0000 0000 0000 0000 0012")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestGroupMAC(t *testing.T) {
	for group, want := range map[string]string{
		"224.0.0.18":         "01:00:5e:00:00:12",
		"239.255.1.2":        "01:00:5e:7f:01:02", // 23 bits of the address
		"ff02::12":           "33:33:00:00:00:12",
		"ff02::1:ffab:cd12":  "33:33:ff:ab:cd:12",
		"ff02::1:2:3456:789": "33:33:34:56:07:89",
	} {
		if got := groupMAC(netip.MustParseAddr(group)).String(); got != want {
			t.Errorf("MAC address of %s = %s, want %s", group, got, want)
		}
	}
}

// RFC 9568, section 7.2: the source MAC address is that of the virtual router. The
// packets are those of keepalived 2.2.7.
func TestFramesFromTheVirtualMAC(t *testing.T) {
	for _, tt := range []struct {
		name, self, peer string
		etherType        uint16
		group            netip.Addr
		message, frame   string
	}{
		{
			"IPv4", "192.0.2.251/24", "192.0.2.2", unix.ETH_P_IP, group4(),
			"3133 c801 000a a134 c000 0201",
			"0100 5e00 0012 0000 5e00 0133 0800" +
				"45c0 0020 0001 0000 ff70 179f c000 02fb e000 0012" +
				"3133 c801 000a a134 c000 0201" +
				"0000 0000 0000 0000 0000 0000 0000", // Ethernet's minimum of 60 bytes
		},
		{
			"IPv6", "fe80::5890:86ff:fe3f:2832/64", "fe80::2", unix.ETH_P_IPV6, group6(),
			"3133 c802 0064 d5a8 fe80 0000 0000 0000 0000 0000 0001 0051 2001 0db8 0000 0000 0000 0000 0000 0001",
			"3333 0000 0012 0000 5e00 0133 86dd" +
				"6c00 0000 0028 70ff fe80 0000 0000 0000 5890 86ff fe3f 2832 ff02 0000 0000 0000 0000 0000 0000 0012" +
				"3133 c802 0064 d5a8 fe80 0000 0000 0000 0000 0000 0001 0051 2001 0db8 0000 0000 0000 0000 0000 0001",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			a.add(tt.self)
			self := netip.MustParsePrefix(tt.self).Addr()
			frames, receiver := b.capture(tt.etherType), b.listen(tt.peer)
			sender := a.open(VRRPOptions{Self: self, VirtualMAC: virtualMAC})
			message := unhex(t, tt.message)
			must(t, sender.Send(message, tt.group))
			got := frames.next(func(f []byte) bool { return bytes.Equal(f[6:12], virtualMAC) })
			if diff := cmp.Diff(unhex(t, tt.frame), got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}

			t.Log("# another router hears it, the sender does not, and hears others")
			checkDatagram(t, Datagram{Source: self, Destination: tt.group, TTL: 255, Payload: message}, receive(t, receiver))
			must(t, receiver.Send(advert, tt.group))
			if got := receive(t, sender); got.Source != receiver.self {
				t.Errorf("heard %+v, want what the other host sent", got)
			}
		})
	}
}

// A router that gets fragments tells them apart by the identification.
func TestIdentificationDiffers(t *testing.T) {
	a, b := newHosts(t)
	frames := b.capture(unix.ETH_P_IP)
	sender := a.open(VRRPOptions{Self: netip.MustParseAddr("192.0.2.1"), VirtualMAC: virtualMAC})
	for id := range byte(3) {
		must(t, sender.Send(advert, group4()))
		f := frames.next(func(f []byte) bool { return bytes.Equal(f[6:12], virtualMAC) })
		if f[18] != 0 || f[19] != id+1 {
			t.Errorf("identification %x, want %d", f[18:20], id+1)
		}
		if sum := checksum(f[14:34]); sum != 0 {
			t.Errorf("checksum of the header with its checksum = %#x, want 0", sum)
		}
	}
}

func TestVirtualMACErrors(t *testing.T) {
	a, b := newHosts(t)
	c := a.open(VRRPOptions{Self: netip.MustParseAddr("192.0.2.1"), VirtualMAC: virtualMAC})
	a.down()
	if err := c.Send(advert, group4()); !errors.Is(err, unix.ENETDOWN) || !Retryable(err) {
		t.Errorf("Send on a link that is down = %v, want a retryable ENETDOWN", err)
	}
	a.up()
	a.awaitCarrier()
	must(t, c.Send(advert, group4()))
	must(t, a.nl.LinkDel(a.link()))
	if err := c.Send(advert, group4()); !errors.Is(err, unix.ENODEV) || !Retryable(err) {
		t.Errorf("Send on a deleted interface = %v, want a retryable ENODEV", err)
	}
	cable(a, b)
	must(t, c.Close())
	if err := c.Send(advert, group4()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send after Close = %v, want net.ErrClosed", err)
	}
	a.do(func() {
		_, err := OpenVRRP(VRRPOptions{Interface: "lo", Self: netip.MustParseAddr("127.0.0.1"), VirtualMAC: virtualMAC})
		if err == nil || !strings.Contains(err.Error(), "not an Ethernet interface") {
			t.Errorf("error %v, want one that says that lo is no Ethernet interface", err)
		}
	})
}
