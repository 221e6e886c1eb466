package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Interface is the name of a host's only interface beside loopback.
const Interface = "eth0"

// A Host is a network namespace with a loopback interface and eth0.
type Host struct {
	lab      *Lab
	name     string
	ns       netns.NsHandle
	handle   *netlink.Handle
	loopback int // link index
	eth0     int // link index
}

func (h *Host) build(addresses []netip.Prefix) (err error) {
	if h.ns, err = newNamespace(); err != nil {
		return err
	}
	if err := h.Do(quiet); err != nil {
		return err
	}
	if h.handle, err = netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	if err := h.plug(); err != nil {
		return fmt.Errorf("join the bridge: %w", permitted(err))
	}
	for _, p := range addresses {
		if err := h.AddAddress(p); err != nil {
			return err
		}
	}
	return nil
}

// quiet keeps IPv6 from what would delay a host or stir the neighbour tables:
// duplicate address detection and the search for routers.
func quiet() error {
	return setSysctls("0",
		"ipv6/conf/default/accept_dad",
		"ipv6/conf/default/accept_ra",
		"ipv6/conf/default/router_solicitations")
}

// plug makes the veth pair and sets every link up.
func (h *Host) plug() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = h.name, h.lab.bridgeID
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: Interface, PeerNamespace: netlink.NsFd(h.ns)}
	if err := h.lab.bridge.LinkAdd(pair); err != nil {
		return err
	}
	if err := h.lab.bridge.LinkSetUp(pair); err != nil {
		return err
	}
	for name, index := range map[string]*int{"lo": &h.loopback, Interface: &h.eth0} {
		link, err := h.handle.LinkByName(name)
		if err != nil {
			return err
		}
		if err := h.handle.LinkSetUp(link); err != nil {
			return err
		}
		*index = link.Attrs().Index
	}
	return nil
}

func (h *Host) close() error {
	if h.handle != nil {
		h.handle.Close()
	}
	if !h.ns.IsOpen() {
		return nil
	}
	return h.ns.Close()
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Do runs f on this goroutine, inside the host. Sockets that f opens stay in
// the host; goroutines that f starts do not run in it.
func (h *Host) Do(f func() error) error { return inNamespace(h.ns, f) }

// Listen announces on an address of the host. The caller may close the
// listener, Lab.Close does otherwise.
func (h *Host) Listen(network, address string) (ln net.Listener, err error) {
	err = h.Do(func() error {
		ln, err = net.Listen(network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("host %q: %w", h.name, err)
	}
	if !h.lab.adopt(nil, ln) {
		return nil, errors.Join(fmt.Errorf("host %q: listen on %s: the lab is closed", h.name, address), ln.Close())
	}
	return ln, nil
}

// DialContext connects from the host to an address that is an IP and a port.
// It fits http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		// A name would be resolved on other threads, outside of the host.
		return nil, fmt.Errorf("host %q: dial %q: the address must be an IP and a port: %w", h.name, address, err)
	}
	err = h.Do(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
