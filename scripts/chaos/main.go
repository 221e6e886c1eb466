// Chaos does random harm to a pair of nodes in network namespaces, under live traffic, and
// checks from outside that they keep their promises. A seed reproduces the schedule. It
// needs Linux and root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/load"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
	"github.com/tandemlb/tandem/scripts/chaos/stage"
)

// errBroken is that a promise was broken, which the report tells of.
var errBroken = errors.New("a promise was broken")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// flags are the command line.
type flags struct {
	length   time.Duration
	seed     uint64
	out      string
	binary   string
	only     string
	planOnly bool

	// What the program starts itself as.
	clients     string
	control     string
	echo        string
	hog         bool
	limit       int
	descriptors int
	ordinary    bool
	command     []string
}

func parse(args []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("chaos", flag.ContinueOnError)
	set.DurationVar(&f.length, "duration", 10*time.Minute, "how long to go on")
	set.Uint64Var(&f.seed, "seed", 0, "of the schedule; 0: a new one")
	set.StringVar(&f.out, "out", "", "directory for the report, the picture and the logs (default chaos-SEED)")
	set.StringVar(&f.binary, "tandem", "bin/tandem", "path of the tandem binary")
	set.StringVar(&f.only, "only", "", "do these kinds of faults alone, separated by commas: "+kinds())
	set.BoolVar(&f.planOnly, "plan", false, "print the schedule and do nothing")
	set.StringVar(&f.clients, "clients", "", "be the clients of this address (the program starts itself so)")
	set.StringVar(&f.control, "control", "", "the control that -clients compares with")
	set.StringVar(&f.echo, "echo", "", "be the control at this address (the program starts itself so)")
	set.BoolVar(&f.hog, "hog", false, "compute (the program starts itself so)")
	set.IntVar(&f.limit, "limit", 0, "limit the descriptors of this process (the program starts itself so)")
	set.IntVar(&f.descriptors, "descriptors", -1, "the limit that -limit sets")
	set.BoolVar(&f.ordinary, "ordinary", false, "run a command without real-time priority (the program starts others so)")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	f.command = set.Args()
	if set.NArg() > 0 && !f.ordinary {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if f.seed == 0 {
		f.seed = uint64(rand.Uint32())
	}
	if f.out == "" {
		f.out = fmt.Sprintf("chaos-%d", f.seed)
	}
	return f, nil
}

func kinds() string {
	var all []string
	for _, k := range plan.Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

// schedule is the plan that the flags ask for.
func (f flags) schedule() (plan.Plan, error) {
	p := plan.New(f.seed, f.length)
	if f.only == "" {
		return p, nil
	}
	var wanted []plan.Kind
	for _, name := range strings.Split(f.only, ",") {
		k := plan.Kind(strings.TrimSpace(name))
		if !slices.Contains(plan.Kinds(), k) {
			return p, fmt.Errorf("-only %q: no kind of fault is %q (hint: %s)", f.only, k, kinds())
		}
		wanted = append(wanted, k)
	}
	return p.Only(wanted...), nil
}

func run(ctx context.Context, args []string) error {
	f, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case f.clients != "":
		target, err := netip.ParseAddr(f.clients)
		if err != nil {
			return fmt.Errorf("-clients: %w", err)
		}
		control, err := netip.ParseAddrPort(f.control)
		if err != nil {
			return fmt.Errorf("-control: %w", err)
		}
		return load.Run(ctx, target, control, os.Stdout)
	case f.echo != "":
		address, err := netip.ParseAddrPort(f.echo)
		if err != nil {
			return fmt.Errorf("-echo: %w", err)
		}
		return load.Echo(ctx, address)
	case f.hog:
		stage.Hog()
		return nil
	case f.ordinary:
		return stage.BecomeOrdinary(f.command)
	case f.limit != 0:
		return stage.Limit(f.limit, f.descriptors)
	}
	p, err := f.schedule()
	if err != nil {
		return err
	}
	fmt.Printf("seed %d\n", f.seed)
	if f.planOnly {
		fmt.Print(p)
		return nil
	}
	return f.play(ctx, p)
}

// play plays a plan and writes the report.
func (f flags) play(ctx context.Context, p plan.Plan) error {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return fmt.Errorf("make the directory for the report: %w", err)
	}
	dir, err := workplace(f.binary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	record, err := playAt(ctx, p, dir)
	if err != nil {
		return err
	}
	if err := keepLogs(dir, f.out); err != nil {
		return err
	}
	text := record.Markdown("timeline.svg")
	err = errors.Join(
		os.WriteFile(filepath.Join(f.out, "report.md"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(f.out, "timeline.svg"), []byte(record.SVG()), 0o644))
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Printf("\n%s\nreport: %s\n", text, filepath.Join(f.out, "report.md"))
	if len(record.Violations) > 0 {
		return fmt.Errorf("%w: %d times; run it again with -seed %d", errBroken, len(record.Violations), p.Seed)
	}
	return nil
}

// workplace makes a directory that other users may look into, as the worker must,
// with copies of both programs.
func workplace(binary string) (string, error) {
	dir, err := os.MkdirTemp("", "tchaos-")
	if err != nil {
		return "", fmt.Errorf("make a directory to work in: %w", err)
	}
	err = errors.Join(os.Chmod(dir, 0o755), duplicate(binary, filepath.Join(dir, "tandem")), duplicate("/proc/self/exe", filepath.Join(dir, "chaos")))
	if err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("copy the programs (hint: make build): %w", err)
	}
	return dir, nil
}

func duplicate(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// keepLogs copies the logs of the nodes.
func keepLogs(dir, out string) error {
	for _, name := range []string{plan.LB1, plan.LB2} {
		text, err := os.ReadFile(filepath.Join(dir, name+".log"))
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name+".log"), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("keep the log of %s: %w", name, err)
		}
	}
	return nil
}
