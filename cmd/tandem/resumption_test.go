package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// visit asks the VIP once over a new connection, and says whether that resumed.
func (p *pair) visit(c *tls.Config) (resumed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	raw, err := p.Lab.Host(failover.Client).DialContext(ctx, "tcp", netip.AddrPortFrom(failover.VIP().Addr(), 443).String())
	if err != nil {
		return false, err
	}
	defer raw.Close()
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.ServerName); err != nil {
		return false, err
	}
	// A ticket of TLS 1.3 comes with the answer.
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("status %s", resp.Status)
	}
	return conn.ConnectionState().DidResume, nil
}

// A client that comes back after a failover resumes its session at the other node,
// and at the first one when that was started anew.
func TestSessionsSurviveAFailover(t *testing.T) {
	dir := t.TempDir()
	authority := securetest.New(t, "root")
	pairOfFiles := authority.Issue(t, securetest.Leaf{Names: []string{"shop.example"}})
	for name, text := range map[string][]byte{"cluster.key": []byte(peer.NewKey()), "cert.pem": pairOfFiles.Cert, "key.pem": pairOfFiles.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var servers []string
	for _, s := range failover.Servers() {
		servers = append(servers, fmt.Sprintf("%q", netip.AddrPortFrom(s.Addresses[0].Addr(), 80)))
	}
	p := startPair(t, quickConfig()+fmt.Sprintf("  shop: {bind: \":443\", tls: {cert: %s/cert.pem, key: %s/key.pem}, servers: [%s], check: GET /}\ncluster: {key_file: %s/cluster.key}\n",
		dir, dir, strings.Join(servers, ", "), dir))
	p.sameTickets(nil)

	clients := map[string]*tls.Config{}
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		clients[name] = &tls.Config{RootCAs: authority.Pool(), ServerName: "shop.example", MinVersion: version, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	}
	visit := func(when string, want bool) {
		t.Helper()
		for name, c := range clients {
			if resumed, err := p.visit(c); err != nil || resumed != want {
				t.Errorf("%s, %s: resumed %v, %v", when, name, resumed, err)
			}
		}
	}
	visit("at first", false)
	visit("again", true)
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	p.lb1.waitGone(leaseEnds)
	p.expectOwner(p.lb2, patience)
	visit("at lb2", true)

	p.lb1.start()
	p.settle()
	p.expectOwner(p.lb1, patience)
	p.sameTickets(nil)
	visit("at lb1 again", true)
}
