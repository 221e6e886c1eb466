package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// shelf is a directory of files of TLS, which a node of another user may read.
type shelf struct {
	t   *testing.T
	dir string
	ca  *securetest.Authority
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	dir, err := os.MkdirTemp("", "tandem-files-") //nolint:usetesting // others are to read in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &shelf{t: t, dir: dir, ca: securetest.New(t, "Test Root")}
}

// put writes a file and returns its path.
func (s *shelf) put(name string, content ...[]byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, bytes.Join(content, nil), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// issue writes a certificate with its key and returns the path of both.
func (s *shelf) issue(name string, l securetest.Leaf) string {
	s.t.Helper()
	p := s.ca.Issue(s.t, l)
	return s.put(name, p.Cert, p.Key)
}

// visitor returns a client that reaches any host at address, and follows no redirect.
func visitor(t *testing.T, address string, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visit sends a request for url and returns the answer with its body.
func visit(t *testing.T, c *http.Client, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func (s *single) certificates() (c admin.Certificates) {
	s.t.Helper()
	out, err := s.tandem("status", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	var st admin.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatal(err)
	}
	return st.Certificates
}

// TestASiteOverTLS is what docs/tls.md begins with: a site, and those who come in plain
// sent to it, in front of servers that speak TLS as well.
func TestASiteOverTLS(t *testing.T) {
	files := newShelf(t)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s as %s, from %q", r.Header.Get("X-Forwarded-Proto"), r.TLS.ServerName, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	web.TLS = &tls.Config{
		Certificates: []tls.Certificate{files.ca.Issue(t, securetest.Leaf{Names: []string{"web.internal"}}).Certificate(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: files.ca.Pool(),
	}
	web.StartTLS()
	t.Cleanup(web.Close)
	certificate := files.issue("shop.pem", securetest.Leaf{Names: []string{"shop.example"}, Serial: 1001})
	plain, secured := reservePort(t), reservePort(t)
	s := runSingle(t, func(address string) string {
		return fmt.Sprintf(`
listeners:
  alive: {bind: %q, routes: {respond: 200}}
  plain:
    bind: %q
    routes: {redirect: {to: "https://{host}{uri}", status: 308}}
  shop:
    bind: %q
    tls: %s
    routes:
      - pool: web
        response_headers: {set: {strict-transport-security: max-age=63072000}}
pools:
  web:
    servers: %s
    check: GET /
    tls: {ca: %s, server_name: web.internal, cert: %s}
`, address, plain, secured, certificate, web.Listener.Addr(), files.put("ca.pem", files.ca.PEM()), files.issue("lb.pem", securetest.Leaf{Subject: "lb"}))
	})

	res, _ := visit(t, visitor(t, plain, nil), "http://shop.example/cart?x=1")
	if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != "https://shop.example/cart?x=1" {
		t.Errorf("in plain: %s to %q", res.Status, got)
	}
	client := visitor(t, secured, &tls.Config{RootCAs: files.ca.Pool()})
	s.eventually("the server is up", func() bool {
		res, _ := visit(t, client, "https://shop.example/")
		return res.StatusCode == http.StatusOK
	})
	res, body := visit(t, client, "https://shop.example/")
	if want := `https as web.internal, from "lb"`; body != want {
		t.Errorf("the server says %q, want %q", body, want)
	}
	if got := res.Header.Get("Strict-Transport-Security"); got != "max-age=63072000" {
		t.Errorf("Strict-Transport-Security = %q", got)
	}

	// A renewal needs nothing but the file.
	files.issue("shop.pem", securetest.Leaf{Names: []string{"shop.example"}, Serial: 1002})
	serial := func() string {
		c := visitor(t, secured, &tls.Config{RootCAs: files.ca.Pool()})
		res, _ := visit(t, c, "https://shop.example/")
		return res.TLS.PeerCertificates[0].SerialNumber.String()
	}
	s.eventually("new connections get the new certificate", func() bool { return serial() == "1002" })
	if res, _ := visit(t, client, "https://shop.example/"); res.TLS.PeerCertificates[0].SerialNumber.String() != "1001" {
		t.Error("the renewal has ended a connection")
	}

	// A bad one is told of.
	files.put("shop.pem", []byte("nothing"))
	s.eventually("the status tells of a bad file", func() bool { return len(s.certificates().Problems) == 1 })
	if got := serial(); got != "1002" {
		t.Errorf("with a bad file the certificate is %s", got)
	}
	out, err := s.tandem("status")
	if err != nil || !strings.Contains(out, "NOT TAKEN UP") || !strings.Contains(out, "shop.example") {
		t.Errorf("status = %v, %s", err, out)
	}
	if _, err := s.tandem("reload"); err == nil || !strings.Contains(err.Error(), "shop.pem") {
		t.Errorf("reload with a bad file = %v", err)
	}
}

func TestClientsShowCertificates(t *testing.T) {
	files := newShelf(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Client-Cert", "X-Client-Cert-Subject", "X-Client-Cert-Fingerprint", "X-Client-Verified"} {
			fmt.Fprintf(w, "%s\n", r.Header.Get(name))
		}
	}))
	t.Cleanup(web.Close)
	certificate, ca := files.issue("shop.pem", securetest.Leaf{Names: []string{"shop.example"}}), files.put("ca.pem", files.ca.PEM())
	crl := files.put("ca.crl", files.ca.Revoke(t, time.Now().Add(time.Hour), 13))
	secured := reservePort(t)
	s := runSingle(t, func(address string) string {
		return fmt.Sprintf(`
listeners:
  alive: {bind: %q, routes: {respond: 200}}
  shop:
    bind: %q
    tls: {cert: %s, client_ca: %s, client_auth: optional, client_crl: %s}
    servers: %s
`, address, secured, certificate, ca, crl, web.Listener.Addr())
	})
	with := func(l *securetest.Leaf) *http.Client {
		config := &tls.Config{RootCAs: files.ca.Pool()}
		if l != nil {
			config.Certificates = []tls.Certificate{files.ca.Issue(t, *l).Certificate(t)}
		}
		return visitor(t, secured, config)
	}
	if _, body := visit(t, with(nil), "https://shop.example/", "Client-Cert", ":AAAA:", "X-Client-Verified", "true"); strings.TrimSpace(body) != "" {
		t.Errorf("without a certificate the server is told %q", body)
	}
	_, body := visit(t, with(&securetest.Leaf{Subject: "partner"}), "https://shop.example/", "X-Client-Cert-Subject", "CN=boss")
	told := strings.Split(body, "\n")
	der, err := base64.StdEncoding.DecodeString(strings.Trim(told[0], ":"))
	if err != nil {
		t.Fatalf("Client-Cert = %q: %v", told[0], err)
	}
	if c, err := x509.ParseCertificate(der); err != nil || c.Subject.CommonName != "partner" {
		t.Errorf("Client-Cert is that of %v (%v)", c.Subject, err)
	}
	if told[1] != "CN=partner" || len(told[2]) != 64 || told[3] != "true" {
		t.Errorf("the server is told %q", told)
	}
	if res, err := with(&securetest.Leaf{Subject: "thief", Serial: 13}).Get("https://shop.example/"); err == nil {
		t.Errorf("a revoked certificate gets %s", res.Status)
	}
	// Another list takes the place of the old one by itself.
	good := &securetest.Leaf{Subject: "partner", Serial: 14}
	visit(t, with(good), "https://shop.example/")
	files.put("ca.crl", files.ca.Revoke(t, time.Now().Add(time.Hour), 13, 14))
	s.eventually("the new list is used", func() bool {
		res, err := with(good).Get("https://shop.example/")
		if err == nil {
			res.Body.Close()
		}
		return err != nil
	})
}
