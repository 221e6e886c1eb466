package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// healthy are the facts of a host on which a pair of nodes would do well.
func healthy() *Facts {
	own := netip.MustParseAddr("192.0.2.11")
	return &Facts{
		Config: Config{Path: "/etc/tandem/tandem.yaml", Node: "lb1", RealTime: true, Port: 7946},
		Process: Process{
			Effective: 1<<41 - 1, Of: "this shell", Descriptors: 1 << 20, LockedMemory: 8 << 20, WorkerUser: "tandem",
			Executable: "/usr/bin/tandem", ExecutableMode: 0o755,
		},
		Kernel: Kernel{Landlock: 7, Sysctls: map[string]string{
			"net.core.somaxconn": "4096", "net.ipv4.ip_local_port_range": "32768\t60999", "kernel.sched_rt_runtime_us": "950000",
			"net.netfilter.nf_conntrack_count": "10", "net.netfilter.nf_conntrack_max": "1000", "fs.file-nr": "100\t0\t100000",
		}},
		Interfaces: map[string]Interface{
			"eth0": {Index: 2, Up: true, Carrier: true, MTU: 1500, Prefixes: []netip.Prefix{netip.PrefixFrom(own, 24)}},
			"eth1": {Index: 3, Up: true, Carrier: true, MTU: 1500, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
		},
		VIPs:  []VIP{{Name: "main", Interface: "eth0", RouterID: 51, Version: 3, Self: own, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}}},
		Peers: []Peer{{Name: "lb2", Address: netip.MustParseAddr("192.0.2.12"), MAC: "02:00:00:00:00:02", Gossip: "refused"}},
		Heard: []Advert{{Interface: "eth0", From: netip.MustParseAddr("192.0.2.12"), RouterID: 51, Version: 3, Priority: 150,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}}},
		Listened: 3500 * time.Millisecond,
		Ports:    []Port{{For: "listener web", Bind: netip.MustParseAddrPort("0.0.0.0:80")}},
		Clock:    Clock{Known: true, Synchronized: true},
		Firewall: Firewall{Tool: "nft", Rules: "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t}\n}\n"},
	}
}

// Routers of others that are in nobody's way are named, so that nobody takes their number.
func TestForeignRoutersAreNamed(t *testing.T) {
	f := healthy()
	for _, id := range []uint8{60, 9, 60} {
		f.Heard = append(f.Heard, Advert{Interface: "eth0", From: netip.MustParseAddr("192.0.2.99"), RouterID: id, Version: 2})
	}
	told := false
	for _, x := range Examine(f) {
		if x.Check != "VRRP" {
			continue
		}
		told = true
		if x.Severity != OK || !strings.HasSuffix(x.Found, "; others use router_id 9 and 60") {
			t.Errorf("%+v", x)
		}
	}
	if !told {
		t.Error("nothing is said of VRRP")
	}
}

func TestHealthyHost(t *testing.T) {
	all := Examine(healthy())
	for _, f := range all {
		if f.Severity != OK || f.Why != "" || f.Fix != "" || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
	if len(all) < 16 || Worst(all) != OK {
		t.Errorf("%d findings, the worst is %s", len(all), Worst(all))
	}
}

// elsewhere moves the VIP to a network where neither node has its own address.
func elsewhere(f *Facts) {
	v := &f.VIPs[0]
	v.Interface, v.Self, v.Apart = "eth1", netip.MustParseAddr("198.51.100.1"), true
	v.Prefixes = []netip.Prefix{netip.MustParsePrefix("198.51.100.100/24")}
	f.Heard[0].Interface, f.Heard[0].From = "eth1", netip.MustParseAddr("198.51.100.2")
	f.Heard[0].Addresses = []netip.Addr{netip.MustParseAddr("198.51.100.100")}
	f.Peers[0].MAC = ""
}

// Where the nodes have other addresses than those that the config names, the one that
// answers and advertises is the peer.
func TestPeerElsewhere(t *testing.T) {
	f := healthy()
	elsewhere(f)
	f.VIPs[0].Answers = map[netip.Addr][]string{netip.MustParseAddr("198.51.100.100"): {"02:00:00:00:01:02"}}
	for _, found := range Examine(f) {
		if found.Severity != OK {
			t.Errorf("%+v", found)
		}
	}
}

// Each row takes one thing from a healthy host; that, and nothing else, is found.
func TestFindings(t *testing.T) {
	foreign := netip.MustParseAddr("192.0.2.99")
	vip := netip.MustParseAddr("192.0.2.100")
	six := netip.MustParseAddr("fe80::1")
	for _, tc := range []struct {
		name  string
		spoil func(f *Facts)
		check string
		want  Severity
		text  string // in what is found
		fix   string // in the fix
	}{
		{"a config with an error", func(f *Facts) { f.Config.Error = "t.yaml:1:1: unknown key" }, "config", Error, "unknown key", "tandem check -c /etc/tandem"},
		{"a node of another host", func(f *Facts) { f.Config.Place = "no interface of this host has" }, "config", Error, "no interface", "nodes"},
		{"keepalived", func(f *Facts) { f.Programs = []string{"haproxy", "keepalived"} }, "node", Warning, "keepalived", "disable --now keepalived"},
		{"a cloud", func(f *Facts) { f.Machine.Cloud = "Amazon EC2" }, "machine", Warning, "Amazon", "unicast: true"},
		{"no NET_RAW", func(f *Facts) { f.Process.Effective &^= 1 << capNetRaw }, "capabilities", Error, "lacks NET_RAW", "CAP_NET_RAW"},
		{"no NET_RAW in a container", func(f *Facts) { f.Process.Effective &^= 1 << capNetRaw; f.Machine.Container = "docker" }, "capabilities", Error, "lacks NET_RAW", "--cap-add NET_RAW"},
		{"no SYS_NICE", func(f *Facts) { f.Process.Effective &^= 1 << capSysNice }, "capabilities", Warning, "lacks SYS_NICE", "CAP_SYS_NICE"},
		{"root for ever", func(f *Facts) { f.Process.Effective &^= 1 << capSetUID }, "capabilities", Error, "SETUID", "CAP_SETUID"},
		{"a worker for ever", func(f *Facts) { f.Process.Effective &^= 1 << capKill }, "capabilities", Error, "KILL", "CAP_KILL"},
		{"no landlock", func(f *Facts) { f.Kernel.Landlock = 0 }, "sandbox", Warning, "no landlock", "lsm=landlock"},
		{"a worker without landlock", func(f *Facts) { f.Running = &Running{Sandbox: "uid 1, WITHOUT landlock", PeerAlive: true} }, "sandbox", Warning, "WITHOUT landlock", "@sandbox"},
		{"no user for the worker", func(f *Facts) { f.Process.WorkerUser = "nobody" }, "sandbox", Warning, "nobody", "useradd"},
		{"a program for root alone", func(f *Facts) { f.Process.ExecutableMode = 0o700 }, "sandbox", Error, "mode 0700", "chmod 0755 /usr/bin/tandem"},
		{"few files", func(f *Facts) { f.Process.Descriptors = 4096 }, "limits", Warning, "4096 open files", "LimitNOFILE"},
		{"hardly a file", func(f *Facts) { f.Process.Descriptors = 512 }, "limits", Error, "512 open files", "LimitNOFILE"},
		{"little memory", func(f *Facts) { f.Process.Memory = 64 << 20 }, "cgroup", Warning, "64 MiB", "MemoryMax"},
		{"few threads", func(f *Facts) { f.Process.Tasks = 20 }, "cgroup", Warning, "20 threads", "TasksMax"},
		{"half a CPU", func(f *Facts) { f.Process.CPU = 0.5 }, "cgroup", Warning, "0.50 of a CPU", "CPUQuota"},
		{"no real time", func(f *Facts) { f.Kernel.Sysctls["kernel.sched_rt_runtime_us"] = "0" }, "scheduler", Error, "is 0", "950000"},
		{"no real time for the node", func(f *Facts) { f.Running = &Running{Realtime: "operation not permitted", PeerAlive: true} }, "scheduler", Warning, "not permitted", "SYS_NICE"},
		{"a short backlog", func(f *Facts) { f.Kernel.Sysctls["net.core.somaxconn"] = "128\n" }, "sysctl", Warning, "somaxconn is 128", "sysctl --system"},
		{"few ports", func(f *Facts) { f.Kernel.Sysctls["net.ipv4.ip_local_port_range"] = "32768 33000" }, "sysctl", Warning, "32768 to 33000", "15000 65000"},
		{"a port of the kernel's", func(f *Facts) { f.Ports[0].Bind = netip.MustParseAddrPort("0.0.0.0:40000") }, "sysctl", Warning, "port 40000", "ip_local_reserved_ports = 40000'"},
		{"one more port of the kernel's", func(f *Facts) {
			f.Kernel.Sysctls["net.ipv4.ip_local_reserved_ports"] = "33000-33010\n"
			f.Ports[0].Bind = netip.MustParseAddrPort("0.0.0.0:40000")
		}, "sysctl", Warning, "port 40000", "ip_local_reserved_ports = 33000-33010,40000' >>"},
		{"two interfaces in a network", func(f *Facts) {
			f.Kernel.Sysctls["net.ipv4.conf.all.rp_filter"] = "1"
			i := f.Interfaces["eth1"]
			i.Prefixes = []netip.Prefix{netip.MustParsePrefix("192.0.2.13/24")}
			f.Interfaces["eth1"] = i
		}, "sysctl", Warning, "eth1 is in the same network", "net.ipv4.conf.eth0.rp_filter = 2"},
		{"no ARP", func(f *Facts) { f.Kernel.Sysctls["net.ipv4.conf.eth0.arp_ignore"] = "8" }, "sysctl", Error, "arp_ignore is 8", "arp_ignore = 0"},
		{"no ARP on a VLAN", func(f *Facts) {
			f.VIPs[0].Interface, f.Heard[0].Interface = "eth0.7", "eth0.7"
			f.Interfaces["eth0.7"] = f.Interfaces["eth0"]
			delete(f.Interfaces, "eth0")
			f.Kernel.Sysctls[InterfaceSysctl("ipv4", "eth0.7", "arp_ignore")] = "8"
		}, "sysctl", Error, "arp_ignore is 8", "'net.ipv4.conf.eth0/7.arp_ignore = 0'"},
		{"tracked connections", func(f *Facts) { f.Kernel.Sysctls["net.netfilter.nf_conntrack_count"] = "850" }, "conntrack", Warning, "850 of 1000", "nf_conntrack_max = 2000"},
		{"no more tracked connections", func(f *Facts) { f.Kernel.Sysctls["net.netfilter.nf_conntrack_count"] = "999" }, "conntrack", Error, "999 of 1000", "nf_conntrack_max = 2000"},
		{"no more files", func(f *Facts) { f.Kernel.Sysctls["fs.file-nr"] = "99000 0 100000" }, "open files", Error, "99000 of 100000", "fs.file-max = 200000"},
		{"a port in use", func(f *Facts) { f.Ports[0].InUse, f.Ports[0].By = true, "nginx (pid 8)" }, "ports", Error, "listener web: tcp 0.0.0.0:80 is in use by nginx", "stop nginx"},
		{"a port in use by somebody", func(f *Facts) { f.Ports[0].InUse = true }, "ports", Error, "in use", "ss -lnp 'sport = :80'"},
		{"a low port", func(f *Facts) { f.Ports[0].Error = "permission denied"; f.Process.Effective &^= 1 << capNetBind }, "ports", Error, "permission denied", "NET_BIND_SERVICE"},
		{"no interface", func(f *Facts) { delete(f.Interfaces, "eth0") }, "interface", Error, "not there", "interface"},
		{"an interface that is down", func(f *Facts) { f.Interfaces["eth0"] = Interface{Carrier: true} }, "interface", Error, "down", "ip link set eth0 up"},
		{"no carrier", func(f *Facts) { f.Interfaces["eth0"] = Interface{Up: true} }, "interface", Error, "carrier", "cable"},
		{"the address is the host's", func(f *Facts) {
			i := f.Interfaces["eth0"]
			i.Prefixes = append(i.Prefixes, netip.PrefixFrom(vip, 24))
			f.Interfaces["eth0"] = i
		}, "address", Error, "is set on eth0", "ip addr del 192.0.2.100 dev eth0"},
		{"no network", func(f *Facts) { f.VIPs[0].Prefixes[0], f.Heard = netip.MustParsePrefix("203.0.113.1/32"), nil }, "address", Warning, "no network", "prefix length"},
		{"somebody has the address", func(f *Facts) { f.VIPs[0].Answers = map[netip.Addr][]string{vip: {"02:00:00:00:00:09"}} }, "duplicate address", Error, "02:00:00:00:00:09", "ip neigh"},
		{"a foreign router", func(f *Facts) {
			f.Heard = []Advert{{Interface: "eth0", From: foreign, RouterID: 51, Version: 2, Priority: 100}}
		}, "VRRP", Error, "192.0.2.99 on eth0, which is none of the nodes, advertises virtual router 51", "vips.main.router_id"},
		{"another version", func(f *Facts) { f.Heard[0].Version = 2 }, "VRRP", Error, "in version 2", "same config"},
		{"another config", func(f *Facts) { f.Heard[0].Addresses = nil }, "VRRP", Warning, "other addresses", "same config"},
		{"the address in another router", func(f *Facts) { f.Heard[0].RouterID, f.Heard[0].From = 52, foreign }, "VRRP", Error, "as virtual router 52", "router_id 51"},
		{"a foreign router of IPv6", func(f *Facts) {
			f.VIPs[0].Name, f.VIPs[0].Self, f.VIPs[0].Prefixes = "main/6", six, []netip.Prefix{netip.MustParsePrefix("fe80::100/64")}
			f.Heard = []Advert{{Interface: "eth0", From: netip.MustParseAddr("fe80::9"), RouterID: 51, Version: 3}}
		}, "VRRP", Error, "fe80::9", "vips.main.router_id"},
		{"no IPv6", func(f *Facts) {
			f.VIPs[0].Self, f.VIPs[0].Prefixes, f.Heard = six, []netip.Prefix{netip.MustParsePrefix("fe80::100/64")}, nil
			f.Kernel.Sysctls["net.ipv6.conf.eth0.disable_ipv6"] = "1"
		}, "sysctl", Error, "disable_ipv6 is 1", "disable_ipv6 = 0"},
		{"a peer behind a filter", func(f *Facts) { f.Peers[0].Gossip = "i/o timeout" }, "peer", Warning, "i/o timeout", "7946 of TCP and UDP and 7947 of TCP"},
		{"a silent peer", func(f *Facts) { f.Running = &Running{Realtime: "yes", Locked: "yes"} }, "peer", Warning, "silent", "7946"},
		{"networkd", func(f *Facts) { f.Managers = []Manager{{Name: "systemd-networkd", Manages: []string{"eth0"}}} }, "network manager", Warning, "systemd-networkd manages eth0", "KeepConfiguration=yes"},
		{"NetworkManager", func(f *Facts) { f.Managers = []Manager{{Name: "NetworkManager", Manages: []string{"eth0"}}} }, "network manager", Warning, "NetworkManager manages eth0", "nmcli"},
		{"dhcpcd and virtual MAC addresses", func(f *Facts) {
			f.Config.VirtualMAC, f.Managers = true, []Manager{{Name: "dhcpcd", Manages: []string{"eth0"}}}
		}, "network manager", Warning, "virtual MAC", "denyinterfaces vrrp*"},
		{"no settings", func(f *Facts) { f.Config.VirtualMAC, f.Kernel.ReadOnly = true, true }, "sysctl", Error, "/proc/sys", "ProtectKernelTunables=no"},
		{"nobody keeps the clock", func(f *Facts) { f.Clock.Synchronized = false }, "clock", Warning, "nobody keeps it right", "timedatectl"},
		{"a certificate that ends", func(f *Facts) { f.Files.Warnings = []string{"shop.pem ends in 3 days"} }, "files", Warning, "3 days", "tandem check --files"},
		{"no certificate", func(f *Facts) { f.Files.Errors = []string{"shop.pem: no such file"} }, "files", Error, "no such file", "tandem check --files"},
		{"an open key", func(f *Facts) { f.Files.Secrets = []Secret{{What: "cluster.key_file", Path: "/k", Mode: 0o644}} }, "files", Error, "mode 0644", "chmod 0600 /k"},
		{"no key", func(f *Facts) {
			f.Files.Secrets = []Secret{{What: "cluster.key_file", Path: "/k", Error: "no such file", Missing: true}}
		}, "files", Error, "no such file", "umask 077; tandem keygen > /k"},
		{"a key of others, which is not to be overwritten", func(f *Facts) {
			f.Files.Secrets = []Secret{{What: "cluster.key_file", Path: "/k", Error: "permission denied"}}
		}, "files", Error, "permission denied", "ls -l /k"},
		{"two have an address of another network", func(f *Facts) {
			elsewhere(f)
			f.VIPs[0].Answers = map[netip.Addr][]string{vip: {"02:00:00:00:01:02"}, six: {"02:00:00:00:01:02", "02:00:00:00:01:09"}}
			f.Peers[0].MAC = "02:00:00:00:01:02"
		}, "duplicate address", Error, "02:00:00:00:01:09", "ip neigh"},
		{"a foreign router in another network", func(f *Facts) {
			elsewhere(f)
			f.Heard[0].Addresses = nil
		}, "VRRP", Error, "198.51.100.2 on eth1, which is none", "router_id"},
		{"no folder", func(f *Facts) {
			f.Files.Folders = []Folder{{What: "state", Path: "/s", Error: "read-only file system"}}
		}, "files", Error, "read-only", "install -d"},
	} {
		f := healthy()
		tc.spoil(f)
		var bad []Finding
		for _, found := range Examine(f) {
			if found.Severity != OK {
				bad = append(bad, found)
			}
		}
		if len(bad) != 1 {
			t.Errorf("%s: %+v", tc.name, bad)
			continue
		}
		b := bad[0]
		if b.Check != tc.check || b.Severity != tc.want || !strings.Contains(b.Found, tc.text) || !strings.Contains(b.Fix, tc.fix) || b.Why == "" {
			t.Errorf("%s: %+v", tc.name, b)
		}
	}
}
