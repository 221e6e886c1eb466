// Package reactortest has what the tests of those have in common that run on a reactor.
package reactortest

import (
	"context"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// Start returns a reactor that runs until the end of the test, which fails if a
// handler panics with something else than what is expected.
func Start(t testing.TB, loops int, expected ...any) *reactor.Reactor {
	t.Helper()
	r, err := reactor.New(reactor.Options{Loops: loops, Panicked: func(v any, stack []byte) {
		if !slices.Contains(expected, v) {
			t.Errorf("panic: %v\n%s", v, stack)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// Listen returns a listener on the loopback, until the end of the test.
func Listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Refusing returns an address where nothing listens, nor will until the end of the test.
func Refusing(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) }) // until then nobody else gets the port
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := bound.(*unix.SockaddrInet4)
	return (&net.TCPAddr{IP: to.Addr[:], Port: to.Port}).String()
}
