package frontend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/proxyproto"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// introduce answers each part of what it is told with who is thought to say it, to
// whom, and what.
func introduce(c tlsconn.Stream, _ *Bind) bool {
	var b [64]byte
	n, err := c.TryRead(b[:])
	if errors.Is(err, reactor.ErrWouldBlock) {
		return true
	}
	if err != nil {
		return false
	}
	_, err = fmt.Fprintf(c, "%v to %v: %q\n", ClientOf(c.Conn), Local(c.Conn), b[:n])
	return err == nil
}

func trusting(t *testing.T, o Options) *bench {
	t.Helper()
	b := start(t, "127.0.0.1", o)
	b.Expect([]netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("127.1.0.0/16")})
	return b
}

// line returns the next line that the connection is told.
func line(t *testing.T, c *net.TCPConn) string {
	t.Helper()
	var s strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(s.String(), "\n"); s.Write(b) {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatalf("after %q: %v", s.String(), err)
		}
	}
	return s.String()
}

func header(v proxy.ProxyVersion, src string) string {
	return string(proxyproto.Append(nil, v, netip.MustParseAddrPort(src), netip.MustParseAddrPort("198.51.100.2:443")))
}

func TestAClientIsWhomTheHeaderNames(t *testing.T) {
	v1, v2 := header(proxy.ProxyV1, "192.0.2.1:1234"), header(proxy.ProxyV2, "192.0.2.1:1234")
	long := v2[:14] + "\x03\xf7" + v2[16:] + "\xee\x03\xe8" + strings.Repeat("x", 1000) // an extension of 1000 bytes
	for name, tc := range map[string]struct {
		parts []string
		want  string
	}{
		"version 1":           {[]string{v1, "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"version 2":           {[]string{v2, "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"with bytes behind 1": {[]string{v1 + "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"with bytes behind 2": {[]string{v2 + "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"byte by byte 1":      {append(strings.Split(v1, ""), "hello"), "192.0.2.1:1234 to 198.51.100.2:443"},
		"byte by byte 2":      {append(strings.Split(v2, ""), "hello"), "192.0.2.1:1234 to 198.51.100.2:443"},
		"in halves":           {[]string{v2[:20], v2[20:] + "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"long":                {[]string{long + "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"long, in parts":      {[]string{long[:100], long[100:900], long[900:], "hello"}, "192.0.2.1:1234 to 198.51.100.2:443"},
		"unknown":             {[]string{"PROXY UNKNOWN\r\nhello"}, "PEER to LOCAL"},
	} {
		for when, atOnce := range map[string]bool{"": false, ", served at once": true} {
			t.Run(name+when, func(t *testing.T) {
				b := trusting(t, Options{Serve: introduce, AtOnce: atOnce, Timeout: time.Minute})
				c := b.dial(t, "127.0.0.2")
				for _, p := range tc.parts {
					io.WriteString(c, p)
				}
				want := strings.NewReplacer("PEER", c.LocalAddr().String(), "LOCAL", c.RemoteAddr().String()).Replace(tc.want)
				if got := line(t, c); got != want+": \"hello\"\n" {
					t.Errorf("told %q, want %q", got, want)
				}
				if got := b.Traffic().Refused; got != nil {
					t.Errorf("refused: %v", got)
				}
			})
		}
	}
}

func TestAHeaderFromElsewhereIsData(t *testing.T) {
	b := trusting(t, Options{Serve: introduce})
	c := b.dial(t, "127.0.0.3")
	io.WriteString(c, header(proxy.ProxyV1, "192.0.2.1:1234"))
	if got, want := line(t, c), fmt.Sprintf("%v to %v: \"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\\r\\n\"\n", c.LocalAddr(), c.RemoteAddr()); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestAConnectionWithoutAProperHeaderIsClosed(t *testing.T) {
	for reason, says := range map[string]string{
		"missing":  "GET / HTTP/1.1\r\n\r\n",
		"syntax":   "PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
		"address":  "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
		"length":   "PROXY " + strings.Repeat("x", 200),
		"tlv":      header(proxy.ProxyV2, "192.0.2.1:1")[:15] + "\x0e" + header(proxy.ProxyV2, "192.0.2.1:1")[16:] + "\x04\x00",
		"checksum": header(proxy.ProxyV2, "192.0.2.1:1")[:15] + "\x13" + header(proxy.ProxyV2, "192.0.2.1:1")[16:] + "\x03\x00\x04oops",
		"cut":      "PROXY TCP4",
		"timeout":  "PROXY TCP6 ",
		"":         "", // a look whether somebody listens
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			b := trusting(t, Options{Serve: func(tlsconn.Stream, *Bind) bool {
				t.Error("it is served")
				return false
			}})
			c := b.dial(t, "127.1.2.3")
			io.WriteString(c, says)
			if reason == "cut" || reason == "" {
				c.CloseWrite()
			}
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client sees %v", err)
			}
			b.hasOpen(t, 0)
			var want map[string]uint64
			if reason != "" {
				want = map[string]uint64{"proxy_header_" + reason: 1}
				eventually(t, "the count", func() bool { return b.Traffic().Refused != nil })
			}
			if diff := cmp.Diff(want, b.Traffic().Refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSilenceInsteadOfAHeaderIsBounded(t *testing.T) {
	t.Parallel()
	b := trusting(t, Options{AtOnce: true}) // without a limit of its own
	c := b.dial(t, "127.0.0.2")
	if got := said(t, c); got != "" {
		t.Errorf("told %q", got)
	}
	eventually(t, "the count", func() bool { return b.Traffic().Refused["proxy_header_timeout"] == 1 })
}

func TestTheClientsOfAProxyAreLimitedEach(t *testing.T) {
	b := trusting(t, Options{})
	b.Limit(proxy.ListenerLimits{ConnectionsPerClient: 1})
	client := func(src string) *net.TCPConn {
		c := b.dial(t, "127.0.0.2")
		io.WriteString(c, header(proxy.ProxyV2, src))
		return c
	}
	one := client("192.0.2.1:1")
	served(t, one)
	served(t, client("192.0.2.2:1"))
	if got := said(t, client("192.0.2.1:2")); got != "no: connections_per_client" {
		t.Errorf("told %q", got)
	}
	one.Close()
	b.hasOpen(t, 1)
	eventually(t, "the place of the first", func() bool {
		c := client("192.0.2.1:3")
		defer c.Close()
		got := make([]byte, 4)
		io.WriteString(c, "ping")
		_, err := io.ReadFull(c, got)
		return err == nil && string(got) == "ping"
	})
}

// A reload that moves a listener to another port leaves a socket behind each time.
func TestSocketsOfBeforeAreForgottenButForTheirCounts(t *testing.T) {
	b := start(t, "127.0.0.1", Options{})
	first := b.dial(t, "")
	served(t, first)
	b.stop()
	const reloads = 10
	for i := range reloads {
		l := reactortest.Listen(t)
		stop, err := b.Listen(l)
		if err != nil {
			t.Fatal(err)
		}
		b.addr = l.Addr().String()
		c := b.dial(t, "")
		served(t, c)
		c.Close()
		b.hasOpen(t, 1)
		stop()
		if n := len(b.sockets.Load().all); n != 1 {
			t.Fatalf("after %d reloads there are %d sockets, want that of the open connection", i+1, n)
		}
	}
	served(t, first)
	want := proxy.Traffic{Open: 1, Accepted: 1 + reloads}
	if diff := cmp.Diff(want, b.Traffic()); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}
