package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/proxyproto"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// demanding is a listener of a server that takes no connection without a header of the
// PROXY protocol, and tells of each how it began.
type demanding struct {
	net.Listener
	began chan error
}

func (d demanding) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	err = local(c)
	d.began <- err
	if err != nil {
		c.Close()
	}
	return c, nil
}

// local reads a header that stands for the proxy itself, and not a byte beyond.
func local(c net.Conn) error {
	var read []byte
	for {
		next := make([]byte, 1)
		if _, err := io.ReadFull(c, next); err != nil {
			return err
		}
		read = append(read, next...)
		switch h, n, err := proxyproto.Parse(read); {
		case err != nil:
			return err
		case n > 0 && h.Source.IsValid():
			return fmt.Errorf("the header tells of a client %v", h.Source)
		case n > 0:
			return nil
		}
	}
}

func TestProbesBeginWithTheHeaderThatThePoolSends(t *testing.T) {
	ca := securetest.New(t, "Root")
	id, err := secure.Client(&proxy.PoolTLS{CA: "ca", MinVersion: proxy.TLS12}, proxy.Files{"ca": ca.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	serve := func(config *tls.Config) (netip.AddrPort, <-chan error) {
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		d := demanding{web.Listener, make(chan error, 16)}
		web.Listener = d
		if web.TLS = config; config == nil {
			web.Start()
		} else {
			web.StartTLS()
		}
		t.Cleanup(web.Close)
		return netip.MustParseAddrPort(d.Addr().String()), d.began
	}
	certificate := ca.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1"}}).Certificate(t)
	get := proxy.Check{Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: "/", Expect: proxy.StatusRange{Low: 200, High: 200}}
	for _, header := range []proxy.ProxyVersion{proxy.ProxyV1, proxy.ProxyV2, proxy.ProxyNone} {
		for _, secured := range []bool{false, true} {
			for _, check := range []proxy.Check{get, {Kind: proxy.CheckTCP}} {
				t.Run(fmt.Sprintf("%s %s tls=%v", header, check.Kind, secured), func(t *testing.T) {
					way, config := Way{Header: header}, (*tls.Config)(nil)
					if secured {
						way.TLS, config = id.Config("127.0.0.1"), &tls.Config{Certificates: []tls.Certificate{certificate}}
					}
					at, began := serve(config)
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					evidence, saw := newProbe(at, check)(ctx, way)
					err := <-began
					if header != proxy.ProxyNone && (saw != sawGood || err != nil) {
						t.Errorf("probe = %q, %v; the server: %v", evidence, saw, err)
					}
					if header == proxy.ProxyNone && (err == nil || check == get && saw == sawGood) {
						t.Errorf("probe = %q, %v, without a header; the server: %v", evidence, saw, err)
					}
				})
			}
		}
	}
}
