package netio

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// maxClaimed bounds the addresses of a Claims, and so its filter, of which a
// kernel takes 4096 instructions.
const maxClaimed = 255

// maxFrame holds any frame of ARP or neighbour discovery that a filter admits. A
// longer one is cut, and then not well formed.
const maxFrame = 2048

// Claim is a sign of another host that has an address: an ARP packet whose sender
// address it is, or a neighbour advertisement for it.
type Claim struct {
	Addr netip.Addr // without zone
	MAC  net.HardwareAddr
}

// Claims watches for other hosts that have certain addresses.
type Claims struct {
	ifname  string
	virtual net.HardwareAddr // nil if there is none
	conns   []*frameConn     // one for each address family
}

// WatchClaims opens sockets that receive the claims to up to 255 addresses on an
// Ethernet interface, and nothing else. Frames from the interface's own MAC
// address, as it is at the time, and from virtualMAC, which may be nil, are no
// claims, nor are those that claim an address for one of them. Run must be
// called: it delivers the claims and closes the sockets.
func WatchClaims(ifname string, addrs []netip.Addr, virtualMAC net.HardwareAddr) (*Claims, error) {
	c := &Claims{ifname: ifname, virtual: slices.Clone(virtualMAC)}
	if err := c.open(addrs); err != nil {
		c.close()
		return nil, fmt.Errorf("watch claims on %q: %w", ifname, explain(err))
	}
	return c, nil
}

func (c *Claims) open(addrs []netip.Addr) error {
	if len(addrs) > maxClaimed {
		return fmt.Errorf("%d addresses, more than %d", len(addrs), maxClaimed)
	}
	if err := checkVirtualMAC(c.virtual); err != nil {
		return err
	}
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if err := checkHost(a); err != nil {
			return err
		}
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	ifi, err := lookup(c.ifname)
	if err != nil {
		return err
	}
	// A socket of one EtherType costs other traffic nothing, and does not see what
	// this host sends.
	if len(v4) > 0 {
		err = c.add(ifi, unix.ETH_P_ARP, admit(arpFields(), arpSender, v4))
	}
	if len(v6) > 0 && err == nil {
		err = c.add(ifi, unix.ETH_P_IPV6, admit(advertisementFields(), neighbourAt, v6))
	}
	return err
}

func (c *Claims) add(ifi *net.Interface, etherType int, program []bpf.Instruction) error {
	filter, err := assemble(program)
	if err != nil {
		return err
	}
	conn, err := openFrameConn(ifi, etherType, filter)
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("%w: so many addresses take a larger net.core.optmem_max", err)
	}
	if err != nil {
		return err
	}
	c.conns = append(c.conns, conn)
	return nil
}

// Run calls claimed with each claim, never twice at once, until ctx is done, and
// then returns nil. When the interface goes down or away, it ends with a retryable
// error.
func (c *Claims) Run(ctx context.Context, claimed func(Claim)) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-gctx.Done()
		c.close()
		return nil
	})
	var mu sync.Mutex
	for _, conn := range c.conns {
		g.Go(func() error {
			return c.read(conn, func(claim Claim) {
				mu.Lock()
				defer mu.Unlock()
				claimed(claim)
			})
		})
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch claims on %q: %w", c.ifname, err)
}

// read delivers the claims that one socket receives until it cannot.
func (c *Claims) read(conn *frameConn, claimed func(Claim)) error {
	b := make([]byte, maxFrame)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return err
		}
		own, err := conn.hardwareAddr()
		if err != nil {
			return err
		}
		claim, from, ok := parseClaim(b[:n])
		ours := func(mac net.HardwareAddr) bool { return bytes.Equal(mac, own) || bytes.Equal(mac, c.virtual) }
		if !ok || ours(from) || ours(claim.MAC) {
			continue
		}
		claim.MAC = slices.Clone(claim.MAC)
		claimed(claim)
	}
}

// close may be called more than once.
func (c *Claims) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// parseClaim reads an ARP packet or a neighbour advertisement. The MAC addresses
// are parts of the frame: the one that is claimed to have the address, and the one
// that the frame comes from.
func parseClaim(frame []byte) (c Claim, from net.HardwareAddr, ok bool) {
	if len(frame) < 14 {
		return Claim{}, nil, false
	}
	from, packet := frame[6:12], frame[14:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		var p arp.Packet
		if err := p.UnmarshalBinary(packet); err != nil || len(p.SenderHardwareAddr) != 6 || !p.SenderIP.Is4() {
			return Claim{}, nil, false
		}
		return Claim{p.SenderIP, p.SenderHardwareAddr}, from, true
	case unix.ETH_P_IPV6:
		na, ok := parseAdvertisement(packet)
		if !ok {
			return Claim{}, nil, false
		}
		c = Claim{na.TargetAddress, from}
		for _, o := range na.Options {
			if lla, ok := o.(*ndp.LinkLayerAddress); ok && lla.Direction == ndp.Target {
				c.MAC = lla.Addr
			}
		}
		return c, from, true
	}
	return Claim{}, nil, false
}

// parseAdvertisement reads an IPv6 packet without extension headers.
func parseAdvertisement(packet []byte) (*ndp.NeighborAdvertisement, bool) {
	if len(packet) < 40 {
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(packet[4:]))
	if length > len(packet)-40 {
		return nil, false
	}
	m, err := ndp.ParseMessage(packet[40 : 40+length])
	if err != nil {
		return nil, false
	}
	na, ok := m.(*ndp.NeighborAdvertisement)
	return na, ok
}
