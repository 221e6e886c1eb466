package main

import (
	"fmt"
	"strings"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// proxyCPU is the processor of the proxies. Client and server have another one, which
// scripts/bench/breaking-point.sh gives them.
const proxyCPU = 0

// mostPerClient is how many connections an operator lets one client have.
const mostPerClient = 100

// haproxy is HAProxy with the limits, for the ladder.
func haproxy(l ladder, f side.Files) side.System {
	var b strings.Builder
	mode, bind := "tcp", "LISTEN"
	if l.http {
		mode = "http"
	}
	if l.tls {
		bind = "LISTEN ssl crt " + f.Both + " curves X25519"
	}
	fmt.Fprintf(&b, `global
  nbthread 1
  maxconn %[4]d
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.pool-high-fd-ratio 95
  tune.pool-low-fd-ratio 90
defaults
  mode %[1]s
  maxconn %[4]d
  timeout connect 2s
  timeout client 75s
  timeout server 30s
frontend in
  bind %[2]s
  maxconn %[3]d
  default_backend out
backend out
`, mode, bind, l.limit, mostOpen)
	if l.http {
		b.WriteString("  option forwardfor\n  http-reuse always\n  server a BACKEND pool-max-conn -1 pool-purge-delay 75s\n")
	} else {
		b.WriteString("  server a BACKEND\n")
	}
	return side.System{Name: "haproxy", Network: "tcp", Config: b.String(), Worker: side.Itself, Args: pinned("haproxy", "-db", "-f")}
}

// tandem is Tandem with the limits, for the ladder. A rate, if it is not 0, is what the
// listener takes in a second.
func tandem(l ladder, f side.Files, binary string, rate float64) side.System {
	var b strings.Builder
	b.WriteString("listeners:\n  in:\n    bind: \"LISTEN\"\n")
	fmt.Fprintf(&b, "    limits: {connections: %d, connections_per_client: %d", l.limit, mostPerClient)
	if l.shakes() && rate > 0 {
		fmt.Fprintf(&b, ", handshakes: %.0f", rate)
	}
	b.WriteString("}\n")
	if l.tls {
		fmt.Fprintf(&b, "    tls: {cert: %s, key: %s}\n", f.Cert, f.Key)
	}
	if l.http {
		b.WriteString("    timeouts: {idle: 75s}\n    routes:\n      - pool: out\n")
		if rate > 0 && !l.shakes() {
			fmt.Fprintf(&b, "        rate_limit: {requests: %.0f, burst: %.0f, by: listener}\n", rate, rate/10)
		}
	} else {
		b.WriteString("    protocol: tcp\n    pool: out\n")
	}
	b.WriteString("pools:\n  out: {servers: [\"BACKEND\"]}\nlog: {access: false}\nadmin: {socket: \"DIR/admin.sock\"}\n")
	name := "tandem"
	if rate > 0 {
		name = "tandem, rate limit"
	}
	return side.System{Name: name, Network: "tcp", Config: b.String(), Worker: side.Tandem(binary), Args: pinned(binary, "run", "-c")}
}

// pinned returns the command line that ends with the config, on the processor of the
// proxies.
func pinned(words ...string) func(config string) []string {
	return func(config string) []string {
		return append(append([]string{"taskset", "-c", fmt.Sprint(proxyCPU)}, words...), config)
	}
}
