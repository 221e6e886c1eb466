package vmac

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/internal/vip"
)

var (
	four = Macvlan{Parent: "eth0", VRID: 51}
	six  = Macvlan{Parent: "eth0", VRID: 51, IPv6: true}

	front4 = netip.MustParsePrefix("192.0.2.100/24")
	front6 = netip.MustParsePrefix("2001:db8::100/64")
)

// node is a host of a lab with what an owner of virtual addresses has.
type node struct {
	t        *testing.T
	host     *lab.Host
	nl       *netlink.Handle
	macvlans *Macvlans
	table    *vip.Table
}

func newNode(t *testing.T, h *lab.Host) node {
	t.Helper()
	n := node{t: t, host: h}
	n.do(func() (err error) {
		if n.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		if n.macvlans, err = New(); err != nil {
			return err
		}
		n.table, err = vip.New()
		return err
	})
	t.Cleanup(func() {
		n.nl.Close()
		n.macvlans.Close()
		n.table.Close()
	})
	return n
}

// newSingle is a host on a network where nobody else is.
func newSingle(t *testing.T) node {
	t.Helper()
	l := labtest.New(t, labtest.Host("lb1", "192.0.2.1/24"))
	return newNode(t, l.Host("lb1"))
}

// do runs f in the host's namespace.
func (n node) do(f func() error) {
	n.t.Helper()
	must(n.t, n.host.Do(f))
}

func (n node) prepare(m Macvlan) {
	n.t.Helper()
	n.do(func() error { return n.macvlans.Prepare(m) })
}

func (n node) remove(m Macvlan) {
	n.t.Helper()
	n.do(func() error { return n.macvlans.Remove(m) })
}

// take is what becoming active does, without announcement.
func (n node) take(m Macvlan, p netip.Prefix) {
	n.t.Helper()
	n.do(func() error {
		if err := n.macvlans.Up(m); err != nil {
			return err
		}
		_, err := n.table.Hold(m.Name(), p, time.Minute)
		return err
	})
}

// give is what leaving does.
func (n node) give(m Macvlan, p netip.Prefix) {
	n.t.Helper()
	n.do(func() error {
		if err := n.table.Release(m.Name(), p); err != nil {
			return err
		}
		return n.macvlans.Down(m)
	})
}

func (n node) link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.nl.LinkByName(name)
	must(n.t, err)
	return l
}

// sysctl reads a setting, such as "ipv4/conf/eth0/arp_ignore".
func (n node) sysctl(key string) string {
	n.t.Helper()
	var text []byte
	n.do(func() (err error) {
		text, err = os.ReadFile("/proc/sys/net/" + key)
		return err
	})
	return strings.TrimSpace(string(text))
}

func (n node) setSysctl(key, value string) {
	n.t.Helper()
	n.do(func() error { return os.WriteFile("/proc/sys/net/"+key, []byte(value), 0) })
}

// expectParent compares arp_ignore and arp_announce of eth0.
func (n node) expectParent(ignore, announce string) {
	n.t.Helper()
	got := []string{n.sysctl("ipv4/conf/eth0/arp_ignore"), n.sysctl("ipv4/conf/eth0/arp_announce")}
	if diff := cmp.Diff([]string{ignore, announce}, got); diff != "" {
		n.t.Errorf("arp_ignore and arp_announce of eth0 (-want +got):\n%s", diff)
	}
}

// expectLinks compares the names of the interfaces beside lo and eth0.
func (n node) expectLinks(want ...string) {
	n.t.Helper()
	all, err := n.nl.LinkList()
	must(n.t, err)
	var got []string
	for _, l := range all {
		if name := l.Attrs().Name; name != "lo" && name != "eth0" {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.t.Errorf("interfaces (-want +got):\n%s", diff)
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
