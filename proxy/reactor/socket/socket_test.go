package socket

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two connected non-blocking sockets.
func pair(t *testing.T) (a, b int32) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return int32(fds[0]), int32(fds[1])
}

func TestSendBuffersSkipsWhatWasSentOfTheFirst(t *testing.T) {
	many := make([][]byte, 2*maxBuffers)
	for i := range many {
		many[i] = []byte{byte('a' + i)}
	}
	for _, tc := range []struct {
		name string
		bufs [][]byte
		skip int
		want string
	}{
		{"one", [][]byte{[]byte("head")}, 0, "head"},
		{"the rest of one", [][]byte{[]byte("head")}, 3, "d"},
		{"two", [][]byte{[]byte("head"), []byte("body")}, 0, "headbody"},
		{"the rest of the first and the second", [][]byte{[]byte("head"), []byte("body")}, 2, "adbody"},
		{"empty ones between", [][]byte{nil, []byte("head"), {}, []byte("body"), nil}, 0, "headbody"},
		{"as many as fit", many, 0, "abcdefgh"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from, to := pair(t)
			n, errno := SendBuffers(from, tc.bufs, tc.skip)
			if errno != 0 || n != len(tc.want) {
				t.Errorf("sent %d bytes, %v; want %d", n, errno, len(tc.want))
			}
			got := make([]byte, 64)
			if n, errno := Recv(to, got, 0); errno != 0 || string(got[:n]) != tc.want {
				t.Errorf("received %q, %v; want %q", got[:n], errno, tc.want)
			}
		})
	}
}

func TestNoCallWaits(t *testing.T) {
	a, b := pair(t)
	if n, errno := Recv(a, make([]byte, 1), 0); n != 0 || errno != syscall.EAGAIN {
		t.Errorf("nothing to receive: %d, %v", n, errno)
	}
	for chunk := make([]byte, 64<<10); ; {
		if n, errno := Send(a, chunk); errno != 0 {
			if n != 0 || errno != syscall.EAGAIN {
				t.Errorf("no room to send: %d, %v", n, errno)
			}
			break
		}
	}
	unix.Close(int(b))
	if n, errno := Send(a, []byte("x")); n != 0 || errno != syscall.EPIPE { // and no signal
		t.Errorf("nobody to send to: %d, %v", n, errno)
	}
}

func TestAddressesSurviveTheKernel(t *testing.T) {
	for _, tc := range []struct{ bind, want string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{"[::ffff:127.0.0.1]:0", "127.0.0.1"}, // of a socket for both families
	} {
		t.Run(tc.bind, func(t *testing.T) {
			addr := netip.MustParseAddrPort(tc.bind)
			family := unix.AF_INET6
			if addr.Addr().Is4() {
				family = unix.AF_INET
			}
			fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if family == unix.AF_INET6 {
				_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
			}
			if err := unix.Bind(fd, sockaddr(addr)); err != nil {
				t.Skipf("bind %s: %v", addr, err)
			}
			if got := LocalAddr(int32(fd)); got.Addr().String() != tc.want || got.Port() == 0 {
				t.Errorf("got %s, want %s and a port", got, tc.want)
			}
		})
	}
}

func TestScopeIsAnInterfaceByNameOrNumber(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	for zone, want := range map[string]uint32{"": 0, "7": 7, "lo": uint32(lo.Index), "nosuch0": 0} {
		if got := scope(zone); got != want {
			t.Errorf("zone %q: %d, want %d", zone, got, want)
		}
	}
}

func TestASharedListenerDoesNotWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Fd() // makes it wait, as that of a holder which never accepts does
	fd, err := Share(f)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, _, errno := Accept(fd); errno != syscall.EAGAIN {
		t.Fatalf("nobody has connected: %v", errno)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, peer, errno := Accept(fd)
	if errno != 0 {
		t.Fatal(os.NewSyscallError("accept", errno))
	}
	defer unix.Close(conn)
	if want := c.LocalAddr().(*net.TCPAddr).AddrPort(); peer != want {
		t.Errorf("peer %s, want %s", peer, want)
	}
}

// sockaddr returns addr for the calls of package unix.
func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: scope(addr.Addr().Zone())}
}
