package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// unsolicited is a neighbour advertisement as it was on the wire (RFC 4861, section
// 4.4).
type unsolicited struct {
	EthernetFrom, EthernetTo, To string
	HopLimit                     uint8
	Flags                        string // R, S, O
	Target, TargetMAC            string
}

// advertisement takes a neighbour advertisement apart.
func advertisement(f lab.Frame) (a unsolicited, ok bool) {
	const header = ethernetHeader + 40
	if etherType(f) != unix.ETH_P_IPV6 || len(f.Data) < header+32 || f.Data[ethernetHeader+6] != unix.IPPROTO_ICMPV6 || f.Data[header] != 136 {
		return a, false
	}
	b := f.Data[header:]
	for i, flag := range "RSO" {
		if binary.BigEndian.Uint32(b[4:])>>(31-i)&1 == 1 {
			a.Flags += string(flag)
		}
	}
	a.EthernetFrom, a.EthernetTo = net.HardwareAddr(f.Data[6:12]).String(), net.HardwareAddr(f.Data[:6]).String()
	a.HopLimit, a.To = f.Data[ethernetHeader+7], netip.AddrFrom16([16]byte(f.Data[ethernetHeader+24:])).String()
	a.Target = netip.AddrFrom16([16]byte(b[8:])).String()
	if b[24] == 2 && b[25] == 1 { // target link-layer address, eight bytes
		a.TargetMAC = net.HardwareAddr(b[26:32]).String()
	}
	return a, true
}

// RFC 9568, section 6.4.1: who becomes Active sends an unsolicited neighbour
// advertisement "with the Router Flag (R) set" if it is a router, "the Solicited Flag
// (S) clear, the Override flag (O) set", with its link-layer address.
func TestTakeoverIsAdvertisedToNeighbours(t *testing.T) {
	for forwarding, flags := range map[string]string{"0": "O", "1": "RO"} {
		t.Run("forwarding "+forwarding, func(t *testing.T) {
			t.Parallel()
			p := newDualPair(t, dualConfig(""))
			if err := p.lb2.host.Do(func() error {
				return os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", lab.Interface, "forwarding"), []byte(forwarding), 0)
			}); err != nil {
				t.Fatal(err)
			}
			mac := p.lb2.mac()
			c, err := p.Lab.Host(failover.Client).Capture(func(f lab.Frame) bool {
				a, ok := advertisement(f)
				return ok && a.EthernetFrom == mac && a.Target == vip6
			})
			if err != nil {
				t.Fatal(err)
			}
			p.lb1.kill()
			p.lb2.waitAll(vrrp.Active)
			p.lb2.eventually(patience, "advertises to its neighbours", func() (bool, string) { return len(c.Frames()) > 0, "nothing heard" })
			got, _ := advertisement(c.Frames()[0])
			want := unsolicited{
				EthernetFrom: mac, EthernetTo: "33:33:00:00:00:01", To: "ff02::1", HopLimit: 255, Flags: flags, Target: vip6, TargetMAC: mac,
			}
			if got != want {
				t.Errorf("got %s\nwant %s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
			}
		})
	}
}
