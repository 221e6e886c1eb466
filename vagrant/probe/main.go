// Probe asks the pair from the client: a new connection and a request every EVERY,
// whatever becomes of earlier ones. It writes samples to standard output, for the
// rehearsal to read, and ends by SIGTERM or when nobody reads any more.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	target := flags.String("target", "192.168.56.10:80", "`address` and port of the pair")
	every := flags.Duration("every", 50*time.Millisecond, "from one request to the next")
	within := flags.Duration("dial", 800*time.Millisecond, "how long a connection may take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(*target)
	if err != nil {
		return fmt.Errorf("-target: %w", err)
	}
	if *every <= 0 || *within <= 0 {
		return fmt.Errorf("-every %s, -dial %s: must be above zero", *every, *within)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return probe.Prober{Target: address, Every: *every, DialWithin: *within}.Run(ctx, os.Stdout)
}
