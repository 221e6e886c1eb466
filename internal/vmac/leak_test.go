package vmac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/await"
	"github.com/tandemlb/tandem/internal/netio"
)

// quietTime is how long a kernel may take to say by itself what it says of a new
// or lost address: reports of groups are repeated within a second, solicitations
// of routers are delayed by as much.
const quietTime = 2500 * time.Millisecond

// frames says what arrives at a host from one MAC address.
type frames struct {
	t    *testing.T
	fd   int
	from net.HardwareAddr
}

func (n node) frames(from net.HardwareAddr) frames {
	n.t.Helper()
	f := frames{n.t, -1, from}
	n.do(func() (err error) {
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
		if f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		turn := unix.NsecToTimeval(int64(50 * time.Millisecond))
		return unix.SetsockoptTimeval(f.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &turn)
	})
	n.t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

// expect compares what arrives within quietTime, each kind of frame once.
func (f frames) expect(when string, want ...string) {
	f.t.Helper()
	var got []string
	b := make([]byte, 2048)
	for deadline := time.Now().Add(quietTime); time.Now().Before(deadline); {
		n, _, err := unix.Recvfrom(f.fd, b, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		must(f.t, err)
		if frame := b[:n]; n >= 14 && bytes.Equal(frame[6:12], f.from) {
			got = append(got, describe(frame))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		f.t.Errorf("frames from %s, %s (-want +got):\n%s", f.from, when, diff)
	}
}

// describe names a report of multicast groups, and shows any other frame.
func describe(frame []byte) string {
	const mld, record = 14 + 40 + 8, 14 + 40 + 8 + 8
	if binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IPV6 && frame[14+6] == unix.IPPROTO_HOPOPTS && frame[mld] == 143 {
		return fmt.Sprintf("MLD report, record type %d", frame[record])
	}
	return fmt.Sprintf("%x", frame)
}

// A switch learns from each frame where the virtual MAC address is: what is not
// the owner's moves it to the wrong place.
func TestNothingLeaks(t *testing.T) {
	const joins = "MLD report, record type 4" // change to exclude mode, of no source
	for _, tt := range []struct {
		macvlan Macvlan
		virtual netip.Prefix
		active  []string
	}{
		{four, front4, nil},
		{six, front6, []string{joins}},
		{six, netip.MustParsePrefix("fe80::100/64"), []string{joins}},
	} {
		t.Run(tt.virtual.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			for key, value := range map[string]string{
				// What a host would say most with.
				"ipv6/conf/default/accept_ra":            "1",
				"ipv6/conf/default/router_solicitations": "3",
				"ipv6/conf/default/accept_dad":           "1",
				"ipv6/conf/all/forwarding":               "1",
				"ipv4/conf/all/arp_notify":               "1",
			} {
				p.lb1.setSysctl(key, value)
			}
			f := p.client.frames(tt.macvlan.MAC())
			p.lb1.prepare(tt.macvlan)
			f.expect("prepared")
			p.lb1.take(tt.macvlan, tt.virtual)
			p.advertiseRouter()
			t.Log("# an answer for the host's own addresses is not its business")
			for _, own := range []string{"192.0.2.1", "2001:db8::1"} {
				p.client.forget(netip.MustParseAddr(own))
				p.expect(netip.MustParseAddr(own), p.lb1)
			}
			f.expect("active", tt.active...)
			if got := p.lb1.addresses(tt.macvlan.Name()); !slices.Equal(got, []netip.Prefix{tt.virtual}) {
				t.Errorf("addresses %v, want %s alone", got, tt.virtual)
			}
			p.lb1.give(tt.macvlan, tt.virtual)
			p.advertiseRouter()
			f.expect("backup again")
			t.Log("# the lease of an owner ends that has died, and then it is swept")
			p.lb1.take(tt.macvlan, tt.virtual)
			p.lb1.do(func() error {
				_, err := p.lb1.table.Hold(tt.macvlan.Name(), tt.virtual, time.Second)
				return err
			})
			f.expect("while the lease ends", tt.active...)
			if left := p.lb1.addresses(tt.macvlan.Name()); len(left) > 0 {
				t.Errorf("addresses %v after the lease", left)
			}
			p.lb1.do(func() error {
				_, err := Sweep()
				return err
			})
			f.expect("swept")
		})
	}
}

// advertiseRouter offers the whole network a prefix to make addresses of.
func (p pair) advertiseRouter() {
	p.t.Helper()
	p.client.do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		message, err := ndp.MarshalMessage(&ndp.RouterAdvertisement{
			RouterLifetime: time.Hour,
			Options: []ndp.Option{&ndp.PrefixInformation{
				PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
				ValidLifetime: time.Hour, PreferredLifetime: time.Hour,
				Prefix: netip.MustParseAddr("2001:db8:7::"),
			}},
		})
		if err != nil {
			return err
		}
		// Package net remembers the numbers of interfaces, which here are those of
		// another namespace.
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return err
		}
		return unix.Sendto(fd, message, 0, &unix.SockaddrInet6{
			Addr: netip.IPv6LinkLocalAllNodes().As16(), ZoneId: uint32(eth0.Index),
		})
	})
}

// addresses are those of an interface.
func (n node) addresses(name string) []netip.Prefix {
	n.t.Helper()
	all, err := n.nl.AddrList(n.link(name), netlink.FAMILY_ALL)
	must(n.t, err)
	var prefixes []netip.Prefix
	for _, a := range all {
		prefixes = append(prefixes, netip.MustParsePrefix(a.IPNet.String()))
	}
	return prefixes
}

// After a partition both are active: each must hear the other, whose frames have
// the MAC address of its own macvlan.
func TestOwnersHearEachOther(t *testing.T) {
	for _, m := range []Macvlan{four, six} {
		t.Run(m.Name(), func(t *testing.T) {
			p := newPair(t)
			var sockets []*netio.VRRPConn
			for _, n := range []node{p.lb1, p.lb2} {
				n.prepare(m)
				n.do(func() error { return n.macvlans.Up(m) })
				n.do(func() error {
					s, err := netio.OpenVRRP(netio.VRRPOptions{Interface: "eth0", Self: n.self(m), VirtualMAC: m.MAC()})
					sockets = append(sockets, s)
					return err
				})
				t.Cleanup(func() { sockets[0].Close(); sockets = sockets[1:] })
			}
			group := netip.MustParseAddr("224.0.0.18")
			if m.IPv6 {
				group = netip.MustParseAddr("ff02::12")
			}
			advert := []byte{0x31, 51, 100, 0, 0, 10, 0, 0}
			must(t, sockets[0].Send(advert, group))
			w, err := await.New()
			must(t, err)
			defer w.Close()
			must(t, w.Add(sockets[1]))
			must(t, w.Wait(time.Now().Add(10*time.Second)))
			b := make([]byte, 2048)
			d, ok, err := sockets[1].TryRead(b)
			must(t, err)
			if got := append(d.Packet, d.Payload...); !ok || !bytes.HasSuffix(got, advert) {
				t.Errorf("heard %x, want %x", got, advert)
			}
		})
	}
}

// self is the source of a host's advertisements.
func (n node) self(m Macvlan) netip.Addr {
	n.t.Helper()
	family := netlink.FAMILY_V4
	if m.IPv6 {
		family = netlink.FAMILY_V6
	}
	all, err := n.nl.AddrList(n.link("eth0"), family)
	must(n.t, err)
	for _, a := range all {
		if addr, _ := netip.AddrFromSlice(a.IP); m.IPv6 == a.IP.IsLinkLocalUnicast() {
			return addr.Unmap()
		}
	}
	n.t.Fatal("eth0 has no address to send from")
	return netip.Addr{}
}

func TestLeaving(t *testing.T) {
	vm, err := bpf.NewVM(leaving)
	must(t, err)
	frame := func(ethertype uint16, next, option, kind, record byte) []byte {
		b := make([]byte, 90)
		binary.BigEndian.PutUint16(b[12:], ethertype)
		b[20], b[54], b[62], b[70] = next, option, kind, record
		return b
	}
	const ipv6, hop, icmp = unix.ETH_P_IPV6, unix.IPPROTO_HOPOPTS, unix.IPPROTO_ICMPV6
	for _, tt := range []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"done", frame(ipv6, hop, icmp, 132, 0), drop},
		{"include", frame(ipv6, hop, icmp, 143, 1), drop},
		{"change to include", frame(ipv6, hop, icmp, 143, 3), drop},
		{"block", frame(ipv6, hop, icmp, 143, 6), drop},
		{"version 1 report", frame(ipv6, hop, icmp, 131, 0), pass},
		{"exclude", frame(ipv6, hop, icmp, 143, 2), pass},
		{"change to exclude", frame(ipv6, hop, icmp, 143, 4), pass},
		{"allow", frame(ipv6, hop, icmp, 143, 5), pass},
		{"advertisement", frame(ipv6, icmp, 0, 143, 3), pass},
		{"other option", frame(ipv6, hop, unix.IPPROTO_UDP, 143, 3), pass},
		{"IPv4", frame(unix.ETH_P_IP, hop, icmp, 143, 3), pass},
	} {
		got, err := vm.Run(tt.frame)
		must(t, err)
		if uint32(got) != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.name, got, tt.want)
		}
	}
}
