package vip

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var (
	front  = netip.MustParsePrefix("192.0.2.100/24")
	front6 = netip.MustParsePrefix("2001:db8::100/64")
)

// host is the network namespace that the test runs in. Its interface eth0 has
// the address 192.0.2.1/24.
type host struct {
	t  *testing.T
	nl *netlink.Handle
}

func newHost(t *testing.T) host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: run the compiled test binary with sudo")
	}
	// The namespace belongs to the thread, which ends with the test's goroutine
	// because it is never unlocked.
	runtime.LockOSThread()
	ns, err := netns.New()
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	handle, err := netlink.NewHandle()
	must(t, err)
	t.Cleanup(handle.Close)
	h := host{t, handle}
	h.sysctl("ipv6/conf/default/router_solicitations", "0")
	h.addInterface()
	return h
}

func (h host) sysctl(key, value string) {
	h.t.Helper()
	must(h.t, os.WriteFile("/proc/sys/net/"+key, []byte(value), 0))
}

func (h host) addInterface() {
	h.t.Helper()
	must(h.t, h.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "wall"}))
	h.add("192.0.2.1/24")
	must(h.t, h.nl.LinkSetUp(h.link()))
}

func (h host) link() netlink.Link {
	h.t.Helper()
	l, err := h.nl.LinkByName("eth0")
	must(h.t, err)
	return l
}

// add adds a permanent address, as an operator does.
func (h host) add(cidr string) {
	h.t.Helper()
	must(h.t, h.nl.AddrAdd(h.link(), readyAddress(h.t, cidr)))
}

// readyAddress is one that can be used as soon as it is added, IPv6 too.
func readyAddress(t *testing.T, cidr string) *netlink.Addr {
	t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	must(t, err)
	if addr.IP.To4() == nil {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

func (h host) remove(cidr string) {
	h.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	must(h.t, err)
	must(h.t, h.nl.AddrDel(h.link(), addr))
}

// find returns an address of eth0, nil if it is not there.
func (h host) find(cidr string) *netlink.Addr {
	h.t.Helper()
	all, err := h.nl.AddrList(h.link(), netlink.FAMILY_ALL)
	must(h.t, err)
	for _, a := range all {
		if a.IPNet.String() == cidr {
			return &a
		}
	}
	return nil
}

// expect compares the addresses of eth0, in the kernel's order, but for the one
// that the kernel derives from the MAC address.
func (h host) expect(want ...string) {
	h.t.Helper()
	all, err := h.nl.AddrList(h.link(), netlink.FAMILY_ALL)
	must(h.t, err)
	var got []string
	for _, a := range all {
		if !a.IP.IsLinkLocalUnicast() {
			got = append(got, a.IPNet.String())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func (h host) table() *Table {
	h.t.Helper()
	table, err := New()
	must(h.t, err)
	h.t.Cleanup(func() { table.Close() })
	return table
}

// hold is Hold of front on eth0, checked.
func (h host) hold(table *Table, lease time.Duration, wantAdded bool) {
	h.t.Helper()
	h.holdPrefix(table, front, lease, wantAdded)
}

func (h host) holdPrefix(table *Table, p netip.Prefix, lease time.Duration, wantAdded bool) {
	h.t.Helper()
	added, err := table.Hold("eth0", p, lease)
	must(h.t, err)
	if added != wantAdded {
		h.t.Errorf("Hold of %s reports added %t, want %t", p, added, wantAdded)
	}
}

// expectSource compares the source that the host chooses for a destination.
func (h host) expectSource(to, want string) {
	h.t.Helper()
	c, err := net.Dial("udp", to) // sends nothing
	must(h.t, err)
	defer c.Close()
	if src := c.LocalAddr().(*net.UDPAddr).IP.String(); src != want {
		h.t.Errorf("source to %s is %s, want %s", to, src, want)
	}
}

// eventually polls until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
