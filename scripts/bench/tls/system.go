package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// extras are what a system does beside carrying the traffic.
type extras struct{ accessLog, metrics bool }

// maxConnections is how many connections, each with one to a server, HAProxy may have: with
// what it needs for itself, it asks for no more descriptors than any user may have it.
const maxConnections = 8000

// haproxy is HAProxy as a user would have it for production. So many idle connections to
// the server may stay open that none is closed during a measurement. It has one suite and
// one group, those that Tandem chooses by itself, for both to do the same arithmetic.
func haproxy(name string, f side.Files, e extras) side.System {
	log := ""
	if e.accessLog {
		log = "  log global\n  option httplog\n"
	}
	return side.System{
		Name: name, Network: "tcp", Worker: side.Itself, Args: command(e, "haproxy", "-db", "-f"),
		Config: fmt.Sprintf(`global
  nbthread 1
  maxconn %d
  log stdout format raw local0 info
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.pool-high-fd-ratio 95
  tune.pool-low-fd-ratio 90
defaults
  mode http
%s  option forwardfor
  timeout connect 2s
  timeout client 75s
  timeout server 30s
  timeout http-keep-alive 75s
frontend web
  bind LISTEN ssl crt %s curves X25519
  default_backend web
backend web
  server a BACKEND pool-max-conn -1 pool-purge-delay 75s
`, maxConnections, log, f.Both),
	}
}

// tandem is Tandem with what the other has.
func tandem(name, binary string, f side.Files, e extras) side.System {
	var more strings.Builder
	fmt.Fprintf(&more, "log: {access: %v}\n", e.accessLog)
	if e.metrics {
		fmt.Fprintf(&more, "metrics: {listen: %q}\n", metricsAddress)
	}
	return side.System{
		Name: name, Network: "tcp", Worker: side.Tandem(binary), Args: command(e, binary, "run", "-c"),
		Config: fmt.Sprintf(`listeners:
  web:
    bind: "LISTEN"
    pool: web
    tls: {certificates: [{cert: %s, key: %s}]}
    timeouts: {idle: 75s}
pools:
  web: {servers: ["BACKEND"]}
admin: {socket: "DIR/admin.sock"}
%s`, f.Cert, f.Key, &more),
	}
}

// command returns the command line that ends with the config. An access log goes to a file
// beside that: as it would be read by somebody else, and not by the bench.
func command(e extras, words ...string) func(config string) []string {
	return func(config string) []string {
		all := append(slices.Clone(words), config)
		if !e.accessLog {
			return all
		}
		script := fmt.Sprintf(`exec "$@" >%s 2>&1`, filepath.Join(filepath.Dir(config), "log"))
		return append([]string{"sh", "-c", script, "sh"}, all...)
	}
}
