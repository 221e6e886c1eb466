package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func server(t *testing.T, address string, check proxy.Check) *upstream.Server {
	t.Helper()
	p, err := upstream.NewPool(proxy.Pool{
		Name:    "web",
		Balance: proxy.RoundRobin,
		Check:   check,
		Servers: []proxy.Server{{Name: address, Address: netip.MustParseAddrPort(address)}},
	}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p.Servers()[0]
}

// recorder keeps the verdicts that a Dialer hands on.
func recorder() (*Dialer, *[]upstream.Verdict) {
	var got []upstream.Verdict
	return &Dialer{
		Timeout: 5 * time.Second,
		Observe: func(_ *upstream.Server, v upstream.Verdict) { got = append(got, v) },
	}, &got
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestDialConnects(t *testing.T) {
	l := listen(t)
	d, verdicts := recorder()
	s := server(t, l.Addr().String(), proxy.Check{})
	for range 2 {
		c, err := d.Dial(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var on int
		raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) })
		if err != nil || on != 1 {
			t.Errorf("keep-alive = %d (%v), want 1", on, err)
		}
	}
	if diff := cmp.Diff([]upstream.Verdict{{Changed: true}}, *verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestDialRefused(t *testing.T) {
	l := listen(t)
	l.Close()
	d, verdicts := recorder()
	s := server(t, l.Addr().String(), proxy.Check{Kind: proxy.CheckTCP, Rise: 2, Fall: 3})
	_, err := d.Dial(t.Context(), s)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Timeout() || e.Server != s.Address() || !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("Dial = %v, want an *Error with the refusal of %s", err, s.Address())
	}
	if diff := cmp.Diff([]upstream.Verdict{{Changed: true, Check: true}}, *verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	got := s.Status(time.Now())
	if got.Health != upstream.Down || got.Reason != "connect: connection refused" || got.Failed != 1 {
		t.Errorf("status = %+v, want down for the refusal", got)
	}
}

// A client that leaves while its server is being dialled says nothing about the
// server.
func TestDialCanceled(t *testing.T) {
	l := listen(t)
	d, verdicts := recorder()
	s := server(t, l.Addr().String(), proxy.Check{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Dial(ctx, s)
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("Dial = %v, want an *Error", err)
	}
	if got := s.Status(time.Now()); got.Failed != 0 || len(*verdicts) != 0 {
		t.Errorf("status = %+v, verdicts = %v, want no trace", got, *verdicts)
	}
}

func TestDialTimeout(t *testing.T) {
	d, _ := recorder()
	d.Timeout = time.Nanosecond
	s := server(t, listen(t).Addr().String(), proxy.Check{})
	_, err := d.Dial(t.Context(), s)
	if e, ok := errors.AsType[*Error](err); !ok || !e.Timeout() {
		t.Fatalf("Dial = %v, want an *Error for a timeout", err)
	}
	if got, want := s.Status(time.Now()).Reason, "connect: no answer in time (1 of 3 failures)"; got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
}

func TestOwnFault(t *testing.T) {
	wrap := func(errno unix.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for err, want := range map[error]bool{
		wrap(unix.EMFILE):        true,
		wrap(unix.EADDRNOTAVAIL): true,
		wrap(unix.ECONNREFUSED):  false,
		wrap(unix.EHOSTUNREACH):  false,
		io.EOF:                   false,
	} {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			if got := ownFault(err); got != want {
				t.Errorf("ownFault = %v, want %v", got, want)
			}
		})
	}
}
