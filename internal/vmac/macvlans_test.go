package vmac

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestPrepare(t *testing.T) {
	for _, tt := range []struct {
		macvlan  Macvlan
		alias    string
		settings map[string]string
	}{
		{four, "tandem: ipv4/arp_announce=0 ipv4/arp_ignore=0", map[string]string{
			"ipv4/conf/eth0/arp_ignore":            "1",
			"ipv4/conf/eth0/arp_announce":          "2",
			"ipv4/conf/vrrp4-51-eth0/arp_ignore":   "1",
			"ipv4/conf/vrrp4-51-eth0/rp_filter":    "2",
			"ipv6/conf/vrrp4-51-eth0/disable_ipv6": "1",
		}},
		{six, "tandem:", map[string]string{
			"ipv4/conf/eth0/arp_ignore":             "0",
			"ipv4/conf/eth0/arp_announce":           "0",
			"ipv6/conf/vrrp6-51-eth0/disable_ipv6":  "0",
			"ipv6/conf/vrrp6-51-eth0/accept_ra":     "0",
			"ipv6/conf/vrrp6-51-eth0/addr_gen_mode": "1",
		}},
	} {
		t.Run(tt.macvlan.Name(), func(t *testing.T) {
			n := newSingle(t)
			n.prepare(tt.macvlan)
			l, ok := n.link(tt.macvlan.Name()).(*netlink.Macvlan)
			if !ok || l.Mode != netlink.MACVLAN_MODE_BRIDGE || l.ParentIndex != n.link("eth0").Attrs().Index ||
				l.HardwareAddr.String() != tt.macvlan.MAC().String() || l.Flags&net.FlagUp != 0 || l.Alias != tt.alias {
				t.Errorf("interface %+v", l)
			}
			for key, want := range tt.settings {
				if got := n.sysctl(key); got != want {
					t.Errorf("%s = %s, want %s", key, got, want)
				}
			}

			t.Log("# again: the same interface, and up if it was")
			n.do(func() error { return n.macvlans.Up(tt.macvlan) })
			n.prepare(tt.macvlan)
			again := n.link(tt.macvlan.Name()).Attrs()
			if again.Index != l.Index || again.Flags&net.FlagUp == 0 || again.Alias != tt.alias {
				t.Errorf("interface %+v after %+v", again, l.LinkAttrs)
			}

			t.Log("# and the way back, twice")
			for range 2 {
				n.do(func() error { return n.macvlans.Down(tt.macvlan) })
				n.remove(tt.macvlan)
				n.expectLinks()
				n.expectParent("0", "0")
			}
		})
	}
}

func TestPrepareReplacesWhatDoesNotFit(t *testing.T) {
	for _, tt := range []struct {
		name string
		old  func(n node) *netlink.Macvlan
	}{
		{"other MAC address", func(n node) *netlink.Macvlan {
			return &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{HardwareAddr: six.MAC(), ParentIndex: n.link("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
		}},
		{"private mode", func(n node) *netlink.Macvlan {
			return &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{HardwareAddr: four.MAC(), ParentIndex: n.link("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_PRIVATE}
		}},
		{"other parent", func(n node) *netlink.Macvlan {
			must(n.t, n.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "wall"}))
			return &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{HardwareAddr: four.MAC(), ParentIndex: n.link("eth1").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newSingle(t)
			old := tt.old(n)
			old.Name = four.Name()
			must(t, n.nl.LinkAdd(old))
			n.prepare(four)
			if got := n.link(four.Name()); !fits(four, got, n.link("eth0")) {
				t.Errorf("interface %+v", got)
			}
		})
	}
}

func TestTwoOnOneParent(t *testing.T) {
	other := Macvlan{Parent: "eth0", VRID: 52}
	for name, order := range map[string][]Macvlan{"first goes first": {four, other}, "second goes first": {other, four}} {
		t.Run(name, func(t *testing.T) {
			n := newSingle(t)
			n.setSysctl("ipv4/conf/eth0/arp_announce", "1")
			for _, m := range []Macvlan{six, four, other} {
				n.prepare(m)
			}
			n.expectParent("1", "2")
			n.remove(order[0])
			n.expectParent("1", "2")
			n.remove(order[1])
			n.expectParent("0", "1")
			n.expectLinks(six.Name())
		})
	}
}

// Two processes one after the other, without a sweep between them.
func TestAnotherProcessRestores(t *testing.T) {
	n := newSingle(t)
	n.prepare(four)
	next := newNode(t, n.host)
	next.prepare(four)
	next.prepare(Macvlan{Parent: "eth0", VRID: 52})
	next.remove(four)
	n.expectParent("1", "2")
	last := newNode(t, n.host)
	last.remove(Macvlan{Parent: "eth0", VRID: 52})
	n.expectParent("0", "0")
}

func TestSettingsThatNeedNoChangeStay(t *testing.T) {
	n := newSingle(t)
	n.setSysctl("ipv4/conf/eth0/arp_ignore", "2")
	n.prepare(four)
	n.expectParent("2", "2")
	t.Log("# someone changes what we have changed")
	n.setSysctl("ipv4/conf/eth0/arp_announce", "1")
	n.remove(four)
	n.expectParent("2", "1")
}

// Whoever deletes the interface takes our notes with it.
func TestDeletedByHand(t *testing.T) {
	n := newSingle(t)
	n.prepare(four)
	must(t, n.nl.LinkDel(n.link(four.Name())))
	n.do(func() error { return n.macvlans.Down(four) })
	err := n.host.Do(func() error { return n.macvlans.Up(four) })
	if want := `set "vrrp4-51-eth0" up: Link not found`; err == nil || err.Error() != want {
		t.Errorf("Up = %v, want %s", err, want)
	}
	n.prepare(four)
	n.expectParent("1", "2")
	must(t, n.nl.LinkDel(n.link(four.Name())))
	n.remove(four)
	n.expectParent("0", "0")
}

func TestParentReplaced(t *testing.T) {
	n := newSingle(t)
	n.prepare(four)
	n.prepare(six)
	must(t, n.nl.LinkDel(n.link("eth0")))
	n.expectLinks()
	err := n.host.Do(func() error { return n.macvlans.Prepare(four) })
	want := `prepare virtual MAC address 00:00:5e:00:01:33 on "eth0": find the interface: Link not found`
	if err == nil || err.Error() != want {
		t.Errorf("Prepare = %v, want %s", err, want)
	}
	n.remove(four)
	must(t, n.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "wall"}))
	n.prepare(four)
	n.prepare(six)
	n.expectParent("1", "2")
	n.remove(four)
	n.remove(six)
	n.expectParent("0", "0")
}

func TestPrepareErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		setup   func(n node) error
		macvlan Macvlan
		want    string
	}{
		{"no VRID", nil, Macvlan{Parent: "eth0"}, `prepare virtual MAC address 00:00:5e:00:01:00 on "eth0": a virtual router ID is 1 to 255`},
		{"no such parent", nil, Macvlan{Parent: "eth7", VRID: 51}, `prepare virtual MAC address 00:00:5e:00:01:33 on "eth7": find the interface: Link not found`},
		{
			"name taken",
			func(n node) error {
				return n.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: four.Name()}, PeerName: "wall"})
			},
			four,
			`prepare virtual MAC address 00:00:5e:00:01:33 on "eth0": the name "vrrp4-51-eth0" is taken by an interface of type veth: rename or delete that`,
		},
		{
			"part of a bridge",
			func(n node) error {
				bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
				if err := n.nl.LinkAdd(bridge); err != nil {
					return err
				}
				return n.nl.LinkSetMaster(n.link("eth0"), bridge)
			},
			four,
			`prepare virtual MAC address 00:00:5e:00:01:33 on "eth0": add "vrrp4-51-eth0": device or resource busy: the interface is part of a bridge or bond: name that instead`,
		},
		{"not Ethernet", nil, Macvlan{Parent: "lo", VRID: 51}, `prepare virtual MAC address 00:00:5e:00:01:33 on "lo": add "vrrp4-51-lo": invalid argument: only an Ethernet interface can have virtual MAC addresses`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newSingle(t)
			if tt.setup != nil {
				must(t, tt.setup(n))
			}
			err := n.host.Do(func() error { return n.macvlans.Prepare(tt.macvlan) })
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			n.expectParent("0", "0")
		})
	}
}

// A macvlan of another program has the address; ours cannot be used beside it.
func TestUpBesideAnotherOwnerOfTheMAC(t *testing.T) {
	n := newSingle(t)
	foreign := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "vrrp.51", HardwareAddr: four.MAC(), ParentIndex: n.link("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_PRIVATE}
	must(t, n.nl.LinkAdd(foreign))
	must(t, n.nl.LinkSetUp(n.link("vrrp.51")))
	n.prepare(four)
	err := n.host.Do(func() error { return n.macvlans.Up(four) })
	if err == nil || !strings.HasSuffix(err.Error(), `another interface on "eth0" has the MAC address 00:00:5e:00:01:33: is another VRRP program running?`) {
		t.Errorf("Up = %v", err)
	}
	var removed []string
	n.do(func() (err error) {
		removed, err = Sweep()
		return err
	})
	if diff := cmp.Diff([]string{"vrrp4-51-eth0 on eth0"}, removed); diff != "" {
		t.Errorf("swept (-want +got):\n%s", diff)
	}
	n.expectLinks("vrrp.51")
}

func TestSweep(t *testing.T) {
	n := newSingle(t)
	for _, m := range []Macvlan{four, six, {Parent: "eth0", VRID: 52}} {
		n.prepare(m)
	}
	n.take(four, front4)
	for _, want := range [][]string{{"vrrp4-51-eth0 on eth0", "vrrp6-51-eth0 on eth0", "vrrp4-52-eth0 on eth0"}, nil} {
		var removed []string
		n.do(func() (err error) {
			removed, err = Sweep()
			return err
		})
		if diff := cmp.Diff(want, removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		n.expectLinks()
		n.expectParent("0", "0")
	}
}

// The name of a VLAN interface has a dot, which separates in names of sysctls.
func TestParentWithADotInItsName(t *testing.T) {
	n := newSingle(t)
	must(t, n.nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan.7"}, PeerName: "wall"}))
	m := Macvlan{Parent: "lan.7", VRID: 51}
	for _, want := range []string{"1", "0"} {
		if want == "1" {
			n.prepare(m)
		} else {
			n.remove(m)
		}
		if got := n.sysctl("ipv4/conf/lan.7/arp_ignore"); got != want {
			t.Errorf("arp_ignore of the parent is %s, want %s", got, want)
		}
	}
}

// What cannot be provoked everywhere.
func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		explain func(error) error
		cause   error
		want    string
	}{
		{explain, unix.EPERM, "CAP_NET_ADMIN"},
		{explain, unix.EROFS, "ProtectKernelTunables=no"},
		{explain, unix.ENOMEM, ""},
		{explainAdd, unix.EOPNOTSUPP, "the kernel has no macvlan: load the module macvlan or leave virtual_mac out"},
		{explainAdd, unix.ENOMEM, ""},
		{explainFilter, unix.ENOENT, "load the modules sch_ingress and cls_bpf or leave virtual_mac out"},
		{explainFilter, unix.ENOMEM, ""},
	} {
		err := tt.explain(tt.cause)
		if !errors.Is(err, tt.cause) || !strings.HasSuffix(err.Error(), tt.want) && !strings.Contains(err.Error(), tt.want+" ") {
			t.Errorf("%q, want %q in it", err, tt.want)
		}
		if tt.want == "" && err.Error() != tt.cause.Error() {
			t.Errorf("%q says more than %q", err, tt.cause)
		}
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	n := newSingle(t)
	n.prepare(four)
	done := make(chan map[string]error)
	go func() {
		done <- n.withoutCapability(map[string]func() error{
			"Prepare": func() error { return n.macvlans.Prepare(six) },
			"Up":      func() error { return n.macvlans.Up(four) },
			"Remove":  func() error { return n.macvlans.Remove(four) },
			"Sweep":   func() error { _, err := Sweep(); return err },
		})
	}()
	for name, err := range <-done {
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("%s = %v, want an EPERM that names CAP_NET_ADMIN", name, err)
		}
	}
	n.expectLinks(four.Name())
}

// withoutCapability runs calls in the host without CAP_NET_ADMIN, which the
// thread does not get back: it ends with the goroutine.
func (n node) withoutCapability(calls map[string]func() error) map[string]error {
	runtime.LockOSThread()
	errs := map[string]error{}
	err := n.host.Do(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			return err
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			return err
		}
		for name, call := range calls {
			errs[name] = call()
		}
		return nil
	})
	if err != nil {
		errs["the call without capability"] = err
	}
	return errs
}
