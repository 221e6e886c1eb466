package exam

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/doctor"
)

// sysctls are those that are read of the whole host, and of each interface of a VIP.
var (
	sysctls = []string{
		"fs.file-nr", "kernel.sched_rt_runtime_us", "net.core.somaxconn", "net.ipv4.conf.all.rp_filter",
		"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
		"net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max",
	}
	perInterface = []string{"ipv4/rp_filter", "ipv4/arp_ignore", "ipv6/disable_ipv6"}
)

func (e *exam) kernel() {
	k := &e.facts.Kernel
	k.Sysctls = map[string]string{}
	for _, name := range sysctls {
		if text := readText("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); text != "" {
			k.Sysctls[name] = strings.TrimSpace(text)
		}
	}
	for _, r := range e.routers {
		for _, path := range perInterface {
			family, name, _ := strings.Cut(path, "/")
			if text := readText(filepath.Join("/proc/sys/net", family, "conf", r.Interface, name)); text != "" {
				k.Sysctls[doctor.InterfaceSysctl(family, r.Interface, name)] = strings.TrimSpace(text)
			}
		}
	}
	k.Landlock, _ = ll.LandlockGetABIVersion()
	var fs unix.Statfs_t
	k.ReadOnly = unix.Statfs("/proc/sys", &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

func (e *exam) interfaces() {
	e.facts.Interfaces = map[string]doctor.Interface{}
	all, err := net.Interfaces()
	e.unknown("the interfaces", err)
	for _, i := range all {
		found := doctor.Interface{Index: i.Index, MTU: i.MTU, Up: i.Flags&net.FlagUp != 0, Carrier: i.Flags&net.FlagRunning != 0}
		addrs, err := i.Addrs()
		e.unknown("the addresses of "+i.Name, err)
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				found.Prefixes = append(found.Prefixes, p)
			}
		}
		e.facts.Interfaces[i.Name] = found
	}
}

// clouds are known by what the firmware of their machines says, and what it says there.
var clouds = []struct{ file, text, name string }{
	{"sys_vendor", "Amazon EC2", "Amazon EC2"},
	{"bios_vendor", "Amazon EC2", "Amazon EC2"},
	{"product_name", "Google Compute Engine", "Google Compute Engine"},
	{"chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "Microsoft Azure"},
	{"sys_vendor", "DigitalOcean", "DigitalOcean"},
	{"sys_vendor", "Hetzner", "Hetzner"},
	{"sys_vendor", "OpenStack", "OpenStack"},
	{"product_name", "OpenStack", "OpenStack"},
	{"sys_vendor", "Alibaba Cloud", "Alibaba Cloud"},
	{"chassis_asset_tag", "OracleCloud.com", "Oracle Cloud"},
}

func (e *exam) machine() {
	m := &e.facts.Machine
	for _, c := range clouds {
		if m.Cloud == "" && strings.Contains(readText("/sys/class/dmi/id/"+c.file), c.text) {
			m.Cloud = c.name
		}
	}
	switch kind := readText("/run/systemd/container"); {
	case kind != "":
		m.Container = strings.TrimSpace(kind)
	case exists("/run/.containerenv"):
		m.Container = "podman"
	case exists("/.dockerenv"):
		m.Container = "docker"
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (e *exam) clock() {
	var t unix.Timex // no mode: it is asked, not set
	state, err := unix.Adjtimex(&t)
	if err != nil {
		e.unknown("the clock", err)
		return
	}
	const unsynchronized = 0x40 // STA_UNSYNC
	e.facts.Clock = doctor.Clock{
		Known: true, Synchronized: t.Status&unsynchronized == 0 && state != unix.TIME_ERROR,
		Error: time.Duration(t.Esterror) * time.Microsecond,
	}
}

// firewall has a tool print the rules of this host.
func (e *exam) firewall(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for _, tool := range []struct {
		name string
		args []string
	}{{"nft", []string{"list", "ruleset"}}, {"iptables", []string{"-S"}}} {
		path, err := lookup(tool.name)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, tool.args...)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			e.unknown("the rules that "+tool.name+" lists", err)
			continue
		}
		e.facts.Firewall = doctor.Firewall{Tool: tool.name, Rules: out.String()}
		return
	}
}

// lookup finds a program of the system, whose folder need not be in the path of a user.
func lookup(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); exists(path) {
			return path, nil
		}
	}
	return exec.LookPath(name)
}
