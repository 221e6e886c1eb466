// Udp compares how Tandem and nginx forward datagrams, side by side on the loopback:
// packets in each second, and the CPU time of the process that they go through, which
// is the worker of both. Load, proxy and server share the machine, so rates compare the
// systems with each other and nothing else. scripts/bench/udp.sh installs what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

func main() { side.Main("udp", run) }

// options are the flags.
type options struct {
	tandem  string
	rounds  int
	seconds int
	only    string
	systems string
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.tandem, "tandem", "tandem", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement, 1 to 100")
	flag.IntVar(&o.seconds, "seconds", 3, "for how long a measurement is, 1 to 600")
	flag.StringVar(&o.only, "only", "", "measure the scenarios whose name this regular expression matches alone")
	flag.StringVar(&o.systems, "systems", "nginx,tandem", "systems to measure, separated by commas")
	backend := flag.Bool("backend", false, "be the server behind the proxies, on descriptor 3 (the bench starts itself so)")
	flag.Parse()
	if *backend {
		c, err := net.FilePacketConn(os.NewFile(3, "socket"))
		if err != nil {
			return fmt.Errorf("listen on descriptor 3: %w", err)
		}
		defer c.Close()
		return echo(ctx, c.(*net.UDPConn))
	}
	what, names, err := o.choose()
	if err != nil {
		return err
	}
	address, end, err := startBackend()
	if err != nil {
		return err
	}
	defer end()
	list, err := o.compare(ctx, address, what, names)
	if len(list) > 0 {
		for _, sc := range what {
			fmt.Printf("%s: %s\n", sc.name, sc.what)
		}
		fmt.Print("\n", table(list, what, names), "\nMedians [lowest-highest]. An exchange is two packets of 64 bytes.\n")
	}
	return err
}

// choose returns the scenarios and systems that are asked for.
func (o options) choose() (what []scenario, names []string, err error) {
	if o.rounds < 1 || o.rounds > 100 {
		return nil, nil, fmt.Errorf("-rounds %d: want 1 to 100", o.rounds)
	}
	if o.seconds < 1 || o.seconds > 600 {
		return nil, nil, fmt.Errorf("-seconds %d: want 1 to 600", o.seconds)
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, nil, fmt.Errorf("-only %q: %w", o.only, err)
	}
	what = slices.DeleteFunc(scenarios(), func(s scenario) bool { return !only.MatchString(s.name) })
	if len(what) == 0 {
		return nil, nil, fmt.Errorf("-only %q: no scenario has such a name", o.only)
	}
	names = strings.Split(o.systems, ",")
	for _, name := range names {
		if !slices.ContainsFunc(systems(o.tandem, false), func(s side.System) bool { return s.Name == name }) {
			return nil, nil, fmt.Errorf("-systems %q: %q is neither nginx nor tandem", o.systems, name)
		}
	}
	return what, names, nil
}

// compare measures the scenarios with the systems, round after round. What was measured
// is returned also when some of it went wrong.
func (o options) compare(ctx context.Context, backend string, what []scenario, names []string) (list []measurement, err error) {
	var errs []error
	for round := range o.rounds {
		for at, sc := range what {
			all := slices.DeleteFunc(systems(o.tandem, sc.once), func(s side.System) bool { return !slices.Contains(names, s.Name) })
			if (round+at)%2 == 1 { // they take turns in going first
				slices.Reverse(all)
			}
			for _, s := range all {
				m, err := o.measure(ctx, s, sc, backend)
				if ctx.Err() != nil {
					return list, errors.New("interrupted")
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("round %d, %s with %s: %w", round+1, sc.name, s.Name, err))
					continue
				}
				list = append(list, m)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s with %s: %d exchanges, %d lost\n",
					round+1, o.rounds, sc.name, s.Name, m.moved.answered, m.moved.lost())
			}
		}
	}
	return list, errors.Join(errs...)
}

// measure takes a fresh instance of the system through the scenario.
func (o options) measure(ctx context.Context, s side.System, sc scenario, backend string) (m measurement, err error) {
	m.scenario, m.system = sc.name, s.Name
	i, err := s.Begin(backend, visit)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, i.Stop()) }()
	before, err := lab.CPUTime(i.Worker)
	if err != nil {
		return m, err
	}
	loaded, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second)
	defer cancel()
	m.moved, err = sc.load(loaded, i.Listen)
	after, errCPU := lab.CPUTime(i.Worker)
	m.cpu = after - before
	if err := errors.Join(err, errCPU); err != nil {
		return m, err
	}
	if m.moved.answered == 0 {
		return m, fmt.Errorf("none of %d packets was answered", m.moved.sent)
	}
	return m, nil
}

// startBackend starts the server behind the proxies.
func startBackend() (address string, end func(), err error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", nil, fmt.Errorf("listen for the backend: %w", err)
	}
	defer c.Close()
	f, err := c.File()
	if err != nil {
		return "", nil, fmt.Errorf("hand over the backend's socket: %w", err)
	}
	defer f.Close()
	_, end, err = side.Behind(f)
	return c.LocalAddr().String(), end, err
}
