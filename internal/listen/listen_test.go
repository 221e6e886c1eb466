package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
)

func binds(addresses ...string) proxy.Spec {
	l := proxy.Listener{Name: "web"}
	for _, b := range addresses {
		l.Bind = append(l.Bind, netip.MustParseAddrPort(b))
	}
	return proxy.Spec{Listeners: []proxy.Listener{l}}
}

func TestBindingIsAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	freeAddress := free.Addr().String()
	free.Close()

	_, _, err = Bind(t.Context(), binds(freeAddress, taken.Addr().String()), nil)
	if err == nil || !strings.Contains(err.Error(), `listener "web": listen on `+taken.Addr().String()) ||
		!strings.Contains(err.Error(), "another process listens there") {
		t.Fatalf("got %v", err)
	}
	again, err := net.Listen("tcp", freeAddress)
	if err != nil {
		t.Fatalf("the free address stayed bound: %v", err)
	}
	again.Close()
}

func TestOverlappingBindIsTheNodesOwn(t *testing.T) {
	const own, another = "the running config listens on ", "another process listens there"
	for name, tc := range map[string]struct {
		have, bind string
		want       string
	}{
		"to every address":           {"127.0.0.1:80", "[::]:80", own + "127.0.0.1:80; restart"},
		"to every one of IPv4":       {"127.0.0.1:80", "0.0.0.0:80", own + "127.0.0.1:80; restart"},
		"from every address":         {"[::]:80", "127.0.0.1:80", own + ":80; restart"},
		"from every one of IPv4":     {"0.0.0.0:80", "127.0.0.1:80", own + "0.0.0.0:80; restart"},
		"another port":               {"[::]:81", "127.0.0.1:80", another},
		"another address":            {"127.0.0.2:80", "127.0.0.1:80", another},
		"another family than IPv4's": {"[::1]:80", "0.0.0.0:80", another},
	} {
		have := map[Endpoint]*os.File{{Addr: netip.MustParseAddrPort(tc.have)}: nil}
		got := bindHint(syscall.EADDRINUSE, Endpoint{Addr: netip.MustParseAddrPort(tc.bind)}, have)
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestSocketsThatAreOpenAreKept(t *testing.T) {
	first, opened, err := Bind(t.Context(), binds("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(first)
	if len(opened) != 1 {
		t.Fatalf("%d opened", len(opened))
	}
	second, opened, err := Bind(t.Context(), binds("127.0.0.1:0"), first)
	if err != nil {
		t.Fatal(err)
	}
	bind := Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:0")}
	if len(opened) != 0 || second[bind] != first[bind] {
		t.Errorf("the socket was opened anew")
	}
}

func TestAddressesOfTheVIPCanBeBoundBeforeTheyAreHere(t *testing.T) {
	for _, absent := range []string{"203.0.113.100:0", "[2001:db8::100]:0"} {
		all, _, err := Bind(t.Context(), binds(absent), nil)
		if err != nil {
			t.Errorf("%s: %v", absent, err)
		}
		Close(all)
	}
}

func TestAnAddressHasSocketsOfBothKinds(t *testing.T) {
	spec := binds("127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "203.0.113.100:0")
	datagrams := spec.Listeners[0]
	datagrams.Name, datagrams.Protocol = "dns", proxy.UDP
	spec.Listeners = append(spec.Listeners, datagrams)
	all, _, err := Bind(t.Context(), spec, nil)
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	defer Close(all)
	if len(all) != 10 {
		t.Errorf("%d sockets, want 10", len(all))
	}
	for e, f := range all {
		kind, domain := unix.SOCK_STREAM, unix.AF_INET6
		if e.UDP {
			kind = unix.SOCK_DGRAM
		}
		if e.Addr.Addr().Is4() {
			domain = unix.AF_INET
		}
		for option, want := range map[int]int{unix.SO_TYPE: kind, unix.SO_DOMAIN: domain, unix.SO_REUSEADDR: 0} {
			if option == unix.SO_REUSEADDR && !e.UDP {
				want = 1
			}
			if got, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, option); got != want || err != nil {
				t.Errorf("%s: option %d is %d, %v; want %d", e, option, got, err, want)
			}
		}
	}
}

func TestASocketForDatagramsIsNotTakenTwice(t *testing.T) {
	spec := binds("127.0.0.1:0")
	spec.Listeners[0].Protocol = proxy.UDP
	all, _, err := Bind(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(all)
	for _, f := range all {
		name, err := unix.Getsockname(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
		again := binds(address)
		again.Listeners[0].Protocol = proxy.UDP
		_, _, err = Bind(t.Context(), again, nil)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "ss -lunp") {
			t.Errorf("bound again: %v", err)
		}
	}
}

// Every address of IPv4 is none of IPv6: who has that there keeps it.
func TestEveryAddressOfIPv4IsOfIPv4(t *testing.T) {
	other, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		t.Skip(err)
	}
	defer other.Close()
	port := other.Addr().(*net.TCPAddr).Port
	datagrams, err := net.ListenPacket("udp6", fmt.Sprintf("[::]:%d", port))
	if err != nil {
		t.Skip(err)
	}
	defer datagrams.Close()
	for _, protocol := range []proxy.Protocol{proxy.TCP, proxy.UDP} {
		spec := binds(fmt.Sprintf("0.0.0.0:%d", port))
		spec.Listeners[0].Protocol = protocol
		files, _, err := Bind(t.Context(), spec, nil)
		if err != nil {
			t.Errorf("%v: %v", protocol, err)
		}
		Close(files)
	}
}
