package vip

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// unfit are the states of an IPv6 address that a renewal would not end: it has
// no lifetime, or waits for the search for duplicates, or lost it.
const unfit = unix.IFA_F_PERMANENT | unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC | unix.IFA_F_DADFAILED

// replaceIPv6 adds or renews an IPv6 address. The kernel gives no echo for
// IPv6: the address is read back to see when it was added.
//
// The preferred lifetime of 0 deprecates it (RFC 4862, section 5.5.4), so that
// the host does not choose it as a source (RFC 6724, section 5, rule 3).
//
// After a renewal the kernel reports the multicast groups of the interface anew:
// two frames (measured on Linux 6.18), however many addresses are renewed at once.
func (t *Table) replaceIPv6(index int, p netip.Prefix, seconds uint32) (address, error) {
	if err := t.clear(index, p); err != nil {
		return address{}, err
	}
	req := newAddress(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, index, p)
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD)))
	req.AddData(lifetimes(seconds, 0))
	req.AddData(nl.NewRtAttr(unix.IFA_RT_PRIORITY, nl.Uint32Attr(routeMetric)))
	if _, err := t.execute(req, 0); err != nil {
		return address{}, err
	}
	a, err := t.get(index, p)
	if err != nil {
		return address{}, fmt.Errorf("read the address back: %w", err)
	}
	return a, nil
}

// clear removes what stands in the way of p: the same address with another
// prefix length, which a renewal would leave as it is, or one that was set
// without lifetime. To renew that would give the route of the interface's other
// addresses, which is the same one, the metric and the lifetime of ours.
func (t *Table) clear(index int, p netip.Prefix) error {
	a, err := t.get(index, p)
	if err == nil && (a.prefix != p || a.flags&unfit != 0) {
		err = t.remove(index, a.prefix)
	}
	if err != nil && !isAbsent(err) {
		return err
	}
	return nil
}

// get reads the IPv6 address of p, whatever its prefix length.
func (t *Table) get(index int, p netip.Prefix) (address, error) {
	return t.one(newAddress(unix.RTM_GETADDR, 0, index, p))
}
