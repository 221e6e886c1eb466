package vip

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

var front = netip.MustParsePrefix("192.0.2.100/24")

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
	h.addInterface()
	return h
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
	addr, err := netlink.ParseAddr(cidr)
	must(h.t, err)
	must(h.t, h.nl.AddrAdd(h.link(), addr))
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
	all, err := h.nl.AddrList(h.link(), netlink.FAMILY_V4)
	must(h.t, err)
	for _, a := range all {
		if a.IPNet.String() == cidr {
			return &a
		}
	}
	return nil
}

// expect compares the addresses of eth0, in the kernel's order.
func (h host) expect(want ...string) {
	h.t.Helper()
	all, err := h.nl.AddrList(h.link(), netlink.FAMILY_V4)
	must(h.t, err)
	var got []string
	for _, a := range all {
		got = append(got, a.IPNet.String())
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

// hold is Hold on eth0, checked.
func (h host) hold(table *Table, lease time.Duration, wantAdded bool) {
	h.t.Helper()
	added, err := table.Hold("eth0", front, lease)
	must(h.t, err)
	if added != wantAdded {
		h.t.Errorf("Hold reports added %t, want %t", added, wantAdded)
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
