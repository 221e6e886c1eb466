package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// secretsMode are the permission bits that a secret must not have.
const secretsMode = 0o007

// managers looks at programs that configure networks. A node sets an address again that
// somebody has removed, and says so in its log; clients may miss it for a moment.
func (e *examination) managers() {
	const check = "network manager"
	for _, m := range e.Managers {
		var on []string
		for _, name := range m.Manages {
			// dhcpcd removes what it has set, and nothing else.
			if !slices.Contains(m.Keeps, name) && m.Name != "dhcpcd" {
				on = append(on, name)
			}
		}
		if len(on) == 0 {
			e.ok(check, m.Name+" runs, and leaves the addresses of VIPs alone")
			continue
		}
		why, fix := conflict(m.Name, strings.Join(on, " and "))
		e.warn(check, fmt.Sprintf("%s manages %s", m.Name, strings.Join(on, " and ")), why, fix)
	}
	if len(e.VIPs) > 0 && !e.found(check) {
		e.ok(check, "none runs that is known")
	}
	if e.Config.VirtualMAC && len(e.Managers) > 0 {
		e.warn(check, e.Managers[0].Name+" sees the interfaces of virtual MAC addresses come", "it may give them addresses of its own",
			"have it leave interfaces alone that begin with vrrp: "+leaveAlone(e.Managers[0].Name))
	}
}

// conflict says why a manager of an interface hurts, and how to have it keep off.
func conflict(manager, on string) (why, fix string) {
	switch manager {
	case "systemd-networkd":
		return "each time it starts, or is told to reload, it removes addresses that it did not set, the VIP among them",
			fmt.Sprintf("put KeepConfiguration=yes into the section [Network] of the .network file of %s, and networkctl reload", on)
	case "NetworkManager":
		return "when a connection is activated or applied again, it removes addresses that it did not set, the VIP among them",
			fmt.Sprintf("nmcli device set %s managed no, with the host's own address set by other means; or do not apply a connection again while the node is Active", on)
	default:
		return "it removes addresses that it did not set, the VIP among them",
			fmt.Sprintf("put NetworkInterfaceBlacklist=%s into the section [General] of /etc/connman/main.conf", on)
	}
}

// leaveAlone says how a manager is kept off interfaces whose name begins with vrrp.
func leaveAlone(manager string) string {
	switch manager {
	case "systemd-networkd":
		return "a file /etc/systemd/network/05-vrrp.network with [Match] Name=vrrp* and [Link] Unmanaged=yes"
	case "NetworkManager":
		return "a file /etc/NetworkManager/conf.d/vrrp.conf with [keyfile] unmanaged-devices=interface-name:vrrp*"
	case "dhcpcd":
		return "denyinterfaces vrrp* in /etc/dhcpcd.conf"
	default:
		return "NetworkInterfaceBlacklist=vrrp in /etc/connman/main.conf"
	}
}

func (e *examination) clock() {
	const check = "clock"
	switch {
	case !e.Clock.Known:
		return
	case !e.Clock.Synchronized:
		e.warn(check, "nobody keeps it right", "certificates end too early or too late, and the events of two nodes are out of order; who owns a VIP does not depend on it",
			"timedatectl set-ntp true, or apt install chrony")
	default:
		e.ok(check, fmt.Sprintf("it is kept right, to some %v", e.Clock.Error.Round(time.Millisecond)))
	}
}

func (e *examination) files() {
	const check = "files"
	for _, text := range e.Files.Errors {
		e.fail(check, text, "a node does not start with it", "tandem check --files -c "+e.Config.Path)
	}
	for _, text := range e.Files.Warnings {
		e.warn(check, text, "clients may be refused, or somebody may read what he must not", "tandem check --files -c "+e.Config.Path)
	}
	for _, s := range e.Files.Secrets {
		switch {
		case s.Error != "":
			fix := "see its owner and mode: ls -l " + s.Path + "; ask as root: sudo tandem doctor"
			if s.Missing {
				fix = "(umask 077; tandem keygen > " + s.Path + "), and copy it to the other node; or have it from there"
			}
			e.fail(check, fmt.Sprintf("%s %s: %s", s.What, s.Path, s.Error), "a node does not start without it", fix)
		case s.Mode&secretsMode != 0:
			e.fail(check, fmt.Sprintf("%s %s has mode %04o: everybody on this host may use it", s.What, s.Path, s.Mode), "a node refuses it", "chmod 0600 "+s.Path)
		}
	}
	for _, f := range e.Files.Folders {
		if f.Error != "" {
			e.fail(check, fmt.Sprintf("%s %s: %s", f.What, f.Path, f.Error), "a node cannot write to it", "install -d -m 0755 "+f.Path+", for the user that it runs as")
		}
	}
	if !e.found(check) {
		e.ok(check, "all that the config names can be used")
	}
}
