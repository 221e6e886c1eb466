package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
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

func TestEvidence(t *testing.T) {
	ca, other := securetest.New(t, "ca"), securetest.New(t, "other")
	many := make([]string, 90)
	for i := range many {
		many[i] = fmt.Sprintf("name-%d.example", i)
	}
	tls12 := &tls.Config{MaxVersion: tls.VersionTLS12, ServerName: "web"}
	for name, tt := range map[string]struct {
		server func(net.Conn, *tls.Config) // config has a good certificate
		client *tls.Config
		want   string
	}{
		"unknown authority": {nil, &tls.Config{RootCAs: other.Pool(), ServerName: "web"}, "TLS: certificate signed by unknown authority"},
		"wrong name":        {nil, &tls.Config{RootCAs: ca.Pool(), ServerName: "db"}, "TLS: certificate is valid for web, not db"},
		"expired": {
			nil, &tls.Config{RootCAs: ca.Pool(), ServerName: "web", Time: func() time.Time { return time.Now().Add(2 * time.Hour) }},
			"TLS: certificate has expired or is not yet valid: current time ",
		},
		"many names": {func(c net.Conn, _ *tls.Config) {
			pair := ca.Issue(t, securetest.Leaf{Names: many}).Certificate(t)
			tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
		}, nil, "TLS: certificate is valid for name-0.example, "},
		"not TLS":   {func(c net.Conn, _ *tls.Config) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, nil, "TLS: what the server answers is not TLS"},
		"silence":   {func(c net.Conn, _ *tls.Config) { io.Copy(io.Discard, c) }, nil, "TLS: no answer in time"},
		"closed":    {func(c net.Conn, _ *tls.Config) { c.Read(make([]byte, 1<<10)); c.(*net.TCPConn).CloseWrite() }, nil, "TLS: the server has closed the connection"},
		"reset":     {func(c net.Conn, _ *tls.Config) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0) }, nil, "TLS: connection reset by peer"},
		"old":       {nil, tls12, "TLS: the server refuses: protocol version not supported"},
		"malformed": {func(c net.Conn, _ *tls.Config) { io.WriteString(c, "\x16\x03\x03\x00\x04\x02\x00\x00\x00") }, nil, "TLS: "},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, securetest.Leaf{Names: []string{"web"}}).Certificate(t)}}
			if tt.client == tls12 {
				config.MinVersion = tls.VersionTLS13
			}
			l := reactortest.Listen(t)
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				if tt.server == nil {
					tls.Server(c, config).Handshake()
				} else {
					tt.server(c, config)
				}
			})
			client := tt.client
			if client == nil {
				client = &tls.Config{RootCAs: ca.Pool(), ServerName: "web"}
			}
			r := reactortest.Start(t, 1)
			loop, failed := r.Loops()[0], make(chan error, 1)
			loop.Post(func() {
				loop.Go(func() {
					began := loop.Now()
					_, err := Open(loop, Way{Address: l.Addr().(*net.TCPAddr).AddrPort(), TLS: client, Deadline: began.Add(300 * time.Millisecond)})
					failed <- err
				})
			})
			err := <-failed
			if err == nil {
				t.Fatal("no error")
			}
			if got := Evidence(err); !strings.HasPrefix(got, tt.want) || len(got) > longest+len("TLS: ") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if !Blames(err) {
				t.Error("the server is not to blame")
			}
		})
	}
}

func TestNothingIsLeftOfAConnectionThatFailed(t *testing.T) {
	l, r := reactortest.Listen(t), reactortest.Start(t, 1)
	loop, failed := r.Loops()[0], make(chan error, 1)
	loop.Post(func() {
		loop.Go(func() {
			_, err := Open(loop, Way{
				Address: l.Addr().(*net.TCPAddr).AddrPort(), TLS: &tls.Config{ServerName: "web"}, Deadline: loop.Now().Add(time.Millisecond),
			})
			failed <- err
		})
	})
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := loop.Open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}
