// Package vip keeps virtual addresses in the kernel for as long as someone
// renews them, and tells when one vanishes. Everything works on the network
// namespace of the thread that called its constructor.
package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// answerTimeout bounds the wait for the kernel's answer, which it gives before
// the request returns: only a lost answer takes this long.
const answerTimeout = time.Second

// routeMetric is the metric of the routes that held addresses bring, worse than
// any that hosts commonly use, so that a route of the host's own always wins. It
// also keeps the two apart: an IPv6 route of the same metric would be one route,
// whose lifetime each renewal of the lease would shorten.
const routeMetric = 30000

// A Table holds addresses by leases: the kernel removes an address whose lease
// has run out, so that neither a dead process nor a hung one keeps it.
//
// Its methods may block while the kernel's network configuration is locked by
// others. A Table is not safe for concurrent use: one goroutine owns it.
type Table struct {
	socket *nl.SocketHandle
	// created says when the kernel added what is held: another time later means
	// that the address was lost meanwhile.
	created map[key]uint32
}

type key struct {
	ifname string
	prefix netip.Prefix
}

// New opens a Table, which is empty: it knows nothing of other addresses.
func New() (*Table, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE) // to no group
	if err != nil {
		return nil, fmt.Errorf("open netlink socket for addresses: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	// These only store the value; the kernel is not asked.
	_ = s.SetSendTimeout(&timeout)
	_ = s.SetReceiveTimeout(&timeout)
	return &Table{socket: &nl.SocketHandle{Socket: s}, created: map[key]uint32{}}, nil
}

// Hold adds the address p to an interface, or renews it, with a lease of whole
// seconds. Added reports that it was not there without interruption since the
// last Hold: it is new, or its lease ran out, or someone removed it.
//
// The host does not choose p as the source of its own connections where it has
// another address. In the subnet of an IPv4 address of the interface, p becomes a
// secondary address, which brings no route; in any other subnet it is the host's
// only address there and the source of what the host sends there. So the address
// of the host must be there first: the first of a subnet is its primary address,
// and removing that removes the others too, unless the sysctl
// promote_secondaries is set. An IPv6 address is deprecated from the start, which
// is to say the last to be chosen, and is used at once, without a search for
// duplicates.
//
// Where p brings a route to its subnet, as every IPv6 address does, the route has
// a metric that leaves a route of the host's own in use. For IPv6 its life is that
// of the last lease: after Release it stays until then.
func (t *Table) Hold(ifname string, p netip.Prefix, lease time.Duration) (added bool, err error) {
	a, err := t.replace(ifname, p, lease)
	if err != nil {
		return false, fmt.Errorf("hold %s on %q: %w", p, ifname, explain(err))
	}
	k := key{ifname, p}
	before, held := t.created[k]
	t.created[k] = a.created
	if held {
		return before != a.created, nil
	}
	return a.created == a.updated, nil
}

// replace adds or renews an address and returns what the kernel made of it.
func (t *Table) replace(ifname string, p netip.Prefix, lease time.Duration) (address, error) {
	seconds := lease / time.Second
	if lease%time.Second != 0 || seconds < 1 || seconds >= forever {
		return address{}, fmt.Errorf("lease %s is not a positive number of whole seconds", lease)
	}
	if err := check(p); err != nil {
		return address{}, err
	}
	index, err := t.index(ifname)
	if err != nil {
		return address{}, err
	}
	if p.Addr().Is4() {
		return t.replaceIPv4(index, p, uint32(seconds))
	}
	a, err := t.replaceIPv6(index, p, uint32(seconds))
	if errors.Is(err, unix.EACCES) {
		// In names of sysctls a dot and a slash change places.
		name := strings.ReplaceAll(ifname, ".", "/")
		return address{}, fmt.Errorf("%w: IPv6 is disabled there: enable it with: sysctl -w net.ipv6.conf.%s.disable_ipv6=0", err, name)
	}
	return a, err
}

// replaceIPv4 asks for the answer with NLM_F_ECHO: it is the address instead of
// a bare acknowledgement. That says in one round trip, and without a race,
// whether it is a new one; trying NLM_F_EXCL first would take two for every
// renewal, and would not notice a lease that ends between them.
func (t *Table) replaceIPv4(index int, p netip.Prefix, seconds uint32) (address, error) {
	req := newAddress(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ECHO, index, p)
	req.AddData(lifetimes(seconds, seconds))
	req.AddData(nl.NewRtAttr(unix.IFA_RT_PRIORITY, nl.Uint32Attr(routeMetric)))
	return t.one(req)
}

// one sends a request that is answered with one address.
func (t *Table) one(req *nl.NetlinkRequest) (address, error) {
	answers, err := t.execute(req, unix.RTM_NEWADDR)
	if err != nil {
		return address{}, err
	}
	if len(answers) == 0 {
		return address{}, errors.New("the kernel did not tell what it did")
	}
	return parseAddress(answers[0])
}

// Release removes the address p from an interface. It is no error when the
// address or the interface is not there.
func (t *Table) Release(ifname string, p netip.Prefix) error {
	delete(t.created, key{ifname, p})
	index, err := t.index(ifname)
	if err == nil {
		err = t.remove(index, p)
	}
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("release %s on %q: %w", p, ifname, explain(err))
	}
	return nil
}

func (t *Table) remove(index int, p netip.Prefix) error {
	if err := check(p); err != nil {
		return err
	}
	_, err := t.execute(newAddress(unix.RTM_DELADDR, unix.NLM_F_ACK, index, p), 0)
	return err
}

// Close closes the Table. Held addresses stay until their leases run out.
func (t *Table) Close() error {
	t.socket.Close()
	return nil
}

func (t *Table) execute(req *nl.NetlinkRequest, answer uint16) ([][]byte, error) {
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: t.socket}
	return req.Execute(unix.NETLINK_ROUTE, answer)
}

// index asks for the index of an interface each time: it may have been replaced
// by another of the same name. This ioctl takes no lock that could be busy.
func (t *Table) index(ifname string) (int, error) {
	ifr, err := unix.NewIfreq(ifname)
	if err != nil {
		return 0, fmt.Errorf("interface name %q: %w", ifname, err)
	}
	if err := unix.IoctlIfreq(t.socket.Socket.GetFd(), unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, fmt.Errorf("index of the interface: %w", err)
	}
	return int(ifr.Uint32()), nil
}

func check(p netip.Prefix) error {
	if !p.IsValid() || p.Addr().Is4In6() {
		return fmt.Errorf("%q is not an IPv4 or IPv6 address with a prefix length", p)
	}
	return nil
}

func isAbsent(err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV)
}

// explain adds what to do about a missing capability.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: setting addresses needs CAP_NET_ADMIN: run as root, or set AmbientCapabilities=CAP_NET_ADMIN in the systemd unit, or --cap-add NET_ADMIN for a container", err)
	}
	return err
}
