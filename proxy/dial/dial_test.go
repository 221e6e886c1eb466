package dial

import (
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
		Servers: []proxy.Server{{Weight: 1, Name: address, Address: netip.MustParseAddrPort(address)}},
	}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p.Servers()[0]
}

func wrap(errno unix.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

func TestJudge(t *testing.T) {
	checked := proxy.Check{Kind: proxy.CheckTCP, Rise: 2, Fall: 3}
	tests := []struct {
		name     string
		check    proxy.Check
		errs     []error
		verdicts []upstream.Verdict
		health   upstream.Health
		reason   string
	}{
		{"connects", proxy.Check{}, []error{nil, nil}, []upstream.Verdict{{Changed: true}}, upstream.Up, "connected"},
		{"refused", checked, []error{wrap(unix.ECONNREFUSED)}, []upstream.Verdict{{Changed: true, Check: true}}, upstream.Down, "connect: connection refused"},
		{"no answer", proxy.Check{}, []error{os.ErrDeadlineExceeded}, nil, upstream.Unknown, "connect: no answer in time (1 of 3 failures)"},
		{"want of descriptors is no fault of its", checked, []error{wrap(unix.EMFILE)}, nil, upstream.Unknown, "nothing heard yet"},
		{"nor is the end of the proxy", checked, []error{net.ErrClosed}, nil, upstream.Unknown, "nothing heard yet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t, "192.0.2.1:80", tt.check)
			var got []upstream.Verdict
			for _, err := range tt.errs {
				Judge(s, time.Now(), err, func(_ *upstream.Server, v upstream.Verdict) { got = append(got, v) })
			}
			if diff := cmp.Diff(tt.verdicts, got); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			if st := s.Status(time.Now()); st.Health != tt.health || st.Reason != tt.reason {
				t.Errorf("status = %v, %q; want %v, %q", st.Health, st.Reason, tt.health, tt.reason)
			}
		})
	}
}

func TestWhatThisHostLacksIsNotTheServersFault(t *testing.T) {
	for err, want := range map[error]bool{
		wrap(unix.EMFILE):        false,
		wrap(unix.EADDRNOTAVAIL): false,
		net.ErrClosed:            false,
		wrap(unix.ECONNREFUSED):  true,
		wrap(unix.EHOSTUNREACH):  true,
		io.EOF:                   true,
	} {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			if got := Blames(err); got != want {
				t.Errorf("Blames = %v, want %v", got, want)
			}
		})
	}
}
