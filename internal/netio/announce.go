package netio

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Announcer tells the neighbours on a link where addresses are, and asks who else
// has them. Multiple goroutines may use it simultaneously; none of its methods
// ever blocks.
type Announcer struct {
	ifname  string
	conn    *frameConn
	virtual net.HardwareAddr // nil: the interface's own
	// forwarding is the sysctl of the interface, opened early because its path
	// means another file in another namespace. It is nil without IPv6.
	forwarding *os.File
}

// DialAnnouncer opens a socket for announcements on an Ethernet interface, which
// needs no address of its own. They announce the MAC address virtualMAC, or, if
// it is nil, the one that the interface has at the time of each announcement.
func DialAnnouncer(ifname string, virtualMAC net.HardwareAddr) (*Announcer, error) {
	fail := func(err error) (*Announcer, error) {
		return nil, fmt.Errorf("open socket for announcements on %q: %w", ifname, explain(err))
	}
	if err := checkVirtualMAC(virtualMAC); err != nil {
		return fail(err)
	}
	ifi, err := lookup(ifname)
	if err != nil {
		return fail(err)
	}
	conn, err := openFrameConn(ifi, 0, nil)
	if err != nil {
		return fail(err)
	}
	forwarding, err := os.Open(filepath.Join("/proc/sys/net/ipv6/conf", ifname, "forwarding"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(errors.Join(err, conn.Close()))
	}
	return &Announcer{ifname: ifname, conn: conn, virtual: slices.Clone(virtualMAC), forwarding: forwarding}, nil
}

// Frames returns how many frames an announcement of addr takes.
func Frames(addr netip.Addr) int {
	if addr.Is4() {
		return 2
	}
	return 1
}

// Announce tells all neighbours at which MAC address addr is: an IPv4 address by
// a gratuitous ARP request, which every implementation understands, and a
// gratuitous reply for those that heed only replies; an IPv6 address by an
// unsolicited neighbour advertisement.
func (a *Announcer) Announce(addr netip.Addr) error {
	if err := a.announce(addr.WithZone("")); err != nil {
		return fmt.Errorf("announce %s on %q: %w", addr, a.ifname, explain(err))
	}
	return nil
}

func (a *Announcer) announce(addr netip.Addr) error {
	mac, err := a.conn.hardwareAddr()
	if err != nil {
		return err
	}
	if a.virtual != nil {
		mac = a.virtual
	}
	if err := checkHost(addr); err != nil {
		return err
	}
	if addr.Is4() {
		return a.send(arpAnnouncement(addr, mac))
	}
	router, err := a.forwards()
	if err != nil {
		return err
	}
	return a.send(advertisement(addr, mac, router))
}

// Probe asks whether anyone else has addr: by an ARP request that names no sender
// (RFC 5227, section 2.1.1), or a neighbour solicitation from the unspecified
// address, so that no neighbour learns anything from it. It comes from the
// interface's own MAC address. What others answer reaches Claims.
func (a *Announcer) Probe(addr netip.Addr) error {
	if err := a.probe(addr.WithZone("")); err != nil {
		return fmt.Errorf("probe for %s on %q: %w", addr, a.ifname, explain(err))
	}
	return nil
}

func (a *Announcer) probe(addr netip.Addr) error {
	mac, err := a.conn.hardwareAddr()
	if err != nil {
		return err
	}
	if err := checkHost(addr); err != nil {
		return err
	}
	if addr.Is4() {
		return a.send(arpRequest(addr, mac, netip.IPv4Unspecified()))
	}
	return a.send(solicitation(addr, mac, netip.IPv6Unspecified()))
}

// send sends frames unless building them has failed.
func (a *Announcer) send(frames [][]byte, err error) error {
	for _, f := range frames {
		if err == nil {
			err = a.conn.send(f)
		}
	}
	return err
}

// forwards reports whether the host forwards the IPv6 packets of the interface.
func (a *Announcer) forwards() (bool, error) {
	if a.forwarding == nil {
		return false, errors.New("the interface has no IPv6: is net.ipv6.conf.all.disable_ipv6 set, or its MTU below 1280?")
	}
	var b [1]byte
	switch _, err := a.forwarding.ReadAt(b[:], 0); {
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("the interface was renamed, or lost IPv6: %w", unix.ENODEV)
	case err != nil:
		return false, err
	}
	return b[0] != '0', nil
}

// Close closes the socket.
func (a *Announcer) Close() error {
	err := a.conn.Close()
	if a.forwarding != nil {
		err = errors.Join(err, a.forwarding.Close())
	}
	return err
}
