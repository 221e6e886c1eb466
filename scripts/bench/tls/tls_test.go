package main

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

// serve serves TLS until the end of the test, and returns its address.
func serve(t *testing.T, change func(*tls.Config)) string {
	t.Helper()
	f, err := side.Certify(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(f.Both, f.Both)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	change(config)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_ = web.ServeConn(tls.Server(c, config), web.Answers())
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

func TestHandshakesAreOfTheirKind(t *testing.T) {
	address := serve(t, func(*tls.Config) {})
	if err := visit(address); err != nil {
		t.Error(err)
	}
	for _, resumed := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		n, err := handshakes(ctx, address, resumed)
		cancel()
		if err != nil || n == 0 {
			t.Errorf("resumed %v: %d handshakes, %v", resumed, n, err)
		}
	}
}

func TestHandshakesThatAreNotAsWantedFail(t *testing.T) {
	address := serve(t, func(c *tls.Config) { c.SessionTicketsDisabled = true })
	if _, err := handshakes(t.Context(), address, true); err == nil || !strings.Contains(err.Error(), "no ticket") {
		t.Errorf("error %v, want one about the ticket", err)
	}
	// Tickets that the server does not know any more.
	var keys byte
	address = serve(t, func(c *tls.Config) {
		own := c.Clone()
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			keys++
			next := own.Clone()
			next.SetSessionTicketKeys([][32]byte{{keys}})
			return next, nil
		}
	})
	config, err := resuming(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := handshake(address, config, true); err == nil || !strings.Contains(err.Error(), "resumed: false") {
		t.Errorf("error %v, want one about resumption", err)
	}
	address = serve(t, func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} })
	if err := visit(address); err == nil {
		t.Error("a server of another group is taken")
	}
}

func TestConnectionsAreKeptOpen(t *testing.T) {
	address := serve(t, func(*tls.Config) {})
	all, err := opened(t.Context(), address, 3)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d connections, %v", len(all), err)
	}
	for _, c := range all {
		if err := web.Get(c, make([]byte, 4<<10)); err != nil {
			t.Error(err)
		}
		c.NetConn().Close()
	}
}

func TestTable(t *testing.T) {
	b := &bench{figures: map[string][]figure{
		"p haproxy": {{10, 100}, {20, 200}, {12, 110}},
		"p tandem":  {{6, 300}},
	}}
	p := part{name: "p", unit: "us", all: []side.System{{Name: "haproxy"}, {Name: "tandem"}, {Name: "absent"}}}
	want := `system       us   lowest-highest   a second   ratio
───────   ─────   ──────────────   ────────   ─────
haproxy   12.00      10.00-20.00        110    1.00
tandem     6.00        6.00-6.00        300    0.50
`
	if got := b.table(p); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := b.table(part{name: "q", all: p.all}); got != "" {
		t.Errorf("of nothing: %s", got)
	}
}

func TestPartsHaveNames(t *testing.T) {
	if got := strings.Join(names(), " "); got != "keepalive-64 keepalive-512 handshake resumption idle telemetry" {
		t.Errorf("parts %s", got)
	}
}
