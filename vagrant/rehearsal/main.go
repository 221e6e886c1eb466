// Rehearsal causes faults on the pair of virtual machines that `vagrant up` has
// started, one after another, and prints what a client felt of each, and who took over.
// It is started by ../failover-test.sh.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "failover-test:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("failover-test", flag.ContinueOnError)
	dir := flags.String("vagrant", ".", "the `folder` of the Vagrantfile")
	every := flags.Duration("every", 50*time.Millisecond, "from one request of the client to the next")
	prober := flags.String("probe", "", "the `file` with the prober, for the client")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "tandem-vagrant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)

	p := &pair{machines: machines{dir: *dir, sshConfig: filepath.Join(temporary, "ssh")}, every: *every, log: out}
	defer p.hangUp()
	if err := p.learn(ctx); err != nil {
		return err
	}
	if err := p.upload(ctx, client, *prober, "/usr/local/bin/probe"); err != nil {
		return fmt.Errorf("bring the prober to the client: %w", err)
	}
	var outcomes []outcome
	var errs []error
	for _, f := range chosen {
		o, err := p.rehearse(ctx, f)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.title, err))
		}
		outcomes = append(outcomes, o)
		if ctx.Err() != nil {
			break
		}
	}
	_, err = io.WriteString(out, "\n"+table(outcomes))
	return errors.Join(append(errs, err)...)
}

// choose returns the faults of these names, or all.
func choose(names []string) ([]fault, error) {
	all := faults()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []fault
	for _, name := range names {
		i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
		if i < 0 {
			var known []string
			for _, f := range all {
				known = append(known, f.name)
			}
			return nil, fmt.Errorf("%q is no rehearsal (hint: %s)", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// table lays out what came of the faults.
func table(outcomes []outcome) string {
	cells := [][]string{{"fault", "expected", "who served", "outage ms", "failed", "back ms", "failed"}}
	for _, o := range outcomes {
		row := []string{o.fault.title, o.fault.expected, "-", "-", "-", "-", "-"}
		switch {
		case o.skipped != "":
			row[2] = "not caused: it " + o.skipped
		case o.after == "":
			row[2] = "NOBODY TOOK OVER"
		default:
			row[2] = o.before + " → " + o.after
			row[3] = fmt.Sprint(o.fell.Outage.Milliseconds())
			row[4] = fmt.Sprintf("%d of %d", o.fell.Failed, o.fell.Requests)
			if o.finally != "" {
				row[2] += " → " + o.finally
				row[5] = fmt.Sprint(o.healed.Outage.Milliseconds())
				row[6] = fmt.Sprintf("%d of %d", o.healed.Failed, o.healed.Requests)
			}
		}
		cells = append(cells, row)
	}
	return report.Grid(cells, 3)
}
