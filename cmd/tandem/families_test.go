package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/vrrp"
)

// The addresses of IPv6 in the lab: of the nodes ::1 and ::2, of the client ::50.
const (
	vip6      = "2001:db8:77::100"
	vip6Local = "fe80::200:5eff:fe00:264/64"
)

// dualScene is a lab whose nodes and client have IPv6 addresses too.
func dualScene(t *testing.T) *failover.Scene {
	t.Helper()
	s := scene(t)
	for name, last := range map[string]string{lb1: "1", lb2: "2", failover.Client: "50"} {
		if err := s.Lab.Host(name).AddAddress(netip.MustParsePrefix("2001:db8:77::" + last + "/64")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// newDualPair starts both nodes in a lab of both families, and waits until lb1 is
// Active for everything.
func newDualPair(t *testing.T, config string) *pair {
	t.Helper()
	s := dualScene(t)
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	p.lb1.start()
	p.lb1.waitAll(vrrp.Active)
	p.lb2.start()
	p.lb2.waitAll(vrrp.Backup)
	p.lb2.waitStatus("watches lb1", watchesPeer)
	return p
}

// waitAll waits until the node has that role for all its VIPs.
func (n *node) waitAll(role vrrp.Role) {
	n.t.Helper()
	n.waitStatus("is "+role.String()+" for all", func(s *admin.Status) bool {
		for _, v := range s.VIPs {
			if v.Role != role || v.Holds != (role == vrrp.Active) || role == vrrp.Backup && !v.Active.IsValid() {
				return false
			}
		}
		return s.Fit
	})
}

// expectServed waits until the client is served at all the addresses, and believes
// them at mac.
func (p *pair) expectServed(mac string, addresses ...string) {
	p.t.Helper()
	client := p.Lab.Host(failover.Client)
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		p.lb1.eventually(patience, text+" is served at "+mac, func() (bool, string) {
			conn, err := client.DialContext(p.t.Context(), "tcp", netip.AddrPortFrom(a, 80).String())
			if err != nil {
				return false, err.Error()
			}
			conn.Close()
			believed, err := client.Neighbor(a)
			return err == nil && believed.String() == mac, fmt.Sprintf("%v, %v", believed, err)
		})
	}
}

// dualConfig has the scene's VIP in both families.
func dualConfig(more string) string {
	return strings.Replace(quickConfig(), "["+failover.VIP().String()+"]", `[`+failover.VIP().String()+`, "`+vip6+`/64"]`+more, 1)
}

func TestBothFamiliesMoveTogether(t *testing.T) {
	t.Parallel()
	p := newDualPair(t, dualConfig(""))
	both := []string{failover.VIP().Addr().String(), vip6}
	p.expectServed(p.lb1.mac(), both...)

	t.Log("# killed")
	p.lb1.kill()
	p.lb2.waitAll(vrrp.Active)
	p.expectServed(p.lb2.mac(), both...)
	s, err := p.lb2.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range s.VIPs {
		if !strings.HasPrefix(v.Reason, "the process of the Active router") {
			t.Errorf("%s: %s", v.Name, v.Reason)
		}
	}

	t.Log("# back")
	p.lb1.start()
	p.lb1.waitAll(vrrp.Active)
	p.lb2.waitAll(vrrp.Backup)
	p.expectServed(p.lb1.mac(), both...)

	t.Log("# cut off, where timers decide")
	if err := p.lb1.host.CutSilently(); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitAll(vrrp.Active)
	p.expectServed(p.lb2.mac(), both...)
	if err := p.lb1.host.Heal(); err != nil {
		t.Fatal(err)
	}
	p.lb1.waitAll(vrrp.Active)
	p.lb2.waitAll(vrrp.Backup)
	p.expectServed(p.lb1.mac(), both...)

	t.Log("# told to stop")
	if err := p.lb1.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitAll(vrrp.Active)
	p.expectServed(p.lb2.mac(), both...)
}

func TestIPv6Pair(t *testing.T) {
	t.Parallel()
	config := strings.NewReplacer("10.77.0.1,", `"2001:db8:77::1",`, "10.77.0.2}", `"2001:db8:77::2"}`,
		"["+failover.VIP().String()+"]", `["`+vip6+`/64"], unicast: UNICAST, router_id: 100`).Replace(quickConfig())
	for _, unicast := range []string{"false", "true"} {
		t.Run("unicast "+unicast, func(t *testing.T) {
			t.Parallel()
			p := newDualPair(t, strings.Replace(config, "UNICAST", unicast, 1))
			p.expectServed(p.lb1.mac(), vip6)
			p.lb1.kill()
			p.lb2.waitAll(vrrp.Active)
			p.expectServed(p.lb2.mac(), vip6)
			s, err := p.lb2.status()
			if err != nil {
				t.Fatal(err)
			}
			if v := s.VIPs[0]; !strings.HasPrefix(v.Reason, "the process of the Active router") {
				t.Errorf("because of %s", v.Reason)
			}
		})
	}
}

func TestUnicastPair(t *testing.T) {
	t.Parallel()
	p := newDualPair(t, pairConfig("preempt: 300ms, unicast: true"))
	multicast, err := p.Lab.Host(failover.Client).Capture(isAdvert)
	if err != nil {
		t.Fatal(err)
	}
	before, err := p.lb2.status()
	if err != nil {
		t.Fatal(err)
	}
	p.lb2.waitStatus("hears lb1", func(s *admin.Status) bool {
		return s.VIPs[0].Counters.Received > before.VIPs[0].Counters.Received+someIntervals
	})
	if n := len(multicast.Frames()); n != 0 {
		t.Errorf("%d advertisements reached a third host", n)
	}
	if err := p.lb1.host.CutSilently(); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitAll(vrrp.Active)
	p.expectServed(p.lb2.mac(), failover.VIP().Addr().String())
}

// Who is not named by the config is not heard, whatever it says.
func TestUnicastRefusesStrangers(t *testing.T) {
	t.Parallel()
	p := newDualPair(t, pairConfig("preempt: 300ms, unicast: true"))
	stranger, target := netip.MustParseAddr("10.77.0.50"), netip.MustParseAddr("10.77.0.1")
	claim := vrrp.Advert{Version: 3, VRID: 100, Priority: 254, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{failover.VIP().Addr()}}
	payload, err := claim.Append(nil, vrrp.Header{Source: stranger, Destination: target}, vrrp.PseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	var socket *netio.VRRPConn
	if err := p.Lab.Host(failover.Client).Do(func() (err error) {
		socket, err = netio.OpenVRRP(netio.VRRPOptions{Interface: lab.Interface, Self: stranger, Unicast: true})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	takeovers := p.lb1.takeovers()
	p.lb1.waitStatus("counts the stranger", func(s *admin.Status) bool {
		if err := socket.Send(payload, target); err != nil {
			t.Fatal(err)
		}
		return s.VIPs[0].Counters.Dropped[vrrp.DropUnknownPeer] >= someIntervals
	})
	if s, err := p.lb1.status(); err != nil || s.VIPs[0].Role != vrrp.Active || s.VIPs[0].Counters.Transitions != takeovers {
		t.Errorf("lb1 has moved: %+v, %v", s.VIPs[0], err)
	}
	if text, err := p.lb1.ask("status", "--socket", p.lb1.socket); err != nil || !strings.Contains(text, string(vrrp.DropUnknownPeer)) {
		t.Errorf("status does not tell of it: %v\n%s", err, text)
	}
	p.expectOwner(p.lb1, patience)
}

// A third host knows the addresses by the virtual router's MAC address, whoever is
// Active, and the backup sends nothing from it.
func TestVirtualMAC(t *testing.T) {
	t.Parallel()
	const mac4, mac6 = "00:00:5e:00:01:64", "00:00:5e:00:02:64"
	p := newDualPair(t, dualConfig(", virtual_mac: true"))
	leaks, err := p.lb2.host.Capture(func(f lab.Frame) bool {
		return f.Sent && strings.HasPrefix(fmt.Sprintf("%x", f.Data[6:12]), "00005e00")
	})
	if err != nil {
		t.Fatal(err)
	}
	served := func() {
		t.Helper()
		p.expectServed(mac4, failover.VIP().Addr().String())
		p.expectServed(mac6, vip6)
	}
	served()
	before, err := p.lb2.status()
	if err != nil {
		t.Fatal(err)
	}
	p.lb2.waitStatus("goes on", func(s *admin.Status) bool {
		return s.VIPs[0].Counters.Received > before.VIPs[0].Counters.Received+manyIntervals
	})
	if n := len(leaks.Frames()); n != 0 {
		t.Errorf("the backup sent %d frames from a virtual MAC address: %x", n, leaks.Frames()[0].Data)
	}

	t.Log("# killed")
	p.lb1.kill()
	p.lb2.waitAll(vrrp.Active)
	served()

	t.Log("# back: what the dead process left behind is gone, and the election goes on")
	p.lb1.start()
	p.lb1.waitAll(vrrp.Active)
	p.lb2.waitAll(vrrp.Backup)
	served()

	t.Log("# cut from each other, both active, and healed")
	p.cut()
	p.lb2.waitAll(vrrp.Active)
	p.heal()
	p.lb2.waitAll(vrrp.Backup)
	p.lb1.waitAll(vrrp.Active)
	served()

	t.Log("# stopped: no interface is left")
	p.lb1.stop()
	var links []byte
	if err := p.lb1.host.Do(func() (err error) { links, err = os.ReadFile("/proc/net/dev"); return err }); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(links), "vrrp") {
		t.Errorf("interfaces left:\n%s", links)
	}
	served()
}

func TestLostGatewayMovesTheVIP(t *testing.T) {
	t.Parallel()
	gateway := failover.Servers()[0]
	p := newDualPair(t, pairConfig("preempt: 300ms, track: {servers: false, gateway: "+gateway.Addresses[0].Addr().String()+"}"))
	for _, h := range []*lab.Host{p.lb1.host, p.Lab.Host(gateway.Name)} {
		if err := h.Isolate(); err != nil {
			t.Fatal(err)
		}
	}
	p.lb2.waitAll(vrrp.Active)
	s := p.lb1.waitStatus("is lowered", func(s *admin.Status) bool { return s.VIPs[0].Lowered != nil && s.VIPs[0].Priority == 149 })
	if low := s.VIPs[0].Lowered; low.By != 51 || !strings.Contains(low.Reason, "does not answer") {
		t.Errorf("lowered %+v", low)
	}
	if text, err := p.lb1.ask("explain", "--socket", p.lb1.socket); err != nil || !strings.Contains(text, "base 200, -51 gateway") {
		t.Errorf("explain: %v\n%s", err, text)
	}
	p.expectOwner(p.lb2, patience)

	t.Log("# it answers again")
	if err := p.lb1.host.Heal(); err != nil {
		t.Fatal(err)
	}
	p.lb1.waitAll(vrrp.Active)

	t.Log("# both lose it: nobody moves")
	takeovers := p.lb2.takeovers()
	if err := p.Lab.Host(gateway.Name).Cut(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{p.lb1, p.lb2} {
		n.waitStatus("misses the gateway", func(s *admin.Status) bool { return len(s.VIPs[0].Lost) == 1 })
	}
	pause(t, 3*time.Second)
	p.expectOwner(p.lb1, patience)
	if got := p.lb2.takeovers(); got != takeovers {
		t.Errorf("lb2 took over %d times", got-takeovers)
	}
}

// addInterface gives a host a second interface, which fails by itself.
func addInterface(t *testing.T, h *lab.Host, address string) {
	t.Helper()
	err := h.Do(func() error {
		parent, err := netlink.LinkByName(lab.Interface)
		if err != nil {
			return err
		}
		second := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: secondInterface, ParentIndex: parent.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
		if err := netlink.LinkAdd(second); err != nil {
			return err
		}
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		return errors.Join(netlink.AddrAdd(second, a), netlink.LinkSetUp(second))
	})
	if err != nil {
		t.Fatalf("second interface of %s: %v", h.Name(), err)
	}
}

const secondInterface = "inside"

// A node that has lost one of its links must not keep what is on the other: traffic
// that comes in there would find no way on.
func TestGroupOverTwoInterfacesMovesAsOne(t *testing.T) {
	t.Parallel()
	const inside = "10.78.0.101"
	config := strings.Replace(pairConfig("preempt: 300ms, group: router"), "listeners:",
		"  inside: {addresses: "+inside+"/24, interface: "+secondInterface+", group: router, advertise: 100ms, preempt: 300ms}\nlisteners:", 1)
	s := scene(t)
	for name, last := range map[string]string{lb1: "1", lb2: "2"} {
		addInterface(t, s.Lab.Host(name), "10.78.0."+last+"/24")
	}
	if err := s.Lab.Host(failover.Client).AddAddress(netip.MustParsePrefix("10.78.0.50/24")); err != nil {
		t.Fatal(err)
	}
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	p.lb1.start()
	p.lb1.waitAll(vrrp.Active)
	p.lb2.start()
	p.lb2.waitAll(vrrp.Backup)
	both := []string{failover.VIP().Addr().String(), inside}
	served := func(n *node) {
		t.Helper()
		p.expectServed(n.mac(), both[:1]...)
		p.expectServed(macOf(t, n.host, secondInterface), both[1:]...)
	}
	served(p.lb1)

	set := func(change func(netlink.Link) error) {
		t.Helper()
		if err := p.lb1.host.Do(func() error {
			link, err := netlink.LinkByName(secondInterface)
			if err != nil {
				return err
			}
			return change(link)
		}); err != nil {
			t.Fatal(err)
		}
	}
	set(netlink.LinkSetDown)
	p.lb2.waitAll(vrrp.Active)
	served(p.lb2)
	st := p.lb1.waitStatus("is out of it", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Init && s.VIPs[1].Role == vrrp.Init })
	for _, v := range st.VIPs {
		if !strings.Contains(v.Reason+v.Error, "link "+secondInterface+" is down") {
			t.Errorf("%s: %q, %q", v.Name, v.Reason, v.Error)
		}
	}

	t.Log("# the link comes back, and the addresses with it")
	set(netlink.LinkSetUp)
	p.lb1.waitAll(vrrp.Active)
	p.lb2.waitAll(vrrp.Backup)
	served(p.lb1)
}

// macOf returns the MAC address of a host's interface.
func macOf(t *testing.T, h *lab.Host, ifname string) (mac string) {
	t.Helper()
	if err := h.Do(func() error {
		link, err := netlink.LinkByName(ifname)
		if err == nil {
			mac = link.Attrs().HardwareAddr.String()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return mac
}

// Two VIPs that prefer different nodes use both; one node serves both when it is
// alone.
func TestEachNodeHasItsVIP(t *testing.T) {
	t.Parallel()
	config := strings.Replace(quickConfig(), "listeners:", "  other: {addresses: 10.77.0.101/24, prefer: lb2, preempt: 300ms}\nlisteners:", 1)
	s := scene(t)
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	apart := func() {
		t.Helper()
		for n, first := range map[*node]vrrp.Role{p.lb1: vrrp.Active, p.lb2: vrrp.Backup} {
			n.waitStatus("has its own VIP", func(s *admin.Status) bool {
				return s.Fit && s.VIPs[0].Role == first && s.VIPs[1].Role == vrrp.Active+vrrp.Backup-first
			})
		}
	}
	p.lb1.start()
	p.lb2.start()
	apart()
	p.expectServed(p.lb1.mac(), "10.77.0.100")
	p.expectServed(p.lb2.mac(), "10.77.0.101")
	p.lb2.kill()
	p.lb1.waitAll(vrrp.Active)
	p.expectServed(p.lb1.mac(), "10.77.0.100", "10.77.0.101")
	p.lb2.start()
	apart()
	p.expectServed(p.lb2.mac(), "10.77.0.101")
}

// A VIP that is a node's own address belongs to that node whenever it is there.
func TestOwnerOfTheAddress(t *testing.T) {
	t.Parallel()
	p := newDualPair(t, strings.Replace(pairConfig("preempt: false"), failover.VIP().String(), "10.77.0.1/24, "+failover.VIP().String(), 1))
	s, err := p.lb1.status()
	if err != nil {
		t.Fatal(err)
	}
	if v := s.VIPs[0]; v.Priority != 255 || v.Reason != "this node owns the address" {
		t.Errorf("lb1 has priority %d, because of %s", v.Priority, v.Reason)
	}
	p.lb1.stop()
	p.lb2.waitAll(vrrp.Active)
	if has, err := p.lb1.host.Has(netip.MustParseAddr("10.77.0.1")); err != nil || !has {
		t.Errorf("lb1 has lost its own address: %v", err)
	}
	p.lb1.start()
	p.lb1.waitAll(vrrp.Active)
	p.lb2.waitAll(vrrp.Backup)
}
