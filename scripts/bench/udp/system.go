package main

import (
	"context"
	"os"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// A scenario is one kind of load.
type scenario struct {
	name, what string
	once       bool // each client has one question
	load       func(ctx context.Context, address string) (moved, error)
}

func scenarios() []scenario {
	return []scenario{
		{"1-client", "one client with 128 packets on their way", false, stream(1)},
		{"16-clients", "16 clients with 8 packets each", false, stream(16)},
		{"256-clients", "256 clients with one packet each", false, stream(256)},
		{"questions", "one question of each client, 32 at a time: every packet of a client begins a session, which nginx ends " +
			"with the answer and Tandem after a tenth of a second", true, questions},
	}
}

// nginxConfig is nginx with what Tandem does, in the module of Debian's package. Tandem
// asks for as large a receive buffer by itself.
func nginxConfig(root, once bool) string {
	user, responses := "", ""
	if root { // its worker would otherwise be another user's
		user = "user root;\n"
	}
	if once {
		responses = "    proxy_responses 1;\n"
	}
	return user + `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
pid DIR/pid;
error_log stderr error;
events { worker_connections 16384; }
stream {
  upstream out { server BACKEND; }
  server {
    listen LISTEN udp rcvbuf=4m;
    proxy_pass out;
    proxy_timeout 30s;
` + responses + `  }
}
`
}

// tandemConfig has the shortest time of silence for questions: there is no key that
// ends a session with the answer.
func tandemConfig(once bool) string {
	idle := "30s"
	if once {
		idle = "100ms"
	}
	return `listeners:
  in: {bind: "LISTEN", protocol: udp, pool: out, timeouts: {idle: ` + idle + `}}
pools:
  out: {servers: ["BACKEND"]}
admin: {socket: "DIR/admin.sock"}
`
}

// systems returns the proxies to compare.
func systems(tandem string, once bool) []side.System {
	return []side.System{
		{
			Name: "nginx", Network: "udp", Config: nginxConfig(os.Geteuid() == 0, once),
			Args:   func(c string) []string { return []string{"nginx", "-e", "stderr", "-c", c} },
			Worker: side.Child,
		},
		{
			Name: "tandem", Network: "udp", Config: tandemConfig(once),
			Args:   func(c string) []string { return []string{tandem, "run", "-c", c} },
			Worker: side.Tandem(tandem),
		},
	}
}
