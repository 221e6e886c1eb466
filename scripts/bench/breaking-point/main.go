// Command breaking-point puts open loops of requests on HAProxy and Tandem, side by side
// on the loopback, at rates that go up until the proxy breaks: until one of a hundred
// requests takes too long, or fails. Then it puts twice as much on each as it can hold,
// and looks at what clients get, whether anything hangs, at memory, and at how soon all
// is well again. It writes a table and a picture.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

func main() { side.Main("breaking-point", run) }

// options are the flags.
type options struct {
	tandem   string
	only     string
	period   time.Duration
	limit    time.Duration
	failed   float64
	share    float64
	halves   int
	knee     float64
	svg      string
	markdown string
	docs     string
}

func run(ctx context.Context) error {
	var o options
	var names []string
	for _, l := range ladders() {
		names = append(names, l.name)
	}
	backend := flag.Bool("backend", false, "be the server behind the proxies, on descriptor 3 (the bench starts itself so)")
	burner := flag.Bool("burn", false, "keep the processor from the proxies (the bench starts itself so)")
	flag.StringVar(&o.tandem, "tandem", "tandem", "the binary to measure")
	flag.StringVar(&o.only, "only", "", "ladders, separated by commas, of "+strings.Join(names, ", ")+"; all without")
	flag.DurationVar(&o.period, "period", 2*time.Second, "of a step, 100ms to 1m")
	flag.DurationVar(&o.limit, "p99", 100*time.Millisecond, "latency that one of a hundred requests may exceed; beyond it a rate has broken the proxy")
	flag.Float64Var(&o.failed, "failed", 0.01, "share of the requests that may fail; beyond it a rate has broken the proxy")
	flag.Float64Var(&o.share, "share", 0.4, "share of a processor that a proxy has, more than 0 to 1")
	flag.IntVar(&o.halves, "halves", 3, "how often the distance between what holds and what breaks is halved, 0 to 10")
	flag.Float64Var(&o.knee, "knee", 0, "rate that both are taken to hold: nothing is looked for, and the overload alone is measured")
	flag.StringVar(&o.svg, "svg", "", "file for the picture")
	flag.StringVar(&o.docs, "docs", "", "page of the documentation whose table is to be replaced")
	flag.StringVar(&o.markdown, "markdown", "", "file for the tables")
	flag.Parse()
	switch {
	case *backend:
		return runBackend(ctx)
	case *burner:
		return burn(ctx, o.share)
	case o.period < 100*time.Millisecond || o.period > time.Minute:
		return fmt.Errorf("-period %s: want 100ms to 1m", o.period)
	case o.share <= 0 || o.share > 1:
		return fmt.Errorf("-share %g: want more than 0, and at most 1", o.share)
	case o.halves < 0 || o.halves > 10:
		return fmt.Errorf("-halves %d: want 0 to 10", o.halves)
	case runtime.NumCPU() > 1:
		// Client and server would be in the proxy's way.
		return fmt.Errorf("it may run on %d processors: want one, beside that of the proxies (hint: scripts/bench/breaking-point.sh sees to it)", runtime.NumCPU())
	}
	what := slices.DeleteFunc(ladders(), func(l ladder) bool {
		return o.only != "" && !slices.Contains(strings.Split(o.only, ","), l.name)
	})
	if len(what) == 0 {
		return fmt.Errorf("-only %q: want some of %s", o.only, strings.Join(names, ", "))
	}
	return o.bench(ctx, what)
}

func (o options) bench(ctx context.Context, what []ladder) (err error) {
	// The loop is one thread, which waits in the kernel; handshakes have others.
	runtime.GOMAXPROCS(4)
	if _, err := side.RaiseFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "breaking-point-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := side.Certify(dir)
	if err != nil {
		return err
	}
	a := &arena{bound: bound{o.limit, o.failed}, warm: 400 * time.Millisecond, period: o.period}
	var end func()
	if a.backend, a.backendPID, end, err = side.Backend(); err != nil {
		return err
	}
	defer end()
	endBurning, err := startBurning(proxyCPU, o.share)
	if err != nil {
		return err
	}
	defer endBurning()
	var all []climb
	for _, l := range what {
		c, err := o.climb(ctx, a, l, files)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		all = append(all, c)
	}
	return o.write(all)
}
