package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
)

// ARP announces IPv4 addresses on one interface. It is not safe for concurrent
// use.
type ARP struct {
	ifname string
	conn   *frameConn
	client *arp.Client
}

// DialARP opens a socket for announcements on an Ethernet interface, which must
// have an IPv4 address. The socket receives nothing.
func DialARP(ifname string) (*ARP, error) {
	fail := func(err error) (*ARP, error) {
		return nil, fmt.Errorf("open ARP socket on %q: %w", ifname, explain(err))
	}
	ifi, err := lookup(ifname)
	if err != nil {
		return fail(err)
	}
	conn, err := openFrameConn(ifi, 0, nil)
	if err != nil {
		return fail(err)
	}
	client, err := arp.New(ifi, conn)
	if err != nil {
		return fail(errors.Join(err, conn.Close()))
	}
	return &ARP{ifname: ifname, conn: conn, client: client}, nil
}

// Announce tells all neighbours that addr is at the interface's current MAC
// address: by a gratuitous request, which every implementation understands, and
// by a gratuitous reply for those that heed only replies. It never blocks.
func (a *ARP) Announce(addr netip.Addr) error {
	if err := a.announce(addr); err != nil {
		return fmt.Errorf("announce %s on %q: %w", addr, a.ifname, explain(err))
	}
	return nil
}

func (a *ARP) announce(addr netip.Addr) error {
	mac, err := a.conn.hardwareAddr()
	if err != nil {
		return err
	}
	for _, p := range []struct {
		op     arp.Operation
		target net.HardwareAddr
	}{
		{arp.OperationRequest, broadcast()},
		// RFC 5944, section 4.6: a gratuitous reply repeats the sender as its
		// target. Linux ignores one that does not for a second after the entry
		// was last confirmed.
		{arp.OperationReply, mac},
	} {
		frame, err := arp.NewPacket(p.op, mac, addr, p.target, addr)
		if err != nil {
			return err
		}
		if err := a.client.WriteTo(frame, broadcast()); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the socket.
func (a *ARP) Close() error { return a.client.Close() }

// WriteTo sends a frame without waiting, as arp.Client does not.
func (c *frameConn) WriteTo(frame []byte, _ net.Addr) (int, error) {
	if err := c.send(frame); err != nil {
		return 0, err
	}
	return len(frame), nil
}
