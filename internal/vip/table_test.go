package vip

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestHoldAddsWithLifetime(t *testing.T) {
	h := newHost(t)
	h.hold(h.table(), 30*time.Second, true)
	a := h.find("192.0.2.100/24")
	if a == nil {
		t.Fatal("the address is not there")
	}
	for name, left := range map[string]int{"valid": a.ValidLft, "preferred": a.PreferedLft} {
		if left < 1 || left > 30 {
			t.Errorf("%s for %d s, want at most 30", name, left)
		}
	}
	if a.Flags&unix.IFA_F_PERMANENT != 0 {
		t.Error("the address is permanent")
	}
}

func TestHoldRenews(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.hold(table, 30*time.Second, true)
	h.hold(table, 3000*time.Second, false)
	if a := h.find("192.0.2.100/24"); a == nil || a.ValidLft < 2000 {
		t.Errorf("address %+v, want one that is valid for almost 3000 s", a)
	}
	h.expect("192.0.2.1/24", "192.0.2.100/24")
}

func TestAddressExpiresUnlessRenewed(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.hold(table, time.Second, true)
	must(t, table.Close())
	eventually(t, "end of the lease", func() bool { return h.find("192.0.2.100/24") == nil })
	h.expect("192.0.2.1/24")
}

func TestHoldReportsWhatWasLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lease time.Duration
		lose  func(h host, table *Table)
	}{
		{"expired", time.Second, func(h host, _ *Table) {
			eventually(h.t, "end of the lease", func() bool { return h.find("192.0.2.100/24") == nil })
		}},
		{"removed by hand", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			h.remove("192.0.2.100/24")
		}},
		{"removed and set again by hand", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			h.remove("192.0.2.100/24")
			h.add("192.0.2.100/24")
		}},
		{"released", time.Minute, func(h host, table *Table) {
			must(h.t, table.Release("eth0", front))
		}},
		{"interface replaced", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			must(h.t, h.nl.LinkDel(h.link()))
			h.addInterface()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			table := h.table()
			h.hold(table, tt.lease, true)
			tt.lose(h, table)
			h.hold(table, time.Minute, true)
			h.hold(table, time.Minute, false)
			if a := h.find("192.0.2.100/24"); a == nil || a.Flags&unix.IFA_F_PERMANENT != 0 {
				t.Errorf("address %+v, want one with a lifetime", a)
			}
		})
	}
}

// letStampChange waits until an address that is added now is told apart from
// those that are there: the kernel notes the hundredth of a second.
func (h host) letStampChange() {
	h.t.Helper()
	probe := netip.MustParsePrefix("203.0.113.1/32")
	table := h.table()
	_, err := table.Hold("eth0", probe, time.Minute)
	must(h.t, err)
	first := table.created[key{"eth0", probe}]
	eventually(h.t, "next hundredth of a second", func() bool {
		must(h.t, table.Release("eth0", probe))
		_, err := table.Hold("eth0", probe, time.Minute)
		must(h.t, err)
		return table.created[key{"eth0", probe}] != first
	})
	must(h.t, table.Release("eth0", probe))
}

// A process that takes over from another finds the address in place.
func TestHoldOfAnotherTablesAddress(t *testing.T) {
	h := newHost(t)
	h.hold(h.table(), time.Minute, true)
	h.letStampChange()
	h.hold(h.table(), time.Minute, false)
}

func TestRelease(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.hold(table, time.Minute, true)
	must(t, table.Release("eth0", front))
	h.expect("192.0.2.1/24")
	t.Log("# again, and where there is no such interface")
	must(t, table.Release("eth0", front))
	must(t, table.Release("eth7", front))
}

func TestHostDoesNotUseTheAddressAsItsSource(t *testing.T) {
	h := newHost(t)
	h.hold(h.table(), time.Minute, true)
	h.expectSource("192.0.2.50:9", "192.0.2.1")
}

// As on the interface of a virtual router with a MAC address of its own.
func TestAddressOnAnotherInterfaceOfTheSubnetLeavesTheRoute(t *testing.T) {
	for _, tt := range []struct{ host, virtual, to, want string }{
		{"192.0.2.1/24", "192.0.2.100/24", "192.0.2.50:9", "192.0.2.1"},
		{"2001:db8::1/64", "2001:db8::100/64", "[2001:db8::50]:9", "2001:db8::1"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			h := newHost(t)
			// The last interface to go up is the one whose route of the same
			// metric is used.
			h.remove("192.0.2.1/24")
			must(t, h.nl.LinkSetDown(h.link()))
			must(t, h.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "wall1"}))
			other, err := h.nl.LinkByName("eth1")
			must(t, err)
			must(t, h.nl.LinkSetUp(other))
			_, err = h.table().Hold("eth1", netip.MustParsePrefix(tt.virtual), time.Minute)
			must(t, err)
			must(t, h.nl.LinkSetUp(h.link()))
			h.add(tt.host)
			h.expectSource(tt.to, tt.want)
		})
	}
}

// Without the route, servers of a subnet that only the virtual address is in
// could not be reached.
func TestAddressOfAnotherSubnetBringsItsRoute(t *testing.T) {
	h := newHost(t)
	_, err := h.table().Hold("eth0", netip.MustParsePrefix("198.51.100.1/24"), time.Minute)
	must(t, err)
	c, err := net.Dial("udp4", "198.51.100.50:9") // sends nothing
	if err != nil {
		t.Fatalf("no route into the subnet of the address: %v", err)
	}
	c.Close()
}

func TestHoldErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ifname string
		prefix netip.Prefix
		lease  time.Duration
		want   string
	}{
		{"no such interface", "eth7", front, time.Second, `hold 192.0.2.100/24 on "eth7": index of the interface: no such device`},
		{"interface name too long", "an-interface-name-too-long", front, time.Second, `hold 192.0.2.100/24 on "an-interface-name-too-long": interface name "an-interface-name-too-long": invalid argument`},
		{"lease of no time", "eth0", front, 0, `hold 192.0.2.100/24 on "eth0": lease 0s is not a positive number of whole seconds`},
		{"lease in part seconds", "eth0", front, 1500 * time.Millisecond, `hold 192.0.2.100/24 on "eth0": lease 1.5s is not a positive number of whole seconds`},
		{"negative lease", "eth0", front, -time.Second, `hold 192.0.2.100/24 on "eth0": lease -1s is not a positive number of whole seconds`},
		{"lease that the kernel takes for endless", "eth0", front, forever * time.Second, `hold 192.0.2.100/24 on "eth0": lease 1193046h28m15s is not a positive number of whole seconds`},
		{"IPv4 written as IPv6", "eth0", netip.MustParsePrefix("::ffff:192.0.2.100/120"), time.Second, `hold ::ffff:192.0.2.100/120 on "eth0": "::ffff:192.0.2.100/120" is not an IPv4 or IPv6 address with a prefix length`},
		{"no prefix", "eth0", netip.Prefix{}, time.Second, `hold invalid Prefix on "eth0": "invalid Prefix" is not an IPv4 or IPv6 address with a prefix length`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			added, err := h.table().Hold(tt.ifname, tt.prefix, tt.lease)
			if err == nil || added {
				t.Fatalf("Hold = %t, %v; want false and an error", added, err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			h.expect("192.0.2.1/24")
		})
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.hold(table, time.Minute, true)
	dropCapability(t, unix.CAP_NET_ADMIN)
	_, held := table.Hold("eth0", front, time.Minute)
	_, swept := Sweep([]netip.Prefix{front})
	for name, err := range map[string]error{
		"Hold": held, "Release": table.Release("eth0", front), "Sweep": swept,
	} {
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("%s = %v, want an EPERM that names CAP_NET_ADMIN", name, err)
		}
	}
	h.expect("192.0.2.1/24", "192.0.2.100/24")
}

// dropCapability takes a capability of the first 32 from the thread of the
// test, which ends with it.
func dropCapability(t *testing.T, capability uint) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&header, &data[0]))
	data[0].Effective &^= 1 << capability
	must(t, unix.Capset(&header, &data[0]))
}

// BenchmarkHold is one renewal.
func BenchmarkHold(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("network namespaces need root: run the compiled test binary with sudo")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Fatal(err)
	}
	table, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Hold("lo", front, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
