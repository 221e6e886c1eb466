package netio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/await"
)

// advert is a VRRPv3 advertisement of VRID 51 for 192.0.2.100, checksum aside. A
// socket does not look into it, so that it serves IPv6 too.
var advert = []byte{0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 100}

// families are the addresses of the two hosts and of the group, and where a
// captured frame has what it carries.
var families = []struct {
	name                  string
	one, two, group       string
	etherType             uint16
	protocolAt, payloadAt int
}{
	{"IPv4", "192.0.2.1", "192.0.2.2", "224.0.0.18", unix.ETH_P_IP, 14 + 9, 14 + 20},
	{"IPv6", "fe80::1", "fe80::2", "ff02::12", unix.ETH_P_IPV6, 14 + 6, 14 + 40},
}

// group is where the adverts of c go.
func (c *VRRPConn) group() netip.Addr {
	if c.self.Is4() {
		return group4()
	}
	return group6()
}

// parse4 returns what an IPv6 socket would say about an IPv4 packet.
func parse4(packet []byte) Datagram {
	return Datagram{
		Source:      netip.AddrFrom4([4]byte(packet[12:16])),
		Destination: netip.AddrFrom4([4]byte(packet[16:20])),
		TTL:         packet[8],
		Payload:     packet[20:binary.BigEndian.Uint16(packet[2:])],
	}
}

// receive waits for the next packet of c.
func receive(t *testing.T, c *VRRPConn) Datagram {
	t.Helper()
	for {
		must(t, wait(c))
		d, ok, err := c.TryRead(make([]byte, 2048))
		must(t, err)
		switch {
		case !ok:
		case d.Packet != nil:
			return parse4(d.Packet)
		default:
			return d
		}
	}
}

func checkDatagram(t *testing.T, want, got Datagram) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("datagram (-want +got):\n%s", diff)
	}
}

func TestAdvertCrossesTheLink(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			sender, receiver := a.listen(tt.one), b.listen(tt.two)
			frames := b.capture(tt.etherType)
			must(t, sender.Send(advert, sender.group()))
			checkDatagram(t, Datagram{
				Source: sender.self, Destination: netip.MustParseAddr(tt.group), TTL: 255, Payload: advert,
			}, receive(t, receiver))

			t.Log("# and so it looked on the wire")
			frame := frames.next(func(f []byte) bool { return f[tt.protocolAt] == 112 })
			var want []byte
			if sender.self.Is4() {
				want = bytes.Join([][]byte{
					{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}, a.mac(), {0x08, 0x00},
					{0x45, 0xc0, 0, byte(20 + len(advert)), frame[18], frame[19], frame[20], frame[21]},
					{255, 112, frame[24], frame[25], 192, 0, 2, 1, 224, 0, 0, 18}, advert,
				}, nil)
			} else {
				want = bytes.Join([][]byte{
					{0x33, 0x33, 0x00, 0x00, 0x00, 0x12}, a.mac(), {0x86, 0xdd},
					{0x6c, frame[15] & 0xf, frame[16], frame[17], 0, byte(len(advert)), 112, 255},
					sender.self.AsSlice(), group6().AsSlice(), advert,
				}, nil)
			}
			if diff := cmp.Diff(want, frame); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

// RFC 9568, section 5.1.1.1: the source is the primary address of the interface;
// section 5.1.2.1: its link-local address.
func TestSourceIsSelfWhateverElseIsOnTheInterface(t *testing.T) {
	for _, tt := range []struct{ self, peer, vip string }{
		{"192.0.2.1/24", "192.0.2.2", "192.0.2.100/24"},
		{"192.0.2.1/24", "192.0.2.2", "192.0.2.100/32"},
		{"192.0.2.1/24", "192.0.2.2", "198.51.100.1/24"},
		{"fe80::1/64", "fe80::2", "fe80::100/64"},
		{"fe80::1/64", "fe80::2", "fe80::100/128"},
		{"fe80::1/64", "fe80::2", "2001:db8::100/64"},
	} {
		t.Run(tt.vip, func(t *testing.T) {
			a, b := newHosts(t)
			self := netip.MustParsePrefix(tt.self).Addr()
			receiver, sender := b.listen(tt.peer), a.listen(self.String())
			check := func() {
				t.Helper()
				must(t, sender.Send(advert, sender.group()))
				if got := receive(t, receiver).Source; got != self {
					t.Errorf("source %s, want %s", got, self)
				}
			}
			t.Log("# the virtual address comes last in the kernel's list")
			a.add(tt.vip)
			check()
			t.Log("# and first")
			a.remove(tt.self)
			if tt.vip == "192.0.2.100/24" {
				a.add(tt.vip) // it went with the address to which it was secondary
			}
			a.add(tt.self)
			check()
		})
	}
}

func TestOwnAdvertsAreNotHeard(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			one, two, other := a.listen(tt.one), a.listen(tt.one), b.listen(tt.two)
			must(t, one.Send(advert, one.group()))
			must(t, other.Send(advert[:8], one.group()))
			for _, c := range []*VRRPConn{one, two} {
				if got := receive(t, c); got.Source != other.self {
					t.Errorf("heard %+v, want what the other host sent", got)
				}
			}
		})
	}
}

func TestTryReadDoesNotBlock(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			c, other := a.listen(tt.one), b.listen(tt.two)
			buf := make([]byte, 100)
			if d, ok, err := c.TryRead(buf); ok || err != nil {
				t.Errorf("TryRead of an empty socket = %+v, %t, %v; want false, nil", d, ok, err)
			}
			must(t, other.Send(advert, other.group()))
			must(t, wait(c))
			if d, ok, err := c.TryRead(buf); len(d.Packet)+len(d.Payload) < len(advert) || !ok || err != nil {
				t.Errorf("TryRead after Wait = %+v, %t, %v; want the advert, true, nil", d, ok, err)
			}
			if d, ok, err := c.TryRead(buf); ok || err != nil {
				t.Errorf("second TryRead = %+v, %t, %v; want false, nil", d, ok, err)
			}
		})
	}
}

func TestPacketIsCutToTheBuffer(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			c, other := a.listen(tt.one), b.listen(tt.two)
			must(t, other.Send(advert, other.group()))
			must(t, wait(c))
			d, ok, err := c.TryRead(make([]byte, 5))
			if len(d.Packet)+len(d.Payload) != 5 || !ok || err != nil {
				t.Errorf("TryRead = %+v, %t, %v; want 5 bytes, true, nil", d, ok, err)
			}
		})
	}
}

// RFC 9568, section 5.1.2.3: whoever judges a packet must know its hop limit.
func TestHopLimitAsItArrived(t *testing.T) {
	a, b := newHosts(t)
	sender, receiver := a.listen("fe80::1"), b.listen("fe80::2")
	must(t, sender.raw.Control(func(fd uintptr) {
		must(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 64))
	}))
	must(t, sender.Send(advert, group6()))
	if got := receive(t, receiver).TTL; got != 64 {
		t.Errorf("TTL %d, want 64", got)
	}
}

func TestClosed(t *testing.T) {
	a, _ := newHosts(t)
	c := a.listen("192.0.2.1")
	must(t, c.Close())
	if _, _, err := c.TryRead(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryRead = %v, want net.ErrClosed", err)
	}
	if err := c.Send(advert, group4()); !errors.Is(err, net.ErrClosed) || Retryable(err) {
		t.Errorf("Send = %v, want net.ErrClosed, which is not retryable", err)
	}
}

func TestMembershipSurvivesLinkDown(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			sender, receiver := a.listen(tt.one), b.listen(tt.two)
			a.down()
			b.down()
			if err := sender.Send(advert, sender.group()); err == nil || !Retryable(err) {
				t.Errorf("Send on a link that is down = %v, want a retryable error", err)
			}
			a.up()
			b.up()
			a.awaitCarrier()
			b.awaitCarrier()
			if sender.self.Is6() {
				a.add("fe80::1/64") // which went with the link
			}
			must(t, sender.Send(advert, sender.group()))
			if got := receive(t, receiver).Payload; !bytes.Equal(got, advert) {
				t.Errorf("received % x, want % x", got, advert)
			}
		})
	}
}

func TestSendWithoutItsAddress(t *testing.T) {
	for _, tt := range []struct{ self, vip string }{
		{"192.0.2.1/24", "192.0.2.100/32"},
		{"fe80::1/64", "fe80::100/64"},
	} {
		for _, unicast := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, unicast %t", tt.self, unicast), func(t *testing.T) {
				a, b := newHosts(t)
				self := netip.MustParsePrefix(tt.self).Addr()
				c := a.open(VRRPOptions{Self: self, Unicast: unicast})
				to, peer := c.group(), netip.MustParseAddr("192.0.2.2")
				if self.Is6() {
					peer = netip.MustParseAddr("fe80::2")
				}
				if unicast {
					to = peer
				}
				receiver := b.open(VRRPOptions{Self: peer, Unicast: unicast})
				a.add(tt.vip)
				a.remove(tt.self)
				err := c.Send(advert, to)
				if !Retryable(err) || !strings.Contains(err.Error(), self.String()) {
					t.Errorf("Send = %v, want a retryable error that names the address", err)
				}
				a.add(tt.self)
				must(t, c.Send(advert, to))
				if got := receive(t, receiver).Source; got != self {
					t.Errorf("source %s, want %s", got, self)
				}
			})
		}
	}
}

func TestInterfaceReplaced(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newHosts(t)
			c := a.listen(tt.one)
			must(t, a.nl.LinkDel(a.link()))
			err := c.Send(advert, c.group())
			if !errors.Is(err, unix.ENODEV) || !Retryable(err) {
				t.Errorf("Send on a deleted interface = %v, want a retryable ENODEV", err)
			}
			t.Log("# an interface of the same name needs a new socket")
			cable(a, b)
			if err := c.Send(advert, c.group()); !errors.Is(err, unix.ENODEV) {
				t.Errorf("Send = %v, want ENODEV", err)
			}
			receiver := b.listen(tt.two)
			must(t, a.listen(tt.one).Send(advert, c.group()))
			receive(t, receiver)
		})
	}
}

func TestDestinationFitsTheSocket(t *testing.T) {
	a, _ := newHosts(t)
	group := a.listen("192.0.2.1")
	unicast := a.open(VRRPOptions{Self: netip.MustParseAddr("fe80::1"), Unicast: true})
	for _, tt := range []struct {
		c        *VRRPConn
		to, want string
	}{
		{group, "ff02::12", `send VRRP on "eth0": destination "ff02::12" is not of the family of the source 192.0.2.1`},
		{group, "192.0.2.2", `send VRRP on "eth0": destination 192.0.2.2 is no group, but the socket is not for unicast`},
		{unicast, "ff02::12", `send VRRP on "eth0": destination ff02::12 is a group, but the socket is for unicast`},
		{unicast, "::ffff:192.0.2.2", `send VRRP on "eth0": destination "::ffff:192.0.2.2" is not of the family of the source fe80::1`},
	} {
		err := tt.c.Send(advert, netip.MustParseAddr(tt.to))
		if err == nil || err.Error() != tt.want || Retryable(err) {
			t.Errorf("Send to %s = %v, want the final error %s", tt.to, err, tt.want)
		}
	}
}

// wait waits until something can be read.
func wait(c *VRRPConn) error {
	w, err := await.New()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(c); err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	if err := w.Wait(deadline); err != nil {
		return err
	}
	if !time.Now().Before(deadline) {
		return errors.New("nothing can be read within 10 s")
	}
	return nil
}
