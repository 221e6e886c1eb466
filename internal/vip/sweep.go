package vip

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listAttempts bounds how often a list of addresses that changed while it was
// read is read again.
const listAttempts = 5

// Sweep removes what an earlier process left behind: the addresses of prefixes,
// whatever their prefix length and on any interface, that have a finite
// lifetime. It returns what it removed, each as "192.0.2.100/24 on eth0".
//
// The prefixes may be of both families. An address without end is not the work of
// this package, and remains; the error names each of them. Run Sweep before the
// first Hold.
func Sweep(prefixes []netip.Prefix) (removed []string, err error) {
	t, err := New()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	present, err := t.list()
	if err != nil {
		return nil, fmt.Errorf("sweep addresses: %w", err)
	}
	ours := make(map[netip.Addr]bool, len(prefixes))
	for _, p := range prefixes {
		ours[p.Addr()] = true
	}
	var errs []error
	for _, a := range present {
		if !ours[a.prefix.Addr()] {
			continue
		}
		if a.ifname == "" {
			a.ifname = interfaceName(t.socket.Socket, a.index)
		}
		if a.valid == forever {
			errs = append(errs, fmt.Errorf("%s on %q is set permanently, but a virtual address must be left to this program: remove it with: ip addr del %s dev %s",
				a.prefix, a.ifname, a.prefix, a.ifname))
			continue
		}
		switch err := t.remove(a.index, a.prefix); {
		case err == nil:
			removed = append(removed, fmt.Sprintf("%s on %s", a.prefix, a.ifname))
		case !isAbsent(err):
			errs = append(errs, fmt.Errorf("remove %s from %q: %w", a.prefix, a.ifname, explain(err)))
		}
	}
	return removed, errors.Join(errs...)
}

// list returns all addresses of the network namespace, those of IPv4 first.
func (t *Table) list() ([]address, error) {
	var all []address
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		messages, err := t.dump(family)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			a, err := parseAddress(m)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	return all, nil
}

func (t *Table) dump(family int) (messages [][]byte, err error) {
	for range listAttempts {
		req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfAddrmsg(family))
		messages, err = t.execute(req, unix.RTM_NEWADDR)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return messages, err
}
