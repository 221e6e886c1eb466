package lab_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
)

func isARP(f lab.Frame) bool { return binary.BigEndian.Uint16(f.Data[12:]) == unix.ETH_P_ARP }

func TestCapture(t *testing.T) {
	l, a, b := pair(t)
	began := time.Now()
	capture, err := a.Capture(isARP)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := b.Listen("tcp", "10.9.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	eventually(t, "a reaches b", func() bool { return reach(a, "10.9.0.2:80") })
	eventually(t, "both directions are recorded", func() bool {
		seen := map[bool]bool{}
		for _, f := range capture.Frames() {
			seen[f.Sent] = true
		}
		return len(seen) == 2
	})
	mac, err := a.MAC()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range capture.Frames() {
		if !isARP(f) || (net.HardwareAddr(f.Data[6:12]).String() == mac.String()) != f.Sent {
			t.Errorf("recorded %x, sent by a: %t", f.Data, f.Sent)
		}
		if f.At.Before(began) || f.At.After(time.Now()) {
			t.Errorf("recorded at %v, between %v and now", f.At, began)
		}
	}

	t.Log("# it survives a link that goes down and up")
	n := len(capture.Frames())
	if err := a.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := a.Heal(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "more is recorded", func() bool {
		reach(a, "10.9.0.9:80") // a may remember b from before, and asks for whom nobody is
		return reach(a, "10.9.0.2:80") && len(capture.Frames()) > n
	})

	if err := capture.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := a.Capture(isARP); err == nil {
		t.Error("a closed lab is captured")
	}
}

func TestBridgeLearns(t *testing.T) {
	l, a, _ := pair(t)
	mac, err := a.MAC()
	if err != nil {
		t.Fatal(err)
	}
	reach(a, "10.9.0.2:80")
	if got, err := l.Learned([6]byte(mac)); got != "a" || err != nil {
		t.Errorf("%v is at %q, %v; want a", mac, got, err)
	}
	if got, err := l.Learned([6]byte{2, 1, 1, 1, 1, 1}); got != "" || err != nil {
		t.Errorf("nobody's address is at %q, %v", got, err)
	}
}

func TestHasLooksAtAllInterfaces(t *testing.T) {
	_, a, _ := pair(t)
	err := a.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth1"
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "far"})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ifname, address string
		want            bool
	}{{"eth1", "10.9.0.100/32", true}, {"lo", "10.9.0.101/32", false}} {
		err := a.Do(func() error {
			link, err := netlink.LinkByName(tc.ifname)
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(tc.address)
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, addr)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Has(netip.MustParsePrefix(tc.address).Addr()); got != tc.want || err != nil {
			t.Errorf("address on %s: %t, %v; want %t", tc.ifname, got, err, tc.want)
		}
	}
}
