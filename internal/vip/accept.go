package vip

import (
	"fmt"
	"os"
	"path/filepath"
)

// AcceptLocal lets the host receive, on an interface, IPv4 packets whose source is
// an address of its own, which it would drop as forged. Restore puts the setting
// back; a process that dies leaves it.
func AcceptLocal(ifname string) (restore func() error, err error) {
	path := filepath.Join("/proc/sys/net/ipv4/conf", ifname, "accept_local")
	before, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("accept packets from own addresses on %q: %w", ifname, err)
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		return nil, fmt.Errorf("accept packets from own addresses on %q: %w", ifname, err)
	}
	return func() error {
		if err := os.WriteFile(path, before, 0); err != nil {
			return fmt.Errorf("restore accept_local on %q: %w", ifname, err)
		}
		return nil
	}, nil
}
