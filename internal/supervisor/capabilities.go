package supervisor

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities without which the agent cannot own a VIP.
var needed = []struct {
	bit  uint
	name string
	why  string
}{
	{unix.CAP_NET_ADMIN, "NET_ADMIN", "to set addresses"},
	{unix.CAP_NET_RAW, "NET_RAW", "to send VRRP and ARP"},
}

// requireCapabilities names what this process lacks to run VIPs.
func requireCapabilities() error {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return missing(uint64(data[1].Effective)<<32 | uint64(data[0].Effective))
}

func missing(effective uint64) error {
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
	return fmt.Errorf("run VIPs: this process lacks %s; run it as root, in a container with --cap-add %s, or under systemd with AmbientCapabilities=CAP_%s",
		strings.Join(lacks, " and "), strings.Join(grant, " --cap-add "), strings.Join(grant, " CAP_"))
}
