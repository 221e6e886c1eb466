package exam

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/doctor"
	"github.com/tandemlb/tandem/proxy"
)

// ports tries to bind what a node would, and gives it back at once.
func (e *exam) ports(ctx context.Context) {
	for _, l := range e.config.Proxy.Listeners {
		for _, bind := range l.Bind {
			e.port(ctx, doctor.Port{For: "listener " + l.Name, Bind: bind, UDP: l.Protocol == proxy.UDP})
		}
	}
	for what, bind := range map[string]netip.AddrPort{"metrics.listen": e.config.Metrics.Listen, "admin.listen": e.config.Admin.Listen} {
		if bind.IsValid() {
			e.port(ctx, doctor.Port{For: what, Bind: bind})
		}
	}
	if port := e.facts.Config.Port; port != 0 && e.self.Address.IsValid() {
		e.port(ctx, doctor.Port{For: "gossip", Bind: netip.AddrPortFrom(e.self.Address, port)})
		e.port(ctx, doctor.Port{For: "gossip", Bind: netip.AddrPortFrom(e.self.Address, port), UDP: true})
		e.port(ctx, doctor.Port{For: "the death notice", Bind: netip.AddrPortFrom(e.self.Address, port+1)})
	}
}

func (e *exam) port(ctx context.Context, p doctor.Port) {
	if err := try(ctx, p); err != nil {
		p.Error, p.InUse = cause(err), errors.Is(err, syscall.EADDRINUSE)
		if p.InUse {
			p.By = holder(p.Bind.Port(), p.UDP)
		}
	}
	e.facts.Ports = append(e.facts.Ports, p)
}

// try binds, whether or not the host has the address, and closes.
func try(ctx context.Context, p doctor.Port) error {
	c := net.ListenConfig{Control: func(network, address string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			level, option := unix.IPPROTO_IP, unix.IP_FREEBIND
			if p.Bind.Addr().Is6() {
				level, option = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
			}
			failed = unix.SetsockoptInt(int(fd), level, option, 1)
		})
		return errors.Join(err, failed)
	}}
	c.SetMultipathTCP(false)
	family := "" // both, where it is every address
	if p.Bind.Addr().Is4() {
		family = "4"
	}
	if p.UDP {
		l, err := c.ListenPacket(ctx, "udp"+family, p.Bind.String())
		if err == nil {
			l.Close()
		}
		return err
	}
	l, err := c.Listen(ctx, "tcp"+family, p.Bind.String())
	if err == nil {
		l.Close()
	}
	return err
}

// cause is the last of the causes of err.
func cause(err error) string {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err.Error()
}

// holder names the process that has a port; empty: it cannot be told.
func holder(port uint16, udp bool) string {
	tables := []string{"/proc/net/tcp", "/proc/net/tcp6"}
	if udp {
		tables = []string{"/proc/net/udp", "/proc/net/udp6"}
	}
	for _, table := range tables {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range inodes(string(text), port, udp) {
			if who := owner(inode); who != "" {
				return who
			}
		}
	}
	return ""
}

// inodes returns those of the sockets of a table of /proc/net that wait on a port.
func inodes(table string, port uint16, udp bool) (all []string) {
	for line := range strings.Lines(table) {
		// sl, local address, remote address, state, ..., the ninth is the inode
		f := strings.Fields(line)
		if len(f) < 10 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		const listening = "0A"
		if udp || f[3] == listening {
			all = append(all, f[9])
		}
	}
	return all
}

// owner names a process that has the socket of that inode open.
func owner(inode string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // what cannot be read is not in it
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(l, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}
