package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/tandemlb/tandem/internal/supervisor"
	"github.com/tandemlb/tandem/internal/telemetry"
)

type runCmd struct {
	Config  string `short:"c" placeholder:"FILE" default:"${config}" help:"Config file, the same on both nodes."`
	Node    string `placeholder:"NAME" help:"Which node of the config this is. Default: the one whose address this host has."`
	Socket  string `placeholder:"PATH" help:"Admin socket, instead of the config's."`
	Example bool   `help:"Run a small example instead of a config: a proxy on 127.0.0.1:8080 before two built-in servers. Needs no root."`
}

func (runCmd) Help() string {
	return `Example:

  tandem run -c /etc/tandem/tandem.yaml

SIGHUP loads the config again; SIGTERM hands the VIP over, lets connections
finish, and ends. Logs are JSON lines on standard error.`
}

// Run runs a node until it is told to stop.
func (c *runCmd) Run(ctx context.Context, o output) error {
	if c.Example {
		path, end, err := example(o)
		if err != nil {
			return err
		}
		defer end()
		c.Config = path
	}
	log, level, err := telemetry.NewLogger(o.err, "info")
	if err != nil {
		return err
	}
	return supervisor.Run(ctx, supervisor.Options{
		ConfigPath: c.Config, Node: c.Node, Socket: c.Socket, UserSocket: defaultSocket(),
		Version: version, Log: log, Level: level, ReloadC: hangups(ctx),
	})
}

// hangups delivers each SIGHUP, until ctx is done.
func hangups(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}

// example starts two servers and writes a config for a proxy before them.
func example(o output) (path string, end func(), err error) {
	dir, err := os.MkdirTemp("", "tandem-example-")
	if err != nil {
		return "", nil, err
	}
	var servers []*http.Server
	end = func() {
		for _, s := range servers {
			s.Close()
		}
		os.RemoveAll(dir)
	}
	var addresses []string
	for _, name := range []string{"one", "two"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			end()
			return "", nil, err
		}
		addresses = append(addresses, l.Addr().String())
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "Hello from server %s: %s %s\n", name, r.Method, r.URL.Path)
		})}
		servers = append(servers, s)
		go s.Serve(l)
	}
	text := fmt.Sprintf("listeners:\n  hello: {bind: \"127.0.0.1:8080\", servers: [%s, %s], check: GET /}\n", addresses[0], addresses[1])
	path = filepath.Join(dir, "tandem.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		end()
		return "", nil, err
	}
	fmt.Fprintf(o.out, `The config, %s:

%s
Two built-in servers answer behind it. In another terminal:

  for i in 1 2 3 4; do curl http://127.0.0.1:8080/; done
  tandem status

Ctrl-C ends it.

`, path, text)
	return path, end, nil
}
