package netio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// advert is a VRRPv3 advertisement of VRID 51 for 192.0.2.100, checksum aside.
var advert = []byte{0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 100}

// receive waits for the next packet of c.
func receive(t *testing.T, c *VRRP) []byte {
	t.Helper()
	type result struct {
		b   []byte
		err error
	}
	resC := make(chan result, 1)
	go func() {
		for {
			if err := c.Wait(); err != nil {
				resC <- result{err: err}
				return
			}
			b := make([]byte, 2048)
			n, ok, err := c.TryRead(b)
			if ok || err != nil {
				resC <- result{b[:n], err}
				return
			}
		}
	}()
	select {
	case r := <-resC:
		must(t, r.err)
		return r.b
	case <-time.After(10 * time.Second):
		t.Fatal("no packet within 10 s")
		return nil
	}
}

func TestAdvertCrossesTheLink(t *testing.T) {
	a, b := newHosts(t)
	sender, receiver := a.listen("192.0.2.1"), b.listen("192.0.2.2")
	frames := b.capture(unix.ETH_P_IP)

	must(t, sender.Send(advert))
	got := receive(t, receiver)
	if len(got) != 20+len(advert) {
		t.Fatalf("%d bytes, want an IPv4 header without options and %d: % x", len(got), len(advert), got)
	}
	type header struct {
		TOS, TTL, Protocol byte
		Length             uint16
		Source, Dest       string
	}
	want := header{0xc0, 255, 112, uint16(len(got)), "192.0.2.1", "224.0.0.18"}
	parse := func(b []byte) header {
		return header{
			b[1], b[8], b[9], binary.BigEndian.Uint16(b[2:]),
			netip.AddrFrom4([4]byte(b[12:16])).String(), netip.AddrFrom4([4]byte(b[16:20])).String(),
		}
	}
	if diff := cmp.Diff(want, parse(got)); diff != "" {
		t.Errorf("IPv4 header (-want +got):\n%s", diff)
	}
	if !bytes.Equal(got[20:], advert) {
		t.Errorf("payload % x, want % x", got[20:], advert)
	}

	t.Log("# and so it looked on the wire")
	frame := frames.next(func(f []byte) bool { return f[14+9] == 112 })
	wantFrame := append([]byte{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}, a.mac()...)
	if !bytes.Equal(frame[:12], wantFrame) {
		t.Errorf("Ethernet destination and source % x, want % x", frame[:12], wantFrame)
	}
	if diff := cmp.Diff(want, parse(frame[14:])); diff != "" {
		t.Errorf("IPv4 header on the wire (-want +got):\n%s", diff)
	}
}

// RFC 9568, section 5.1.1.1: the source is the primary address of the interface.
func TestSourceIsSelfWhateverElseIsOnTheInterface(t *testing.T) {
	for _, vip := range []string{"192.0.2.100/24", "192.0.2.100/32", "198.51.100.1/24"} {
		t.Run(vip, func(t *testing.T) {
			a, b := newHosts(t)
			t.Log("# the virtual address comes first in the kernel's list")
			a.remove("192.0.2.1/24")
			a.add(vip)
			a.add("192.0.2.1/24")
			receiver := b.listen("192.0.2.2")
			must(t, a.listen("192.0.2.1").Send(advert))
			got := receive(t, receiver)
			if src := netip.AddrFrom4([4]byte(got[12:16])).String(); src != "192.0.2.1" {
				t.Errorf("source %s, want 192.0.2.1", src)
			}
		})
	}
}

func TestOwnAdvertsAreNotHeard(t *testing.T) {
	a, b := newHosts(t)
	one, two, other := a.listen("192.0.2.1"), a.listen("192.0.2.1"), b.listen("192.0.2.2")
	must(t, one.Send(advert))
	must(t, other.Send(advert[:8]))
	for _, c := range []*VRRP{one, two} {
		if got := receive(t, c); netip.AddrFrom4([4]byte(got[12:16])).String() != "192.0.2.2" {
			t.Errorf("heard % x, want what the other host sent", got)
		}
	}
}

func TestTryReadDoesNotBlock(t *testing.T) {
	a, b := newHosts(t)
	c := a.listen("192.0.2.1")
	waiting := make(chan error, 1)
	go func() { waiting <- c.Wait() }()

	buf := make([]byte, 100)
	if n, ok, err := c.TryRead(buf); n != 0 || ok || err != nil {
		t.Errorf("TryRead of an empty socket = %d, %t, %v; want 0, false, nil", n, ok, err)
	}
	must(t, b.listen("192.0.2.2").Send(advert))
	must(t, <-waiting)
	t.Log("# Wait has not read it")
	must(t, c.Wait())
	if n, ok, err := c.TryRead(buf); n != 20+len(advert) || !ok || err != nil {
		t.Errorf("TryRead after Wait = %d, %t, %v; want %d, true, nil", n, ok, err, 20+len(advert))
	}
	if n, ok, err := c.TryRead(buf); n != 0 || ok || err != nil {
		t.Errorf("second TryRead = %d, %t, %v; want 0, false, nil", n, ok, err)
	}
}

func TestCloseEndsWait(t *testing.T) {
	a, _ := newHosts(t)
	c := a.listen("192.0.2.1")
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		close(started)
		ended <- c.Wait()
	}()
	<-started
	must(t, c.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Wait = %v, want net.ErrClosed", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Wait still blocks 10 s after Close")
	}
	if _, _, err := c.TryRead(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryRead = %v, want net.ErrClosed", err)
	}
	if err := c.Send(advert); !errors.Is(err, net.ErrClosed) || Retryable(err) {
		t.Errorf("Send = %v, want net.ErrClosed, which is not retryable", err)
	}
}

func TestMembershipSurvivesLinkDown(t *testing.T) {
	a, b := newHosts(t)
	sender, receiver := a.listen("192.0.2.1"), b.listen("192.0.2.2")
	must(t, a.nl.LinkSetDown(a.link()))
	must(t, b.nl.LinkSetDown(b.link()))
	if err := sender.Send(advert); !errors.Is(err, unix.ENETUNREACH) || !Retryable(err) {
		t.Errorf("Send on a link that is down = %v, want a retryable ENETUNREACH", err)
	}
	must(t, a.nl.LinkSetUp(a.link()))
	must(t, b.nl.LinkSetUp(b.link()))
	a.awaitCarrier()
	b.awaitCarrier()
	must(t, sender.Send(advert))
	if got := receive(t, receiver); !bytes.Equal(got[20:], advert) {
		t.Errorf("received % x, want % x", got[20:], advert)
	}
}

func TestSendWithoutItsAddress(t *testing.T) {
	a, _ := newHosts(t)
	c := a.listen("192.0.2.1")
	a.add("192.0.2.100/32")
	a.remove("192.0.2.1/24")
	err := c.Send(advert)
	if !Retryable(err) || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("Send = %v, want a retryable error that names the address", err)
	}
	a.add("192.0.2.1/24")
	must(t, c.Send(advert))
}

func TestInterfaceReplaced(t *testing.T) {
	a, b := newHosts(t)
	c := a.listen("192.0.2.1")
	must(t, a.nl.LinkDel(a.link()))
	err := c.Send(advert)
	if !errors.Is(err, unix.ENODEV) || !Retryable(err) {
		t.Errorf("Send on a deleted interface = %v, want a retryable ENODEV", err)
	}
	t.Log("# an interface of the same name needs a new socket")
	cable(a, b)
	if err := c.Send(advert); !errors.Is(err, unix.ENODEV) {
		t.Errorf("Send = %v, want ENODEV", err)
	}
	receiver := b.listen("192.0.2.2")
	must(t, a.listen("192.0.2.1").Send(advert))
	receive(t, receiver)
}

func TestListenErrors(t *testing.T) {
	a, _ := newHosts(t)
	for _, tt := range []struct {
		name, ifname, self string
		want               string
		retryable          bool
	}{
		{
			"no such interface", "eth7", "192.0.2.1",
			`open VRRP socket on "eth7": bind to device: no such device`, true,
		},
		{
			"IPv6 source", "eth0", "2001:db8::1",
			`open VRRP socket on "eth0": source address "2001:db8::1" is not an IPv4 address`, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.do(func() {
				_, err := ListenVRRP(tt.ifname, netip.MustParseAddr(tt.self))
				if err == nil {
					t.Fatal("no error")
				}
				if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if got := Retryable(err); got != tt.retryable {
					t.Errorf("Retryable = %t, want %t", got, tt.retryable)
				}
			})
		})
	}
}
