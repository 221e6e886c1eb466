package main

import "github.com/tandemlb/tandem/scripts/bench/side"

// systems returns the proxies to compare.
func systems(tandem string) []side.System {
	return []side.System{
		{Name: "haproxy", Network: "tcp", Config: `global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option splice-auto
frontend in
  bind LISTEN
  default_backend out
backend out
  server a BACKEND
`, Args: func(c string) []string { return []string{"haproxy", "-db", "-f", c} }, Worker: side.Itself},
		{Name: "tandem", Network: "tcp", Config: `listeners:
  in: {bind: "LISTEN", protocol: tcp, pool: out}
pools:
  out: {servers: ["BACKEND"]}
admin: {socket: "DIR/admin.sock"}
`, Args: func(c string) []string { return []string{tandem, "run", "-c", c} }, Worker: side.Tandem(tandem)},
	}
}
