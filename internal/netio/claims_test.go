package netio

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// otherMAC is that of some host.
var otherMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x99}

// watched is a running Claims.
type watched struct {
	t      *testing.T
	claimC chan Claim
	endC   chan error // Run's
}

// watchClaims watches eth0 until the end of the test.
func (h host) watchClaims(addrs []netip.Addr, virtualMAC net.HardwareAddr) *watched {
	h.t.Helper()
	var c *Claims
	h.do(func() {
		var err error
		c, err = WatchClaims("eth0", addrs, virtualMAC)
		must(h.t, err)
	})
	w := &watched{h.t, make(chan Claim, 100), make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.endC <- c.Run(ctx, func(c Claim) { w.claimC <- c })
	}()
	h.t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			h.t.Error("Run goes on 10 s after its context was done")
		}
	})
	return w
}

// expect waits for the claims, in order.
func (w *watched) expect(want ...Claim) {
	w.t.Helper()
	for _, c := range want {
		select {
		case got := <-w.claimC:
			if diff := cmp.Diff(c, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				w.t.Errorf("claim (-want +got):\n%s", diff)
			}
		case err := <-w.endC:
			w.t.Fatalf("Run = %v", err)
		case <-time.After(10 * time.Second):
			w.t.Fatalf("no claim of %s within 10 s", c.Addr)
		}
	}
}

// sendFrames sends frames from eth0.
func (h host) sendFrames(frames ...[]byte) {
	h.t.Helper()
	a := h.announcer(nil)
	must(h.t, a.send(frames, nil))
}

func TestClaimsOfOthers(t *testing.T) {
	a, b := newHosts(t)
	w := a.watchClaims([]netip.Addr{vip, vip6}, virtualMAC)
	other := b.announcer(nil)
	here4, here6 := Claim{vip, b.mac()}, Claim{vip6, b.mac()}
	must(t, other.Announce(vip))
	w.expect(here4, here4)
	must(t, other.Announce(vip6))
	w.expect(here6)

	t.Log("# what comes from this host's MAC addresses, or says that they have the address, is none")
	for _, mac := range []net.HardwareAddr{a.mac(), virtualMAC} {
		frame := arpBytes(2, mac, vip.String(), mac, vip.String())
		proxied, relayed := slices.Clone(frame), slices.Clone(frame)
		copy(proxied[6:], otherMAC)  // the source of the frame
		copy(relayed[22:], otherMAC) // the sender of the ARP packet
		b.sendFrames(frame, proxied, relayed)
		frames, err := advertisement(vip6, mac, false)
		must(t, err)
		b.sendFrames(frames...)
	}
	t.Log("# nor is what this host sends, a probe, or what is about another address")
	must(t, a.announcer(nil).Announce(vip))
	must(t, a.announcer(nil).Announce(vip6))
	must(t, other.Probe(vip))
	must(t, other.Probe(vip6))
	must(t, other.Announce(netip.MustParseAddr("192.0.2.101")))
	must(t, other.Announce(netip.MustParseAddr("2001:db8::1:101")))
	must(t, other.Announce(vip))
	w.expect(here4, here4)
	must(t, other.Announce(vip6))
	w.expect(here6)

	t.Log("# the interface gets another MAC address: the old one is another host's")
	old := a.mac()
	must(t, a.nl.LinkSetHardwareAddr(a.link(), otherMAC))
	b.sendFrames(arpBytes(1, otherMAC, vip.String(), broadcast(), vip.String()), arpBytes(1, old, vip.String(), broadcast(), vip.String()))
	w.expect(Claim{vip, old})
}

func TestOwnerThatAnswersAProbeIsAClaim(t *testing.T) {
	for _, tt := range []struct {
		cidr string
		addr netip.Addr
	}{{"192.0.2.100/24", vip}, {"2001:db8::1:100/64", vip6}} {
		t.Run(tt.cidr, func(t *testing.T) {
			a, b := newHosts(t)
			w := a.watchClaims([]netip.Addr{tt.addr}, nil)
			b.add(tt.cidr)
			announcer := a.announcer(nil)
			var got Claim
			eventually(t, "claim", func() bool { // the kernel joins the solicited-node group a little later
				must(t, announcer.Probe(tt.addr))
				select {
				case got = <-w.claimC:
					return true
				default:
					return false
				}
			})
			if want := (Claim{tt.addr, b.mac()}); got.Addr != want.Addr || !bytes.Equal(got.MAC, want.MAC) {
				t.Errorf("claim %v, want %v", got, want)
			}
		})
	}
}

// The same address in another VLAN is another address.
func TestOtherVLANsClaimsAreNone(t *testing.T) {
	a, b := newHosts(t)
	w := a.watchClaims([]netip.Addr{vip}, nil)
	for _, id := range []byte{5, 0} { // 0 is a priority without a VLAN
		frame := arpBytes(1, net.HardwareAddr{0x02, 0, 0, 0, 0, id}, vip.String(), broadcast(), vip.String())
		b.sendFrames(slices.Insert(frame, 12, 0x81, 0x00, 0xe0, id))
	}
	w.expect(Claim{vip, net.HardwareAddr{0x02, 0, 0, 0, 0, 0}})
}

func TestClaimsTo255Addresses(t *testing.T) {
	for name, addrs := range manyAddresses() {
		t.Run(name, func(t *testing.T) {
			a, b := newHosts(t)
			if name != "IPv6 networks" {
				a.sysctl("net/core/optmem_max", "20480") // the default before Linux 6.8
			}
			w := a.watchClaims(addrs[1:], nil)
			other := b.announcer(nil)
			for _, addr := range []netip.Addr{addrs[1], addrs[254], addrs[0], addrs[77]} {
				must(t, other.Announce(addr))
				for range Frames(addr) {
					if addr != addrs[0] {
						w.expect(Claim{addr, b.mac()})
					}
				}
			}
		})
	}
}

func TestClaimsEndWithTheInterface(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breakIt func(a host)
	}{
		{"down", func(a host) { a.down() }},
		{"deleted", func(a host) { must(a.t, a.nl.LinkDel(a.link())) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newHosts(t)
			w := a.watchClaims([]netip.Addr{vip, vip6}, nil)
			tt.breakIt(a)
			select {
			case err := <-w.endC:
				if err == nil || !Retryable(err) || !strings.Contains(err.Error(), `watch claims on "eth0"`) {
					t.Errorf("Run = %v, want a retryable error", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Run goes on without the interface")
			}
		})
	}
}

func TestClaimsOnAnInterfaceThatIsDown(t *testing.T) {
	a, b := newHosts(t)
	a.down()
	w := a.watchClaims([]netip.Addr{vip}, nil)
	if err := <-w.endC; !errors.Is(err, unix.ENETDOWN) || !Retryable(err) {
		t.Errorf("Run = %v, want a retryable ENETDOWN", err)
	}
	a.up()
	a.awaitCarrier()
	w = a.watchClaims([]netip.Addr{vip}, nil)
	must(t, b.announcer(nil).Announce(vip))
	w.expect(Claim{vip, b.mac()})
}

func TestRunOfClaimsReturnsNilWhenDone(t *testing.T) {
	a, _ := newHosts(t)
	for _, addrs := range [][]netip.Addr{nil, {vip, vip6}} {
		var c *Claims
		a.do(func() {
			var err error
			c, err = WatchClaims("eth0", addrs, nil)
			must(t, err)
		})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := c.Run(ctx, func(Claim) {}); err != nil {
			t.Errorf("Run of %d addresses = %v, want nil", len(addrs), err)
		}
	}
}

func TestWatchClaimsErrors(t *testing.T) {
	a, _ := newHosts(t)
	for _, tt := range []struct {
		name, ifname string
		addrs        []netip.Addr
		virtualMAC   net.HardwareAddr
		want         string
		retryable    bool
	}{
		{"no such interface", "eth7", []netip.Addr{vip}, nil, `no such device`, true},
		{"loopback", "lo", []netip.Addr{vip}, nil, `not an Ethernet interface`, false},
		{"too many", "eth0", make([]netip.Addr, 256), nil, `256 addresses, more than 255`, false},
		{"no address of a host", "eth0", []netip.Addr{vip, netip.IPv6Unspecified()}, nil, `"::" is not the address of a host`, false},
		{"short MAC address", "eth0", []netip.Addr{vip}, virtualMAC[:5], `"00:00:5e:00:01" does not have 6 bytes`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.do(func() {
				_, err := WatchClaims(tt.ifname, tt.addrs, tt.virtualMAC)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `watch claims on "`+tt.ifname) {
					t.Fatalf("error %v, want %q in it", err, tt.want)
				}
				if got := Retryable(err); got != tt.retryable {
					t.Errorf("Retryable = %t, want %t", got, tt.retryable)
				}
			})
		})
	}
}

func TestParseClaim(t *testing.T) {
	claim4 := arpBytes(2, otherMAC, "192.0.2.100", otherMAC, "192.0.2.7")
	claim6 := advertisementOf(t, vip6)
	bare := patch(claim6, 19, 24)[:14+40+24] // without the target link-layer address
	for _, tt := range []struct {
		name  string
		frame []byte
		want  Claim
		ok    bool
	}{
		{"ARP reply", claim4, Claim{vip, otherMAC}, true},
		{"advertisement", claim6, Claim{vip6, otherMAC}, true},
		{"advertisement with another MAC address in it", patch(claim6, 85, 0x42), Claim{vip6, net.HardwareAddr{0x02, 0, 0, 0, 0, 0x42}}, true},
		{"advertisement without a MAC address", bare, Claim{vip6, otherMAC}, true},
		{"bytes after the packet", append(bare[:len(bare):len(bare)], 1, 2, 3), Claim{vip6, otherMAC}, true},
		{"solicitation", patch(claim6, icmpv6Type, 135), Claim{}, false},
		{"packet shorter than it says", patch(claim6, 19, 99), Claim{}, false},
		{"option without end", patch(claim6, 79, 9), Claim{}, false},
		{"cut ARP packet", claim4[:30], Claim{}, false},
		{"other kind of address", patch(claim4, 19, 16), Claim{}, false},
		{"other EtherType", patch(claim4, 13, 0x00), Claim{}, false},
		{"nothing", nil, Claim{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, from, ok := parseClaim(tt.frame)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || ok != tt.ok {
				t.Errorf("ok %t, want %t; claim (-want +got):\n%s", ok, tt.ok, diff)
			}
			if ok && !bytes.Equal(from, otherMAC) {
				t.Errorf("from %s, want %s", from, otherMAC)
			}
		})
	}
}

func FuzzParseClaim(f *testing.F) {
	f.Add(arpBytes(2, otherMAC, "192.0.2.100", otherMAC, "192.0.2.7"))
	frames, err := advertisement(vip6, otherMAC, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frames[0])
	f.Fuzz(func(t *testing.T, frame []byte) {
		c, from, ok := parseClaim(frame)
		if ok != c.Addr.IsValid() || ok && (len(c.MAC) != 6 || len(from) != 6) {
			t.Errorf("claim %+v from %s, ok %t", c, from, ok)
		}
	})
}
