package l4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS is a pool of one server that speaks TLS, says its name and whom it was asked
// for, and echoes.
func overTLS(t *testing.T, name string, cert tls.Certificate) *upstream.Pool {
	t.Helper()
	spec := pool(t, backend(t, func(c *net.TCPConn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if s.Handshake() != nil {
			return
		}
		fmt.Fprintf(s, "%s for %q\n", name, s.ConnectionState().ServerName)
		io.Copy(s, s)
	})).Spec()
	spec.Name = name
	return repool(t, spec)
}

// passthrough is a proxy that routes TLS by the name.
func passthrough(t *testing.T, routes ...proxy.Route) *running {
	t.Helper()
	cert := certificate(t)
	return startWith(t, proxy.Listener{Protocol: proxy.TCP, Passthrough: true, Routes: routes},
		overTLS(t, "exact", cert), overTLS(t, "wild", cert), overTLS(t, "default", cert))
}

// crumbs writes one byte at a time.
type crumbs struct{ net.Conn }

func (c crumbs) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		_, err = c.Conn.Write(b[n : n+1])
		n++
	}
	return n, err
}

func TestTLSIsRoutedByTheName(t *testing.T) {
	r := passthrough(t, to("exact", "example.org"), to("wild", "*.example.org", "*.net"), to("default"))
	for _, tc := range []struct{ name, pool string }{
		{"example.org", "exact"}, {"Example.ORG", "exact"}, {"www.example.org", "wild"}, {"a.b.example.org", "wild"}, {"x.net", "wild"},
		{"net", "default"}, {"example.com", "default"}, {"notexample.org", "default"}, {"", "default"},
	} {
		for how, wrap := range map[string]func(net.Conn) net.Conn{
			"at once":      func(c net.Conn) net.Conn { return c },
			"byte by byte": func(c net.Conn) net.Conn { return crumbs{c} },
		} {
			t.Run(tc.name+" "+how, func(t *testing.T) {
				c := tls.Client(wrap(r.dial(t)), &tls.Config{ServerName: tc.name, InsecureSkipVerify: true}) //nolint:gosec // a test
				want := fmt.Sprintf("%s for %q\nping", tc.pool, tc.name)
				io.WriteString(c, "ping")
				got := make([]byte, len(want))
				if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
					t.Errorf("heard %q, %v; want %q", got[:n], err, want)
				}
			})
		}
	}
}

func TestAHelloThatNoRouteWantsIsRefused(t *testing.T) {
	r := passthrough(t, to("exact", "example.org"))
	for _, name := range []string{"www.example.org", ""} {
		c := tls.Client(r.dial(t), &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // a test
		if err := c.Handshake(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: %v, want a reset", name, err)
		}
	}
	want := proxy.Traffic{Accepted: 2, Failed: 2, Refused: map[string]uint64{"no_route": 2}}
	if diff := cmp.Diff(want, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoHelloIsRefused(t *testing.T) {
	for reason, says := range map[string]string{
		"hello_not_tls":   "GET / HTTP/1.1\r\n\r\n",
		"hello_malformed": "\x16\x03\x01\x00\x00",
		"hello_too_long":  "\x16\x03\x01\x40\x00\x01\x00\xff\xff",
		"hello_cut":       "\x16\x03\x01\x00\x10\x01",
		"hello_timeout":   "\x16\x03\x01\x00\x10\x01\x00",
		"":                "", // a look whether somebody listens
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			r := passthrough(t, to("default"))
			c := r.dial(t)
			io.WriteString(c, says)
			if reason == "hello_cut" || reason == "" {
				c.CloseWrite()
			}
			isReset(t, c)
			want := proxy.Traffic{Accepted: 1}
			if reason != "" {
				want.Refused = map[string]uint64{reason: 1}
			}
			if diff := cmp.Diff(want, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

// A server that is not reached does not take the hello with it.
func TestTheHelloGoesToTheServerThatIsReached(t *testing.T) {
	p := overTLS(t, "default", certificate(t))
	spec := p.Spec()
	dead := pool(t, reactortest.Refusing(t)).Spec()
	spec.Servers = append(dead.Servers, spec.Servers...)
	r := startWith(t, proxy.Listener{Protocol: proxy.TCP, Passthrough: true, Routes: []proxy.Route{to("default")}}, repool(t, spec))
	c := tls.Client(r.dial(t), &tls.Config{ServerName: "example.org", InsecureSkipVerify: true}) //nolint:gosec // a test
	if err := c.Handshake(); err != nil {
		t.Error(err)
	}
}

func TestNewConfigRefuses(t *testing.T) {
	db := map[string]Pool{"db": {Servers: pool(t)}}
	for want, routes := range map[string][]proxy.Route{
		"no route to a pool":       nil,
		"route 2 sends to no pool": {to("db"), {}},
		`unknown pool "web"`:       {to("web")},
	} {
		if _, err := NewConfig(proxy.Listener{Routes: routes}, db, nil); err == nil || err.Error() != want {
			t.Errorf("NewConfig = %v, want %q", err, want)
		}
	}
}
