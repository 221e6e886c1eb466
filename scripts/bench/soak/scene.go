package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// The ports of the pair, and of what it says of itself.
const (
	webPort, securePort, tcpPort, udpPort = 80, 443, 9000, 9053
	metricsPort                           = 9404
)

// pairConfig is that of both nodes. Whoever has the address keeps it, so that both carry
// the traffic for about half of the time. odd makes it another one, without a change of
// what clients get.
func pairConfig(f side.Files, odd bool) string {
	var nodes []string
	for _, n := range failover.Nodes() {
		nodes = append(nodes, fmt.Sprintf("%s: %s", n.Name, n.Addresses[0].Addr()))
	}
	servers := func(port int) string {
		var all []string
		for i, s := range failover.Servers() {
			weight := 1
			if odd && i == 0 {
				weight = 2
			}
			all = append(all, fmt.Sprintf("{address: %q, weight: %d}", netip.AddrPortFrom(s.Addresses[0].Addr(), uint16(port)), weight))
		}
		return strings.Join(all, ", ")
	}
	team, extra := "even", ""
	if odd {
		team, extra = "odd", "  extra: {bind: \":8081\", pool: web}\n"
	}
	return fmt.Sprintf(`nodes: {%s}
vips:
  main: {addresses: [%s], preempt: false}
listeners:
  web:
    bind: ":%d"
    routes:
      - {match: {path: /static}, pool: web, request_headers: {set: {x-team: %s}}}
      - pool: web
  secure:
    bind: ":%d"
    tls: {cert: %q, key: %q}
    pool: web
  echo: {bind: ":%d", protocol: tcp, pool: echo}
  questions: {bind: ":%d", protocol: udp, pool: questions, timeouts: {idle: 5s}}
%spools:
  web: {servers: [%s], check: GET /healthz, limits: {connections: 1000, queue: 500}}
  echo: {servers: [%s], check: tcp, drain: 5s}
  questions: {servers: [%s]}
metrics: {listen: ":%d"}
`, strings.Join(nodes, ", "), failover.VIP(), webPort, team, securePort, f.Cert, f.Key, tcpPort, udpPort, extra,
		servers(webPort), servers(tcpPort), servers(udpPort), metricsPort)
}

// A server is what stands behind the pair on one host, for all protocols.
type server struct {
	http   *http.Server
	cancel context.CancelFunc
	tcp    net.Listener
	udp    net.PacketConn
	tasks  sync.WaitGroup
}

// large is the body of an answer that takes more than one buffer.
var large = bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // 128 KiB

func serve(h *lab.Host, spec lab.HostSpec) (io.Closer, error) {
	address := func(port int) string { return netip.AddrPortFrom(spec.Addresses[0].Addr(), uint16(port)).String() }
	web, err := h.Listen("tcp", address(webPort))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{http: &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second}, cancel: cancel}
	if s.tcp, err = h.Listen("tcp", address(tcpPort)); err != nil {
		cancel()
		return nil, errors.Join(err, web.Close())
	}
	err = h.Do(func() error {
		s.udp, err = net.ListenPacket("udp", address(udpPort))
		return err
	})
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", spec.Name, err), web.Close(), s.tcp.Close())
	}
	s.tasks.Go(func() { _ = s.http.Serve(web) })                // until Close
	s.tasks.Go(func() { _ = side.Serve(ctx, s.tcp, sendBack) }) // until Close
	s.tasks.Go(s.answerDatagrams)
	return s, nil
}

// Close ends the server.
func (s *server) Close() error {
	s.cancel()
	err := errors.Join(s.http.Close(), s.udp.Close())
	s.tasks.Wait()
	return err
}

// answer answers requests: with what was sent, with much, or with little.
func answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the client has gone
		}
		fmt.Fprintf(w, "%d bytes", n)
	case strings.HasPrefix(r.URL.Path, "/static/large"):
		_, _ = w.Write(large) // to a client that may have gone
	default:
		_, _ = io.WriteString(w, "fine")
	}
}

func sendBack(c net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (s *server) answerDatagrams() {
	buf := make([]byte, 2<<10)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = s.udp.WriteTo(buf[:n], from) // or it is lost, as datagrams may be
		}
	}
}
