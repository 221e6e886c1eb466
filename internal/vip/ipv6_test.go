package vip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var linkLocal = netip.MustParsePrefix("fe80::100/64")

// newHost6 is newHost with the address 2001:db8::1/64, and with a carrier:
// without one there is no link-local address.
func newHost6(t *testing.T) host {
	t.Helper()
	h := newHost(t)
	wall, err := h.nl.LinkByName("wall")
	must(t, err)
	must(t, h.nl.LinkSetUp(wall))
	h.add("2001:db8::1/64")
	return h
}

func TestHoldAddsIPv6ReadyForUse(t *testing.T) {
	for _, p := range []netip.Prefix{front6, linkLocal} {
		t.Run(p.String(), func(t *testing.T) {
			h := newHost6(t)
			h.sysctl("ipv6/conf/eth0/accept_dad", "1")
			h.sysctl("ipv6/conf/eth0/dad_transmits", "1")
			h.holdPrefix(h.table(), p, 30*time.Second, true)
			a := h.find(p.String())
			if a == nil {
				t.Fatal("the address is not there")
			}
			if a.ValidLft < 1 || a.ValidLft > 30 || a.PreferedLft != 0 {
				t.Errorf("valid for %d s and preferred for %d s, want at most 30 and 0", a.ValidLft, a.PreferedLft)
			}
			if a.Flags&unfit != 0 || a.Flags&unix.IFA_F_NODAD == 0 || a.Flags&unix.IFA_F_DEPRECATED == 0 {
				t.Errorf("flags %#x, want nodad and deprecated, and neither permanent nor waiting for the search for duplicates", a.Flags)
			}
			// An address that may be a duplicate cannot be bound.
			ln, err := net.Listen("tcp6", netip.AddrPortFrom(p.Addr().WithZone(h.zone()), 0).String())
			if err != nil {
				t.Fatalf("not ready for use: %v", err)
			}
			ln.Close()
		})
	}
}

func TestHoldRenewsIPv6(t *testing.T) {
	for _, p := range []netip.Prefix{front6, linkLocal} {
		t.Run(p.String(), func(t *testing.T) {
			h := newHost6(t)
			table := h.table()
			h.holdPrefix(table, p, 30*time.Second, true)
			h.letStampChange()
			h.holdPrefix(table, p, 3000*time.Second, false)
			if a := h.find(p.String()); a == nil || a.ValidLft < 2000 {
				t.Errorf("address %+v, want one that is valid for almost 3000 s", a)
			}
		})
	}
}

// The kernel is done with a lease of 2 s after 2.3 s.
func TestIPv6AddressExpiresUnlessRenewed(t *testing.T) {
	h := newHost6(t)
	table := h.table()
	start := time.Now()
	h.holdPrefix(table, front6, 2*time.Second, true)
	must(t, table.Close())
	eventually(t, "end of the lease", func() bool { return h.find(front6.String()) == nil })
	if took := time.Since(start); took < 1900*time.Millisecond || took > 4*time.Second {
		t.Errorf("a lease of 2 s ended after %s", took)
	}
	h.expect("192.0.2.1/24", "2001:db8::1/64")
}

func TestHoldReportsWhatWasLostOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lease time.Duration
		lose  func(h host, table *Table)
	}{
		{"expired", time.Second, func(h host, _ *Table) {
			eventually(h.t, "end of the lease", func() bool { return h.find(front6.String()) == nil })
		}},
		{"removed by hand", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			h.remove(front6.String())
		}},
		{"removed and set again by hand", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			h.remove(front6.String())
			h.add(front6.String())
		}},
		{"set again by hand for another network", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			h.remove(front6.String())
			h.add("2001:db8::100/48")
		}},
		{"released", time.Minute, func(h host, table *Table) {
			must(h.t, table.Release("eth0", front6))
		}},
		{"interface down and up", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			must(h.t, h.nl.LinkSetDown(h.link()))
			if h.find(front6.String()) != nil {
				h.t.Error("the address is there while the interface is down")
			}
			must(h.t, h.nl.LinkSetUp(h.link()))
		}},
		{"interface replaced", time.Minute, func(h host, _ *Table) {
			h.letStampChange()
			must(h.t, h.nl.LinkDel(h.link()))
			h.addInterface()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost6(t)
			table := h.table()
			h.holdPrefix(table, front6, tt.lease, true)
			tt.lose(h, table)
			h.holdPrefix(table, front6, time.Minute, true)
			h.holdPrefix(table, front6, time.Minute, false)
			if a := h.find(front6.String()); a == nil || a.Flags&unfit != 0 {
				t.Errorf("address %+v, want one with a lifetime", a)
			}
		})
	}
}

func TestHoldOfAnotherTablesIPv6Address(t *testing.T) {
	h := newHost6(t)
	h.holdPrefix(h.table(), front6, time.Minute, true)
	h.letStampChange()
	h.holdPrefix(h.table(), front6, time.Minute, false)
}

func TestReleaseOfIPv6(t *testing.T) {
	h := newHost6(t)
	table := h.table()
	h.holdPrefix(table, front6, time.Minute, true)
	must(t, table.Release("eth0", front6))
	h.expect("192.0.2.1/24", "2001:db8::1/64")
	t.Log("# again, and where there is no such interface")
	must(t, table.Release("eth0", front6))
	must(t, table.Release("eth7", front6))
}

// The younger address and the one with the longer common prefix would win if
// both were equal (RFC 6724, section 5, rule 8).
func TestHostDoesNotUseAnIPv6AddressAsItsSource(t *testing.T) {
	h := newHost6(t)
	own := h.ownLinkLocal()
	table := h.table()
	for _, p := range []netip.Prefix{front6, linkLocal} {
		h.holdPrefix(table, p, time.Minute, true)
		h.holdPrefix(table, p, time.Minute, false)
	}
	h.expectSource("[2001:db8::101]:9", "2001:db8::1")
	h.expectSource("[fe80::101%"+h.zone()+"]:9", own)
	h.expectSource("[ff02::1%"+h.zone()+"]:9", own)
}

// zone names eth0 by its number: for the name, package net may remember the number
// of another namespace.
func (h host) zone() string {
	h.t.Helper()
	return strconv.Itoa(h.link().Attrs().Index)
}

// ownLinkLocal returns the address that the kernel has derived for eth0.
func (h host) ownLinkLocal() string {
	h.t.Helper()
	own := ""
	eventually(h.t, "the link-local address of eth0", func() bool {
		all, err := h.nl.AddrList(h.link(), netlink.FAMILY_V6)
		must(h.t, err)
		for _, a := range all {
			if a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
				own = a.IP.String()
			}
		}
		return own != ""
	})
	return own
}

// An address brings the route to its subnet. The one of the host's own address
// must be no worse for ours: neither while that is renewed nor when it has gone,
// by itself or by Release.
func TestRouteOfTheHostOutlivesTheVirtualAddress(t *testing.T) {
	for name, own := range map[string]int{"permanent": 0, "with a lifetime": 3600} {
		for _, first := range []string{"host", "virtual", "virtual, set by hand"} {
			for _, end := range []string{"lease", "release"} {
				t.Run(fmt.Sprintf("%s, %s first, %s", name, first, end), func(t *testing.T) {
					t.Parallel()
					h := newHost(t)
					table := h.table()
					switch first {
					case "virtual":
						h.holdPrefix(table, front6, time.Second, true)
					case "virtual, set by hand":
						h.add(front6.String())
					}
					addr := readyAddress(t, "2001:db8::1/64")
					addr.ValidLft, addr.PreferedLft = own, own
					must(t, h.nl.AddrAdd(h.link(), addr))
					h.holdPrefix(table, front6, time.Second, first != "virtual")
					h.holdPrefix(table, front6, time.Second, false)
					if end == "release" {
						must(t, table.Release("eth0", front6))
					}
					// Ours has gone when the route to its subnet has.
					other := netip.MustParsePrefix("2001:db8:1::100/64")
					h.holdPrefix(table, other, time.Second, true)
					eventually(t, "end of the leases", func() bool {
						return h.find(front6.String()) == nil && !reachable("[2001:db8:1::50]:9")
					})
					if !reachable("[2001:db8::50]:9") {
						t.Error("the host has lost the route to its subnet")
					}
				})
			}
		}
	}
}

func TestIPv6AddressOfAnotherSubnetBringsItsRoute(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.holdPrefix(table, front6, time.Second, true)
	h.letStampChange()
	t.Log("# a renewal prolongs the route too")
	h.holdPrefix(table, front6, 2*time.Second, false)
	renewed := time.Now()
	eventually(t, "end of the route", func() bool { return !reachable("[2001:db8::50]:9") })
	if lasted := time.Since(renewed); lasted < 1500*time.Millisecond {
		t.Errorf("the route ended %s after the renewal, want 2 s", lasted)
	}
}

// reachable reports whether the host has a route to a destination.
func reachable(to string) bool {
	c, err := net.Dial("udp", to) // sends nothing
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func TestListenerOnIPv6AddressAnswers(t *testing.T) {
	h := newHost6(t)
	neighbour := h.neighbour("2001:db8::2/64")
	h.holdPrefix(h.table(), front6, time.Minute, true)
	ln, err := net.Listen("tcp6", "[2001:db8::100]:0")
	must(t, err)
	defer ln.Close()
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	err = neighbour(func() error { return ask(ln.Addr().String()) })
	ln.Close()
	if err := errors.Join(err, <-served); err != nil {
		t.Error(err)
	}
}

func serve(ln net.Listener) error {
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("answer"))
	return err
}

func ask(server string) error {
	c, err := net.DialTimeout("tcp6", server, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := io.ReadAll(c)
	if err == nil && string(answer) != "answer" {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}

// neighbour puts the other end of eth0 into a namespace of its own, with an
// address, and returns what runs a function there.
func (h host) neighbour(cidr string) func(f func() error) error {
	h.t.Helper()
	home, err := netns.Get()
	must(h.t, err)
	defer home.Close()
	there, err := netns.New()
	must(h.t, err)
	h.t.Cleanup(func() { there.Close() })
	must(h.t, netns.Set(home))
	wall, err := h.nl.LinkByName("wall")
	must(h.t, err)
	must(h.t, h.nl.LinkSetNsFd(wall, int(there)))
	handle, err := netlink.NewHandleAt(there)
	must(h.t, err)
	defer handle.Close()
	wall, err = handle.LinkByName("wall")
	must(h.t, err)
	must(h.t, handle.AddrAdd(wall, readyAddress(h.t, cidr)))
	must(h.t, handle.LinkSetUp(wall))
	return func(f func() error) error {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if err := netns.Set(there); err != nil {
				done <- err
				return
			}
			done <- f()
		}()
		return <-done
	}
}

// Neighbour solicitations for an address go to a group made of its last 24 bits
// (RFC 4291, section 2.7.1).
func TestIPv6AddressJoinsItsSolicitedNodeGroup(t *testing.T) {
	h := newHost(t)
	table := h.table()
	p := netip.MustParsePrefix("2001:db8::ab:cdef/64")
	joined := func() bool {
		groups, err := os.ReadFile("/proc/thread-self/net/igmp6")
		must(t, err)
		return strings.Contains(string(groups), "ff0200000000000000000001ffabcdef")
	}
	if joined() {
		t.Fatal("member of the group before there is an address")
	}
	h.holdPrefix(table, p, time.Minute, true)
	eventually(t, "membership in the group", joined)
	must(t, table.Release("eth0", p))
	eventually(t, "end of the membership", func() bool { return !joined() })
}

func TestDisabledIPv6IsNamed(t *testing.T) {
	h := newHost(t)
	h.sysctl("ipv6/conf/eth0/disable_ipv6", "1")
	added, err := h.table().Hold("eth0", front6, time.Minute)
	if added || !errors.Is(err, unix.EACCES) {
		t.Fatalf("Hold = %t, %v; want false and EACCES", added, err)
	}
	want := `hold 2001:db8::100/64 on "eth0": permission denied: IPv6 is disabled there: enable it with: sysctl -w net.ipv6.conf.eth0.disable_ipv6=0`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
