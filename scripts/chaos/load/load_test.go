package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLinesRoundTrip(t *testing.T) {
	for _, l := range []Line{
		{End: time.UnixMicro(1700000000000001), Span: 1500 * time.Microsecond, Class: HTTP},
		{End: time.UnixMicro(1), Class: UDP, Reason: Timeout},
		{End: time.UnixMicro(0), Span: time.Hour, Class: Late},
	} {
		got, err := Parse(string(l.Append(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, got); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
	for _, text := range []string{"", "1 2", "1 2 http reset more", "x 2 http", "1 -2 http", "1 2 ", "1 2 http "} {
		if l, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %+v", text, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1700000000000000 1500 http\n")
	f.Add("1 0 udp timeout")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(string(l.Append(nil)))
		if err != nil || !cmp.Equal(l, again) {
			t.Errorf("%q is %+v, and after a round trip %+v, %v", text, l, again, err)
		}
	})
}

func TestReasons(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), Timeout},
		{&net.OpError{Op: "dial", Err: unix.ECONNREFUSED}, Refused},
		{unix.ECONNRESET, Reset},
		{io.ErrUnexpectedEOF, Closed},
		{unix.EHOSTUNREACH, Unreachable},
		{wrong("status503"), "status503"},
		{errors.New("what"), Other},
	} {
		if got := reason(test.err); got != test.want {
			t.Errorf("%v is %q, want %q", test.err, got, test.want)
		}
	}
}

// Nobody listens on these ports of loopback: every class says so, and the end of
// the context ends it.
func TestClientsReportFailures(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	target := netip.MustParseAddr("127.77.7.7")
	control := startEcho(t)
	go func() {
		err := Run(ctx, target, control, out)
		out.Close()
		ended <- err
	}()
	seen, answered := map[string]bool{}, false
	b := make([]byte, 1<<16)
	for len(seen) < 3 || !answered {
		n, err := in.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split(string(b[:n]), "\n") {
			if l, err := Parse(text); err == nil && l.Reason != "" {
				seen[l.Class] = true
			} else if err == nil && l.Class == Control {
				answered = true
			}
		}
	}
	if seen[Control] {
		t.Error("the control failed")
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, in) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// startEcho starts a control for the test.
func startEcho(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- echoAll(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}
