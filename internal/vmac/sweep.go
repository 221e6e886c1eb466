package vmac

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// listAttempts bounds how often a list of interfaces that changed while it was
// read is read again.
const listAttempts = 5

// Sweep deletes the interfaces of virtual routers that an earlier process left
// behind, and restores the settings of their parents. It returns what it deleted,
// each as "vrrp4-51-eth0 on eth0". Run it before the first Prepare.
func Sweep() (removed []string, err error) {
	v, err := New()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	all, err := list(v.nl)
	if err != nil {
		return nil, fmt.Errorf("sweep virtual MAC addresses: %w", explain(err))
	}
	var errs []error
	for _, l := range all {
		switch err := v.sweep(l); {
		case err == nil:
			removed = append(removed, fmt.Sprintf("%s on %s", l.Name, l.parent))
		case !isAbsent(err):
			errs = append(errs, fmt.Errorf("remove %q: %w", l.Name, explain(err)))
		}
	}
	return removed, errors.Join(errs...)
}

func (v *Macvlans) sweep(l ours) error {
	if err := l.originals.restore(l.parent); err != nil && !isAbsent(err) {
		return err
	}
	return v.nl.LinkDel(l)
}

// ours is a macvlan that bears our mark.
type ours struct {
	*netlink.Macvlan
	parent    string // name
	originals settings
}

// isIPv6 reports whether it is that of a virtual router of IPv6.
func (o ours) isIPv6() bool {
	mac := o.HardwareAddr
	return len(mac) == 6 && mac[4] == Macvlan{IPv6: true}.MAC()[4]
}

// list returns the macvlans of the namespace that bear our mark.
func list(h *netlink.Handle) ([]ours, error) {
	links, err := dump(h)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	var all []ours
	for _, l := range links {
		originals, marked := parseMark(l.Attrs().Alias)
		if m, ok := l.(*netlink.Macvlan); ok && marked {
			all = append(all, ours{m, names[m.ParentIndex], originals})
		}
	}
	return all, nil
}

func dump(h *netlink.Handle) (links []netlink.Link, err error) {
	for range listAttempts {
		if links, err = h.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return links, err
}

// isAbsent reports whether err says that an interface is not there.
func isAbsent(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrNotExist)
}

// explain adds what to do about a missing permission.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: virtual MAC addresses need CAP_NET_ADMIN: run as root, or set AmbientCapabilities=CAP_NET_ADMIN in the systemd unit, or --cap-add NET_ADMIN for a container", err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: virtual MAC addresses need settings of the kernel: set ProtectKernelTunables=no in the systemd unit, or start a container with /proc/sys writable: docker with --security-opt systempaths=unconfined, podman with --security-opt unmask=/proc/sys", err)
	}
	return err
}
