package gate

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func at(host string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), port)
}

// open listens at host and a free port, until the end of the test.
func open(t *testing.T, host string) (*net.TCPListener, uint16) {
	t.Helper()
	l, err := Listen(t.Context(), at(host, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, uint16(l.Addr().(*net.TCPAddr).Port)
}

// answers reports whether l takes a connection to host.
func answers(l net.Listener, host string, port uint16) bool {
	taken := make(chan bool, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		taken <- err == nil
	}()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		l.(*net.TCPListener).SetDeadline(time.Now())
		<-taken
		return false
	}
	defer c.Close()
	return <-taken
}

func TestOfWhichFamilyItIs(t *testing.T) {
	for _, test := range []struct {
		host      string
		four, six bool
	}{
		{"0.0.0.0", true, false}, {"127.0.0.1", true, false}, {"::", true, true}, {"::1", false, true},
	} {
		l, port := open(t, test.host)
		if four, six := answers(l, "127.0.0.1", port), answers(l, "::1", port); four != test.four || six != test.six {
			t.Errorf("%s: IPv4 %t, IPv6 %t; want %t, %t", test.host, four, six, test.four, test.six)
		}
	}
}

func TestOneTakesThePlaceOfAnotherThatOverlaps(t *testing.T) {
	for _, test := range [][2]string{{"127.0.0.1", "0.0.0.0"}, {"0.0.0.0", "127.0.0.1"}, {"127.0.0.1", "::"}, {"::", "127.0.0.1"}, {"0.0.0.0", "::"}, {"::", "0.0.0.0"}} {
		old, port := open(t, test[0])
		l, err := Beside(t.Context(), at(test[1], port), old)
		if err != nil {
			t.Errorf("%s beside %s: %v", test[1], test[0], err)
			continue
		}
		if _, err := Listen(t.Context(), at("127.0.0.1", port)); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%s beside %s: a third is bound, too (%v)", test[1], test[0], err)
		}
		old.Close()
		if !answers(l, "127.0.0.1", port) {
			t.Errorf("%s beside %s does not answer once that is closed", test[1], test[0])
		}
		// And back again.
		back, err := Beside(t.Context(), at(test[0], port), l)
		if err != nil {
			t.Errorf("%s beside %s, and back: %v", test[1], test[0], err)
			continue
		}
		l.Close()
		if !answers(back, "127.0.0.1", port) {
			t.Errorf("%s beside %s, and back, does not answer", test[1], test[0])
		}
		back.Close()
	}
}

func TestAStrangersAddressIsTaken(t *testing.T) {
	_, port := open(t, "127.0.0.1")
	old, _ := open(t, "127.0.0.2")
	for _, o := range []*net.TCPListener{nil, old} {
		if _, err := Beside(t.Context(), at("127.0.0.1", port), o); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("Beside = %v", err)
		}
	}
	mine, err := Listen(t.Context(), at("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if l, err := Beside(t.Context(), at("0.0.0.0", port), mine); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("beside an own one, where a stranger has another address: %v, %v", l, err)
	}
	if !answers(mine, "127.0.0.2", port) {
		t.Error("the old one does not answer any more")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	inner, port := open(t, "127.0.0.1")
	refusedC := make(chan netip.Addr, 10)
	l := Bound(inner, func(a netip.Addr) { refusedC <- a })
	accepted := make(chan net.Conn, 2*MaxPerCaller)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", at("127.0.0.1", port).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var first net.Conn
	for range MaxPerCaller {
		dial()
		first = <-accepted
	}
	extra := dial()
	refused := <-refusedC
	_ = extra.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := extra.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the connection beyond the bound: %v", err)
	}
	if refused != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("refused %v", refused)
	}
	first.Close()
	first.Close() // which gives no second place back
	dial()
	(<-accepted).Close()
	l.Close()
	for c := range accepted {
		c.Close()
	}
}

func TestCallers(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"::ffff:192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", true}, {"2001:db8::1", "2001:db8:0:1::1", false},
	} {
		if same := Caller(netip.MustParseAddr(test.a)) == Caller(netip.MustParseAddr(test.b)); same != test.same {
			t.Errorf("%s and %s are one: %t", test.a, test.b, same)
		}
	}
	if Caller(netip.Addr{}).IsValid() {
		t.Error("nobody is somebody")
	}
}
