package netio

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// host is a network namespace with one interface, eth0.
type host struct {
	t  *testing.T
	ns netns.NsHandle
	nl *netlink.Handle
}

// newHosts returns two hosts whose interfaces are the two ends of one cable. The
// first has the addresses 192.0.2.1/24 and fe80::1/64, the second 192.0.2.2/24 and
// fe80::2/64. Both have another link-local address, made of the MAC address.
func newHosts(t *testing.T) (a, b host) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: run the compiled test binary with sudo")
	}
	// The namespace belongs to the thread. It ends with the test's goroutine,
	// because it is never unlocked.
	runtime.LockOSThread()
	origin, err := netns.Get()
	must(t, err)
	t.Cleanup(func() { origin.Close() })
	newHost := func() host {
		ns, err := netns.New()
		must(t, err)
		t.Cleanup(func() { ns.Close() })
		must(t, netns.Set(origin))
		handle, err := netlink.NewHandleAt(ns)
		must(t, err)
		t.Cleanup(handle.Close)
		return host{t, ns, handle}
	}
	a, b = newHost(), newHost()
	cable(a, b)
	return a, b
}

// cable makes eth0 of both hosts.
func cable(a, b host) {
	a.t.Helper()
	must(a.t, a.nl.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "eth0"},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(b.ns),
	}))
	a.add("192.0.2.1/24")
	b.add("192.0.2.2/24")
	a.up()
	b.up()
	a.awaitCarrier()
	b.awaitCarrier()
	a.add("fe80::1/64")
	b.add("fe80::2/64")
}

func (h host) up() {
	h.t.Helper()
	must(h.t, h.nl.LinkSetUp(h.link()))
}

func (h host) down() {
	h.t.Helper()
	must(h.t, h.nl.LinkSetDown(h.link()))
}

// sysctl sets what is at a path below /proc/sys.
func (h host) sysctl(path, value string) {
	h.t.Helper()
	h.do(func() { must(h.t, os.WriteFile("/proc/sys/"+path, []byte(value), 0)) })
}

// awaitCarrier waits until the kernel has noticed that both ends are up; before
// that it drops what is sent.
func (h host) awaitCarrier() {
	h.t.Helper()
	eventually(h.t, "carrier", func() bool { return h.link().Attrs().OperState == netlink.OperUp })
}

// do runs f in the namespace.
func (h host) do(f func()) {
	h.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := netns.Get()
	must(h.t, err)
	defer back.Close()
	must(h.t, netns.Set(h.ns))
	defer func() { must(h.t, netns.Set(back)) }()
	f()
}

func (h host) link() netlink.Link {
	h.t.Helper()
	l, err := h.nl.LinkByName("eth0")
	must(h.t, err)
	return l
}

func (h host) mac() net.HardwareAddr { return h.link().Attrs().HardwareAddr }

// add adds an address, an IPv6 one without duplicate address detection.
func (h host) add(cidr string) {
	h.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	must(h.t, err)
	if addr.IP.To4() == nil {
		addr.Flags = unix.IFA_F_NODAD
	}
	must(h.t, h.nl.AddrAdd(h.link(), addr))
}

func (h host) remove(cidr string) {
	h.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	must(h.t, err)
	must(h.t, h.nl.AddrDel(h.link(), addr))
}

// open opens a VRRP socket on eth0.
func (h host) open(o VRRPOptions) *VRRPConn {
	h.t.Helper()
	o.Interface = "eth0"
	var c *VRRPConn
	h.do(func() {
		var err error
		c, err = OpenVRRP(o)
		must(h.t, err)
	})
	h.t.Cleanup(func() { c.Close() })
	return c
}

// listen opens a VRRP socket on eth0 for the group.
func (h host) listen(self string) *VRRPConn {
	h.t.Helper()
	return h.open(VRRPOptions{Self: netip.MustParseAddr(self)})
}

// capture returns a socket that receives the frames of an EtherType on eth0.
func (h host) capture(etherType uint16) *sniffer {
	h.t.Helper()
	network := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	var fd int
	h.do(func() {
		var err error
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(h.t, err)
	})
	h.t.Cleanup(func() { unix.Close(fd) })
	must(h.t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: h.link().Attrs().Index}))
	must(h.t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	return &sniffer{h.t, fd}
}

type sniffer struct {
	t  *testing.T
	fd int
}

// next returns the first frame for which keep returns true.
func (s *sniffer) next(keep func(frame []byte) bool) []byte {
	s.t.Helper()
	for range 1000 {
		b := make([]byte, 2048)
		n, err := unix.Read(s.fd, b)
		must(s.t, err)
		if keep(b[:n]) {
			return b[:n]
		}
	}
	s.t.Fatal("none of 1000 frames is the one that was waited for")
	return nil
}

// poll returns the first frame for which keep returns true, or nil if none such has
// arrived yet.
func (s *sniffer) poll(keep func(frame []byte) bool) []byte {
	s.t.Helper()
	for {
		b := make([]byte, 2048)
		n, _, err := unix.Recvfrom(s.fd, b, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		must(s.t, err)
		if keep(b[:n]) {
			return b[:n]
		}
	}
}

// eventually polls until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
