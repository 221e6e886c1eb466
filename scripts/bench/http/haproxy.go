package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// haproxyConfig is HAProxy as a user would have it for production: a forwarding
// header, an access log to a file, counters and their socket. So many idle
// connections to the server may stay open that none is closed during a measurement:
// with the default ratios and a low limit of descriptors it would be, which triples
// the cost of a request. reuse is how it shares connections to the server: with safe,
// its default, the first request of each client goes over a new one.
func haproxyConfig(s site, reuse string) string {
	return fmt.Sprintf(`global
  nbthread %d
  maxconn %d
  log stdout format raw local0 info
  stats socket %s mode 600
  tune.pool-high-fd-ratio 95
  tune.pool-low-fd-ratio 90
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 2s
  timeout client 60s
  timeout server 30s
  timeout http-keep-alive 75s
  timeout tunnel 1h
frontend web
  bind %s
  maxconn %d
  default_backend web
backend web
  balance roundrobin
  http-reuse %s
  server a %s pool-max-conn -1 pool-purge-delay 75s
`, s.threads, maxConnections(s.files), s.path("stats"), s.listen, maxConnections(s.files), reuse, s.backend)
}

// maxConnections is how many connections, each with one to a server, a process may
// have that needs some descriptors for itself.
func maxConnections(files int) int { return min(20000, (files-200)/2) }

// haproxy starts it; see haproxyConfig.
type haproxy struct{ reuse string }

func (h haproxy) start(ctx context.Context, s site) (*instance, error) {
	if err := os.WriteFile(s.path("haproxy.cfg"), []byte(haproxyConfig(s, h.reuse)), 0o644); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	p, err := launch(exec.Command("haproxy", "-db", "-f", s.path("haproxy.cfg")), s.path("log"))
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, s, p); err != nil {
		return nil, err
	}
	return &instance{site: s, main: p, proxies: []int{p.pid()}}, nil
}
