package vmac

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/internal/netio"
)

// pair is two owners of virtual addresses and a client on one network.
type pair struct {
	t                *testing.T
	lb1, lb2, client node
}

func newPair(t *testing.T) pair {
	t.Helper()
	spec := func(name string, last int) lab.HostSpec {
		return lab.HostSpec{Name: name, Addresses: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", last)),
			netip.MustParsePrefix(fmt.Sprintf("2001:db8::%d/64", last)),
		}}
	}
	l := labtest.New(t, spec("lb1", 1), spec("lb2", 2), spec("client", 50))
	p := pair{t, newNode(t, l.Host("lb1")), newNode(t, l.Host("lb2")), newNode(t, l.Host("client"))}
	for _, n := range []node{p.lb1, p.lb2, p.client} {
		serve(t, n.host)
	}
	for _, n := range []node{p.lb1, p.lb2, p.client} {
		n.await()
	}
	return p
}

// await waits until the addresses of eth0 can be used: those of IPv6 are searched
// for duplicates in the background.
func (n node) await() {
	n.t.Helper()
	eventually(n.t, "addresses of "+n.host.Name(), func() bool {
		all, err := n.nl.AddrList(n.link("eth0"), netlink.FAMILY_V6)
		must(n.t, err)
		ready := 0
		for _, a := range all {
			if a.Flags&unix.IFA_F_TENTATIVE == 0 {
				ready++
			}
		}
		return ready == 2 // one is link-local
	})
}

// serve answers every connection to port 80 of a host with the host's name.
func serve(t *testing.T, h *lab.Host) {
	t.Helper()
	ln, err := h.Listen("tcp", ":80")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, h.Name()) // the client reports what is missing
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
}

// get connects from an address of a host, or from the one that the host chooses,
// and returns the answer.
func get(h *lab.Host, from net.Addr, to string) (answer string, err error) {
	err = h.Do(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		text, err := io.ReadAll(c)
		answer = string(text)
		return err
	})
	return answer, err
}

// expect is an answer to the client from the owner of the virtual address.
func (p pair) expect(virtual netip.Addr, owner node) {
	p.t.Helper()
	answer, err := get(p.client.host, nil, netip.AddrPortFrom(virtual, 80).String())
	must(p.t, err)
	if answer != owner.host.Name() {
		p.t.Errorf("answer from %q, want %q", answer, owner.host.Name())
	}
}

// callOut lets a host connect to the client, in its own name and in that of the
// virtual address. It has forgotten the client's MAC address each time and asks.
func (p pair) callOut(n node, virtual, client netip.Addr) {
	p.t.Helper()
	for _, from := range []net.Addr{nil, &net.TCPAddr{IP: virtual.AsSlice()}} {
		n.forget(client)
		answer, err := get(n.host, from, netip.AddrPortFrom(client, 80).String())
		must(p.t, err)
		if answer != "client" {
			p.t.Errorf("answer from %q, want the client", answer)
		}
	}
}

// forget deletes what the host knows of a neighbour.
func (n node) forget(neighbour netip.Addr) {
	n.t.Helper()
	all, err := n.nl.NeighList(0, 0)
	must(n.t, err)
	for _, e := range all {
		if a, _ := netip.AddrFromSlice(e.IP); a.Unmap() == neighbour {
			must(n.t, n.nl.NeighDel(&e))
		}
	}
}

// announce does so as the agent does, from the parent.
func (n node) announce(m Macvlan, virtual netip.Addr) {
	n.t.Helper()
	n.do(func() error {
		a, err := netio.DialAnnouncer(m.Parent, m.MAC())
		if err != nil {
			return err
		}
		defer a.Close()
		return a.Announce(virtual)
	})
}

// watchNeighbour returns what tells the MAC addresses at which the client has
// known an address since.
func (p pair) watchNeighbour(a netip.Addr) func() []string {
	p.t.Helper()
	updates, done := make(chan netlink.NeighUpdate, 100), make(chan struct{})
	p.client.do(func() error { return netlink.NeighSubscribe(updates, done) })
	p.t.Cleanup(func() { close(done) })
	return func() []string {
		p.t.Helper()
		// All is told once this is.
		last := netlink.Neigh{
			LinkIndex: p.client.link("eth0").Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: net.IPv4(192, 0, 2, 99), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 99},
		}
		must(p.t, p.client.nl.NeighSet(&last))
		var seen []string
		timeout := time.After(10 * time.Second)
		for {
			select {
			case u := <-updates:
				if u.IP.Equal(last.IP) {
					return seen
				}
				if u.IP.Equal(a.AsSlice()) && u.Type == unix.RTM_NEWNEIGH && len(u.HardwareAddr) > 0 {
					seen = append(seen, u.HardwareAddr.String())
				}
			case <-timeout:
				p.t.Fatal("no news of neighbours within 10 s")
			}
		}
	}
}

// A third host knows the virtual address by the virtual MAC address alone,
// whoever has it and whatever the owner sends (RFC 9568, section 8.1.2: "MUST
// NOT respond with its physical MAC address").
func TestFailoverLeavesTheNeighbourEntry(t *testing.T) {
	for _, tt := range []struct {
		macvlan  Macvlan
		virtual  netip.Prefix
		client   string
		lb1, lb2 string
	}{
		{four, front4, "192.0.2.50", "192.0.2.1", "192.0.2.2"},
		{six, front6, "2001:db8::50", "2001:db8::1", "2001:db8::2"},
	} {
		for _, strict := range []string{"0", "1"} {
			t.Run(tt.macvlan.Name()+" rp_filter="+strict, func(t *testing.T) {
				p := newPair(t)
				virtual, client := tt.virtual.Addr(), netip.MustParseAddr(tt.client)
				for _, n := range []node{p.lb1, p.lb2} {
					n.setSysctl("ipv4/conf/all/rp_filter", strict)
					n.prepare(tt.macvlan)
				}
				seen := p.watchNeighbour(virtual)
				standby, active := p.lb2, p.lb1
				for range 4 {
					active.take(tt.macvlan, tt.virtual)
					active.announce(tt.macvlan, virtual)
					p.expect(virtual, active)
					p.callOut(active, virtual, client)
					p.expect(virtual, active)
					active.give(tt.macvlan, tt.virtual)
					active, standby = standby, active
				}
				t.Log("# the hosts' own addresses are where they were")
				active.take(tt.macvlan, tt.virtual)
				active.announce(tt.macvlan, virtual)
				for own, n := range map[string]node{tt.lb1: p.lb1, tt.lb2: p.lb2} {
					address := netip.MustParseAddr(own)
					p.client.forget(address)
					p.expect(address, n)
					mac, err := n.host.MAC()
					must(t, err)
					got, err := p.client.host.Neighbor(address)
					must(t, err)
					if got.String() != mac.String() {
						t.Errorf("the client knows %s at %s, want %s", own, got, mac)
					}
				}
				known := seen()
				if len(known) == 0 {
					t.Error("the client has never known the address")
				}
				for _, mac := range known {
					if mac != tt.macvlan.MAC().String() {
						t.Errorf("the client has known %s at %s", virtual, mac)
					}
				}
			})
		}
	}
}
