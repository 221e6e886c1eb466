package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
)

const ethernetHeader = 14

func etherType(f lab.Frame) uint16 { return binary.BigEndian.Uint16(f.Data[12:]) }

// gratuitous returns the address that an ARP frame announces, and the MAC address
// that is said to have it.
func gratuitous(f lab.Frame) (addr netip.Addr, mac net.HardwareAddr, ok bool) {
	var p arp.Packet
	if etherType(f) != unix.ETH_P_ARP || p.UnmarshalBinary(f.Data[ethernetHeader:]) != nil || p.SenderIP != p.TargetIP {
		return netip.Addr{}, nil, false
	}
	return p.SenderIP, p.SenderHardwareAddr, true
}

// announcement is a frame that announces an address.
type announcement struct {
	at   time.Time
	addr netip.Addr
	mac  string
}

// wire records the announcements that reach a host.
type wire struct{ *lab.Capture }

func listenForAnnouncements(t *testing.T, h *lab.Host) wire {
	t.Helper()
	c, err := h.Capture(func(f lab.Frame) bool {
		_, _, ok := gratuitous(f)
		return ok && !f.Sent
	})
	if err != nil {
		t.Fatal(err)
	}
	return wire{c}
}

// between returns the announcements from one moment to another; the zero time is
// for the end.
func (w wire) between(from, to time.Time) []announcement {
	var all []announcement
	for _, f := range w.Frames() {
		if f.At.Before(from) || !to.IsZero() && f.At.After(to) {
			continue
		}
		addr, mac, _ := gratuitous(f)
		all = append(all, announcement{f.At, addr, mac.String()})
	}
	return all
}

// by counts announcements by the MAC address that they announce.
func by(all []announcement) map[string]int {
	n := map[string]int{}
	for _, a := range all {
		n[a.mac]++
	}
	return n
}

// mac returns the hardware address of the node.
func (n *node) mac() string {
	n.t.Helper()
	mac, err := n.host.MAC()
	if err != nil {
		n.t.Fatal(err)
	}
	return mac.String()
}

// pause lets d pass.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
