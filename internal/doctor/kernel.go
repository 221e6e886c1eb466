package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// Least of what a busy node needs.
const (
	shortBacklog = 1024
	fewPorts     = 10000
	nearlyFull   = 80 // percent of a table
	full         = 95
)

// sysctl returns a number; ok is false when there is none.
func (e *examination) sysctl(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(e.Kernel.Sysctls[name]), 10, 64)
	return n, err == nil
}

// set is the fix that sets a sysctl, now and at each start, beside those that are set so
// already.
func set(name string, value any) string {
	return fmt.Sprintf("echo '%s = %v' >> /etc/sysctl.d/90-tandem.conf && sysctl --system", name, value)
}

func (e *examination) sysctls() {
	const check = "sysctl"
	if n, ok := e.sysctl("net.core.somaxconn"); ok && n < shortBacklog {
		e.warn(check, fmt.Sprintf("net.core.somaxconn is %d", n), "a burst of new connections is dropped, and clients wait a second or more to try again",
			set("net.core.somaxconn", 4096))
	}
	low, high, ok := e.localPorts()
	if ok && high-low < fewPorts {
		e.warn(check, fmt.Sprintf("net.ipv4.ip_local_port_range is %d to %d", low, high),
			fmt.Sprintf("no more than %d connections to each server at a time, with those that have just ended", high-low),
			set("net.ipv4.ip_local_port_range", "15000 65000"))
	}
	if ok {
		e.ephemeral(low, high)
	}
	for _, v := range e.VIPs {
		e.family(v)
	}
	if e.Config.VirtualMAC && e.Kernel.ReadOnly {
		e.fail(check, "/proc/sys cannot be written", "virtual MAC addresses need settings of their interfaces",
			"systemctl edit tandem, and add to [Service]: ProtectKernelTunables=no; or start the container with --security-opt systempaths=unconfined")
	}
	if !e.found(check) {
		e.ok(check, "nothing that hurts")
	}
}

// family looks at what the kernel must do for the address family of v on its interface.
func (e *examination) family(v VIP) {
	const check = "sysctl"
	conf := func(family, name string) (string, int64) {
		key := InterfaceSysctl(family, v.Interface, name)
		n, _ := e.sysctl(key)
		return key, n
	}
	if v.Self.Is6() {
		if key, n := conf("ipv6", "disable_ipv6"); n == 1 {
			e.fail(check, key+" is 1", "VIP "+v.Name+" is of IPv6", set(key, 0))
		}
		return
	}
	// What arrives for the VIP came by the interface that the route back takes; only a
	// second interface in the same network makes it look like a stranger.
	all, _ := e.sysctl("net.ipv4.conf.all.rp_filter")
	if key, n := conf("ipv4", "rp_filter"); max(all, n) == 1 && e.twins(v) != "" {
		e.warn(check, key+" or that of all is 1, and "+e.twins(v)+" is in the same network",
			"the kernel drops what arrives at one while its route back is by the other, advertisements among it", set(key, 2))
	}
	if key, n := conf("ipv4", "arp_ignore"); n >= 3 {
		e.fail(check, fmt.Sprintf("%s is %d", key, n), "the kernel does not answer for the VIP", set(key, 0))
	}
}

// twins returns another interface with an address in the network of v; empty: there is
// none.
func (e *examination) twins(v VIP) string {
	for name, i := range e.Interfaces {
		for _, p := range i.Prefixes {
			if name != v.Interface && !strings.HasPrefix(name, "vrrp") && !p.IsSingleIP() && p.Addr().IsValid() && p.Contains(v.Self) {
				return name
			}
		}
	}
	return ""
}

// ephemeral looks for ports of the node among those from low to high, which the kernel
// gives away.
func (e *examination) ephemeral(low, high int64) {
	const name = "net.ipv4.ip_local_reserved_ports"
	var taken []Port
	all := strings.TrimSpace(e.Kernel.Sysctls[name]) // each setting takes the place of the last
	for _, p := range e.Ports {
		if port := int64(p.Bind.Port()); !p.UDP && port >= low && port <= high && !e.reserved(port) {
			taken = append(taken, p)
			all += fmt.Sprintf(",%d", port)
		}
	}
	for _, p := range taken {
		e.warn("sysctl", fmt.Sprintf("port %d of %s is one that the kernel gives to outgoing connections", p.Bind.Port(), p.For),
			"when a connection has it as the node starts, the node does not", set(name, strings.TrimPrefix(all, ",")))
	}
}

// localPorts are those that the kernel gives to outgoing connections.
func (e *examination) localPorts() (low, high int64, ok bool) {
	n, err := fmt.Sscan(e.Kernel.Sysctls["net.ipv4.ip_local_port_range"], &low, &high)
	return low, high, err == nil && n == 2
}

// reserved reports whether the kernel keeps a port for those that ask for it.
func (e *examination) reserved(port int64) bool {
	for part := range strings.SplitSeq(e.Kernel.Sysctls["net.ipv4.ip_local_reserved_ports"], ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.ParseInt(from, 10, 64)
		high, err2 := strconv.ParseInt(to, 10, 64)
		if err1 == nil && err2 == nil && low <= port && port <= high {
			return true
		}
	}
	return false
}

// table is one of the kernel's that can be full.
type table struct {
	check, what string
	used, most  string // as the kernel writes them
	sysctl      string // that sets most
	why         string // it hurts when it is full
}

func (e *examination) conntrack() {
	const most = "net.netfilter.nf_conntrack_max"
	e.fill(table{"conntrack", "connections that the kernel tracks", e.Kernel.Sysctls["net.netfilter.nf_conntrack_count"], e.Kernel.Sysctls[most],
		most, "beyond that it drops packets of new connections"})
	// Three numbers: open, unused, and the most.
	if fields := strings.Fields(e.Kernel.Sysctls["fs.file-nr"]); len(fields) == 3 {
		e.fill(table{"open files", "open files of the whole host", fields[0], fields[2], "fs.file-max", "beyond that nobody can open a file or a socket"})
	}
}

// fill looks at how full a table is.
func (e *examination) fill(t table) {
	n, err1 := strconv.ParseUint(strings.TrimSpace(t.used), 10, 64)
	of, err2 := strconv.ParseUint(strings.TrimSpace(t.most), 10, 64)
	if err1 != nil || err2 != nil || of == 0 {
		return // the kernel has no such table
	}
	percent := n / max(of/100, 1)
	found := fmt.Sprintf("%d of %d %s", n, of, t.what)
	switch fix := set(t.sysctl, 2*min(of, 1<<40)); {
	case percent >= full:
		e.fail(t.check, found, t.why, fix)
	case percent >= nearlyFull:
		e.warn(t.check, found, t.why, fix)
	default:
		e.ok(t.check, found)
	}
}

func (e *examination) ports() {
	const check = "ports"
	for _, p := range e.Ports {
		network := "tcp"
		if p.UDP {
			network = "udp"
		}
		where := fmt.Sprintf("%s: %s %s", p.For, network, p.Bind)
		switch {
		case p.InUse && p.By != "":
			e.fail(check, where+" is in use by "+p.By, "the node cannot bind it, and does not start", "stop "+p.By+", or change the port in "+e.Config.Path)
		case p.InUse:
			e.fail(check, where+" is in use", "the node cannot bind it, and does not start",
				fmt.Sprintf("see who has it: ss -lnp 'sport = :%d'", p.Bind.Port()))
		case p.Error != "":
			fix := "choose another port, or address, in " + e.Config.Path
			if p.Bind.Port() < 1024 && e.Process.Effective&(1<<capNetBind) == 0 {
				fix = e.grant([]string{"NET_BIND_SERVICE"})
			}
			e.fail(check, where+": "+p.Error, "the node cannot bind it, and does not start", fix)
		}
	}
	if len(e.Ports) > 0 && !e.found(check) {
		e.ok(check, fmt.Sprintf("all %d can be bound", len(e.Ports)))
	}
}
