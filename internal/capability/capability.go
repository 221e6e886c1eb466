// Package capability says which privileges a node needs of the kernel, and how it gets
// those that it lacks.
package capability

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// need is a capability without which a node does not start.
type need struct {
	bit  uint
	name string
	why  string
}

var (
	// forVIPs are what the agent needs.
	forVIPs = []need{
		{unix.CAP_NET_ADMIN, "NET_ADMIN", "to set addresses"},
		{unix.CAP_NET_RAW, "NET_RAW", "to send VRRP and ARP"},
	}
	// forWorker are what a supervisor that is root needs to have a worker that is not.
	// Root has them everywhere but in containers and units that took them away.
	forWorker = []need{
		{unix.CAP_SETUID, "SETUID", "to run the worker as another user"},
		{unix.CAP_SETGID, "SETGID", "to run the worker as another user"},
		{unix.CAP_KILL, "KILL", "to end a worker that hangs"},
	}
)

// Require names what this process lacks to run a node, with VIPs or without, whose worker
// is another user than this process or the same.
func Require(vips, otherUser bool) error {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities of this process: %w", err)
	}
	var needed []need
	if vips {
		needed = append(needed, forVIPs...)
	}
	if otherUser {
		needed = append(needed, forWorker...)
	}
	if err := missing(needed, uint64(data[1].Effective)<<32|uint64(data[0].Effective)); err != nil {
		return err
	}
	if vips && foreignNetwork() {
		return errors.New("run VIPs: this process is root in a user namespace alone, which does not own this network: capabilities are worth nothing here (hint: rootless podman cannot set addresses of the host; run the container as root)")
	}
	return nil
}

// missing names what of needed is not in effective, and how to give it.
func missing(needed []need, effective uint64) error {
	var lacks, grant []string
	for _, c := range needed {
		if effective&(1<<c.bit) == 0 {
			lacks = append(lacks, fmt.Sprintf("CAP_%s (%s)", c.name, c.why))
			grant = append(grant, c.name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("run the node: this process lacks %s; run it as root, in a container with --cap-add %s, or under systemd with AmbientCapabilities=CAP_%s",
		strings.Join(lacks, " and "), strings.Join(grant, " --cap-add "), strings.Join(grant, " CAP_"))
}

// foreignNetwork reports whether the network namespace belongs to another user
// namespace than the one in which this process has its capabilities. Where that cannot
// be told, it does not.
func foreignNetwork() bool {
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return false
	}
	defer network.Close()
	owner, err := unix.IoctlRetInt(int(network.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return errors.Is(err, unix.EPERM) // it is outside of this one (ioctl_ns(2))
	}
	return unix.Close(owner) != nil
}
