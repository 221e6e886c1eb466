package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// frrFolder is where Debian's package has FRR's daemons.
const frrFolder = "/usr/lib/frr"

// frr is a host that runs FRR's vrrpd, which always has the virtual router's MAC
// address, and its addresses on an interface that is down while it is a Backup.
type frr struct {
	*node // without an admin socket
	mac   string
	zebra *lab.Process
}

// frrConfig is what differs from test to test.
type frrConfig struct {
	version, priority int
	interval          string // in milliseconds
	ipv6              bool
}

func (c frrConfig) addresses() []string {
	if c.ipv6 {
		return []string{vip6Local, vip6 + "/64"}
	}
	return []string{failover.VIP().String()}
}

// String returns the config file.
func (c frrConfig) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "interface %s\n vrrp 100 version %d\n vrrp 100 priority %d\n vrrp 100 advertisement-interval %s\n",
		lab.Interface, c.version, c.priority, c.interval)
	family := map[bool]string{false: "ip", true: "ipv6"}[c.ipv6]
	for _, a := range c.addresses() {
		fmt.Fprintf(&b, " vrrp 100 %s %s\n", family, netip.MustParsePrefix(a).Addr())
	}
	return b.String()
}

func newFRR(t *testing.T, s *failover.Scene, name string, config frrConfig) *frr {
	t.Helper()
	if _, err := os.Stat(filepath.Join(frrFolder, "vrrpd")); err != nil {
		t.Skipf("needs FRR's vrrpd: %v", err)
	}
	f := &frr{node: newNode(t, s, name, ""), mac: "00:00:5e:00:01:64"}
	if config.ipv6 {
		f.mac = "00:00:5e:00:02:64"
	}
	f.config = filepath.Join(f.dir, "vrrpd.conf")
	f.write(config.String())
	f.own()
	if err := f.host.Do(func() error { return addMacvlan(f.mac, config.addresses()) }); err != nil {
		t.Fatalf("interface of vrrpd: %v", err)
	}
	return f
}

// own gives the node's files to the user as whom FRR runs.
func (f *frr) own() {
	f.t.Helper()
	who, err := user.Lookup("frr")
	if err != nil {
		f.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	err = os.Chmod(filepath.Dir(f.dir), 0o755) // FRR must get there
	for _, path := range []string{f.dir, f.config} {
		err = errors.Join(err, os.Chown(path, uid, gid))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// addMacvlan makes the interface that vrrpd looks for: by its MAC address. The
// interface below it must neither answer for its addresses nor ask in their name.
func addMacvlan(mac string, addresses []string) error {
	for setting, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", lab.Interface, setting), []byte(value), 0); err != nil {
			return err
		}
	}
	parent, err := netlink.LinkByName(lab.Interface)
	if err != nil {
		return err
	}
	link := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "frr", ParentIndex: parent.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	if err := netlink.LinkAdd(link); err != nil {
		return err
	}
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(link, hardware); err != nil {
		return err
	}
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}

// start starts vrrpd, and zebra, without which it knows no interface.
func (f *frr) start() {
	f.t.Helper()
	if f.zebra == nil {
		f.zebra = f.daemon("zebra", "/dev/null")
		f.eventually(patience, "zebra can be called", func() (bool, string) { // else vrrpd tries again after ten seconds
			_, err := os.Stat(filepath.Join(f.dir, "zserv"))
			return err == nil, fmt.Sprint(err)
		})
	}
	f.proc = f.daemon("vrrpd", f.config)
}

func (f *frr) daemon(name, config string) *lab.Process {
	f.t.Helper()
	log, err := os.OpenFile(f.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close() // the daemon has its own descriptor
	cmd := exec.Command(filepath.Join(frrFolder, name), "-u", "frr", "-g", "frr", "-f", config, "-P", "0", "--log", "stdout",
		"-i", filepath.Join(f.dir, name+".pid"), "-z", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := f.host.Start(cmd)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// TestFRR has each take over from the other, in good order and after a kill. FRR has
// its addresses in the kernel all the time, so it is asked of the client who has them.
func TestFRR(t *testing.T) {
	for _, r := range []struct {
		rivalry
		config frrConfig
	}{
		{rivalry{"version 3", "advertise: 100ms", keepalivedConfig{}, failover.VIP().Addr().String()}, frrConfig{version: 3, interval: "100"}},
		{rivalry{"version 2", "version: 2, advertise: 1s", keepalivedConfig{version: 2}, failover.VIP().Addr().String()}, frrConfig{version: 2, interval: "1000"}},
		{rivalry{"version 3, IPv6", "advertise: 100ms", keepalivedConfig{ipv6: true}, vip6}, frrConfig{version: 3, interval: "100", ipv6: true}},
	} {
		// expect waits until the client hears who is at mac advertise, and is served there.
		expect := func(p *pair, mac string) {
			p.t.Helper()
			c, err := p.Lab.Host(failover.Client).Capture(func(f lab.Frame) bool {
				_, payload := overheard(f.Data)
				return net.HardwareAddr(f.Data[6:12]).String() == mac && len(payload) > 2 && payload[2] > 0
			})
			if err != nil {
				p.t.Fatal(err)
			}
			p.lb1.eventually(patience, mac+" advertises", func() (bool, string) { return len(c.Frames()) >= 3, "it does not" })
			p.expectServed(mac, r.vip)
		}
		meet := func(t *testing.T, tandem, rival int) (*pair, *node, *frr) {
			s := dualScene(t)
			r.config.priority = rival
			n, f := newNode(t, s, lb1, r.rivalry.config(tandem)), newFRR(t, s, lb2, r.config)
			answer(t, f.host)
			return &pair{Scene: s, t: t, lb1: n, lb2: f.node}, n, f
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			t.Run("Tandem leads", func(t *testing.T) {
				p, n, f := meet(t, 200, 150)
				f.start()
				expect(p, f.mac)
				n.start()
				n.waitAll(vrrp.Active)
				expect(p, n.mac())
				n.stop()
				expect(p, f.mac)
				n.start()
				n.waitAll(vrrp.Active)
				expect(p, n.mac())
				n.kill()
				expect(p, f.mac)
			})
			t.Run("FRR leads", func(t *testing.T) {
				p, n, f := meet(t, 150, 200)
				n.start()
				n.waitStatus("is active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
				f.start()
				n.waitAll(vrrp.Backup)
				expect(p, f.mac)
				s := n.waitStatus("goes on", func(s *admin.Status) bool { return s.VIPs[0].Counters.Received > someIntervals })
				if c := s.VIPs[0].Counters; len(c.Dropped) > 0 || c.AddressMismatch > 0 || c.IntervalMismatch > 0 {
					t.Errorf("Tandem does not understand all: %+v", c)
				}
				f.stop()
				n.waitStatus("is active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
				f.start()
				n.waitAll(vrrp.Backup)
				f.kill()
				n.waitStatus("is active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
			})
		})
	}
}
