package worker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// Listeners of HTTP and of TCP speak TLS to the servers of a pool. A reload without a
// change keeps the connections, one that changes what is shown does not.
func TestServersAreSpokenToOverTLS(t *testing.T) {
	ca := securetest.New(t, "ca")
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1"}}).Certificate(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName, " ", r.RemoteAddr)
	}))
	server.TLS, server.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)

	files := func(subject string) proxy.Files {
		pair := ca.Issue(t, securetest.Leaf{Subject: subject})
		return proxy.Files{"ca.pem": ca.PEM(), "lb.pem": pair.Cert, "lb.key": pair.Key}
	}
	s := startWorker(t)
	pool := newSpecPool("web", netip.MustParseAddrPort(server.Listener.Addr().String()))
	pool.Limits.Idle = 64
	pool.TLS = &proxy.PoolTLS{CA: "ca.pem", Cert: "lb.pem", Key: "lb.key", MinVersion: proxy.TLS12}
	web, raw := s.bind(t, "web"), s.bind(t, "raw")
	spec := proxy.Spec{Pools: pools(pool), Listeners: []proxy.Listener{
		newSpecListener("web", proxy.HTTP, "web", web), newSpecListener("raw", proxy.TCP, "web", raw),
	}}
	first := files("first")
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, Files: first}); err != "" {
		t.Fatal(err)
	}
	c := connect(t, web)
	before := c.ask(t)
	if !strings.HasPrefix(before, "first ") {
		t.Errorf("the server was shown a certificate of %q", before)
	}
	overTCP := func() string {
		t.Helper()
		conn, err := net.Dial("tcp", raw.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	if got := overTCP(); !strings.HasPrefix(got, "first ") {
		t.Errorf("over TCP the server was shown a certificate of %q", got)
	}

	pool.Limits.Idle++ // a change, and none of the identity
	spec.Pools = pools(pool)
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, Files: first}); err != "" {
		t.Fatal(err)
	}
	if after := c.ask(t); after != before {
		t.Errorf("%q before, and %q after a reload that has changed nothing of it", before, after)
	}
	bad := files("bad")
	bad["lb.key"] = first["lb.key"]
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, Files: bad}); !strings.Contains(err, `pool "web": TLS: the key in "lb.key" does not belong to the certificate in "lb.pem"`) {
		t.Errorf("a bad pair is answered with %q", err)
	}
	if after := c.ask(t); after != before {
		t.Errorf("%q before, and %q after a reload that was refused", before, after)
	}
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, Files: files("second")}); err != "" {
		t.Fatal(err)
	}
	if after := c.ask(t); !strings.HasPrefix(after, "second ") {
		t.Errorf("%q after a reload with another certificate", after)
	}
	if got := overTCP(); !strings.HasPrefix(got, "second ") {
		t.Errorf("over TCP %q after a reload with another certificate", got)
	}
}
