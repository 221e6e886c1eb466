// Command l4 compares how Tandem and HAProxy carry TCP, side by side on the loopback:
// the CPU time of the proxy for what it has moved.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

func main() { side.Main("l4", run) }

func run(ctx context.Context) error {
	tandem := flag.String("tandem", "tandem", "the binary to measure")
	rounds := flag.Int("rounds", 5, "how often everything is measured")
	seconds := flag.Int("seconds", 5, "of each measurement")
	only := flag.String("only", "", "scenarios, separated by commas; all without")
	backend := flag.Bool("backend", false, "be the server behind the proxies, on descriptor 3")
	flag.Parse()
	if *backend {
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			return fmt.Errorf("listen on descriptor 3: %w", err)
		}
		return serve(ctx, l)
	}
	address, _, end, err := side.Backend()
	if err != nil {
		return err
	}
	defer end()
	b := bench{backend: address, seconds: *seconds, figures: make(map[string][]figure)}
	what := slices.DeleteFunc(scenarios(), func(s scenario) bool {
		return *only != "" && !slices.Contains(strings.Split(*only, ","), s.name)
	})
	var errs []error
	for round := range *rounds {
		for at, sc := range what {
			all := systems(*tandem)
			if (round+at)%2 == 1 { // they take turns in going first
				slices.Reverse(all)
			}
			for _, s := range all {
				if err := b.measure(ctx, s, sc); err != nil {
					errs = append(errs, fmt.Errorf("round %d, %s with %s: %w", round+1, sc.name, s.Name, err))
				}
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
			}
		}
	}
	b.print(what, systems(*tandem))
	return errors.Join(errs...)
}

// figure is one measurement.
type figure struct{ cpu, rate float64 } // milliseconds for each unit, units a second

type bench struct {
	backend string
	seconds int
	figures map[string][]figure // by scenario and system
}

func (b *bench) measure(ctx context.Context, s side.System, sc scenario) (err error) {
	i, err := s.Begin(b.backend, func(address string) error { return visit(address, make([]byte, messageSize)) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Stop()) }()
	before, err := lab.CPUTime(i.Worker)
	if err != nil {
		return err
	}
	began := time.Now()
	loaded, cancel := context.WithTimeout(ctx, time.Duration(b.seconds)*time.Second)
	defer cancel()
	n, err := sc.run(loaded, i.Listen)
	took := time.Since(began).Seconds()
	after, errCPU := lab.CPUTime(i.Worker)
	if err := errors.Join(err, errCPU); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("nothing was moved")
	}
	units := float64(n) / sc.per
	key := sc.name + " " + s.Name
	b.figures[key] = append(b.figures[key], figure{float64((after - before).Microseconds()) / 1e3 / units, units / took})
	return nil
}

// print prints the medians of the rounds, and their ratio.
func (b *bench) print(what []scenario, all []side.System) {
	for _, sc := range what {
		var medians []float64
		for _, s := range all {
			var cpu, rate []float64
			for _, f := range b.figures[sc.name+" "+s.Name] {
				cpu, rate = append(cpu, f.cpu), append(rate, f.rate)
			}
			if len(cpu) == 0 {
				continue
			}
			c := report.SpreadOf(cpu)
			medians = append(medians, c.Median)
			fmt.Printf("%-9s %-8s %9.2f ms CPU for each %s, %9.2f a second\n", sc.name, s.Name, c.Median, sc.unit, report.SpreadOf(rate).Median)
		}
		if len(medians) == len(all) {
			fmt.Printf("%-9s tandem has %.2fx the CPU time of haproxy\n", sc.name, medians[1]/medians[0])
		}
	}
}
