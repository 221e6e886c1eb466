// Command tls compares what TLS costs Tandem and HAProxy, side by side on the loopback:
// the CPU time for requests, full and resumed handshakes, the memory of idle connections;
// what log and metrics cost Tandem; and whether clients resume after a failover.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

func main() { side.Main("tls", run) }

func run(ctx context.Context) (err error) {
	binary := flag.String("tandem", "tandem", "the binary to measure")
	rounds := flag.Int("rounds", 5, "how often everything is measured")
	seconds := flag.Int("seconds", 5, "of each measurement")
	idle := flag.Int("idle", 3000, "how many connections share the memory that they take")
	only := flag.String("only", "", "parts, separated by commas; all without: "+strings.Join(names(), ", ")+", "+failoverName)
	returning := flag.Int("clients", 200, "how many clients come back after the failover")
	backend := flag.Bool("backend", false, "be the server behind the proxies, on descriptor 3")
	flag.Parse()
	if *backend {
		return web.RunBackend(ctx)
	}
	if *idle > maxConnections {
		return fmt.Errorf("-idle %d: want %d at most", *idle, maxConnections)
	}
	if *rounds < 1 || *seconds < 1 || *idle < 1 || *returning < 1 {
		return errors.New("-rounds, -seconds, -idle, -clients: want 1 or more")
	}
	wanted := func(name string) bool { return *only == "" || slices.Contains(strings.Split(*only, ","), name) }
	if _, err := side.RaiseFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-tls-")
	if err != nil {
		return fmt.Errorf("make a folder for the certificate: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := side.Certify(dir)
	if err != nil {
		return err
	}
	address, _, end, err := side.Backend()
	if err != nil {
		return err
	}
	defer end()
	b := &bench{backend: address, dir: dir, seconds: *seconds, idle: *idle, figures: map[string][]figure{}}
	what := slices.DeleteFunc(parts(*binary, f), func(p part) bool { return !wanted(p.name) })
	errs := []error{b.compare(ctx, what, *rounds)}
	b.print(what)
	if wanted(failoverName) && ctx.Err() == nil {
		errs = append(errs, failoverRounds(ctx, *binary, dir, f, rounded{*rounds, *returning}))
	}
	return errors.Join(errs...)
}
