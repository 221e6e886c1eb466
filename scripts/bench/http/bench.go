package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// A bench is the comparison under way.
type bench struct {
	dir     string // for everything that is not to stay
	backend string // address and port
	seconds int    // of a measurement
	files   int    // descriptors a process may have
	rate    float64
	all     []system
	list    []measurement
}

// newBench makes the folder and starts the backend.
func newBench(ctx context.Context, all []system, seconds int) (b *bench, backend *process, err error) {
	files, err := side.RaiseFiles()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "bench-http-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder for configs and logs: %w", err)
	}
	b = &bench{dir: dir, seconds: seconds, files: files, all: all}
	if backend, err = b.startBackend(ctx); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, backend, nil
}

// startBackend starts this program anew as the server behind all systems, on a
// listener that it inherits, so that nobody can take its port in between.
func (b *bench) startBackend(ctx context.Context) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the backend: %w", err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, fmt.Errorf("hand over the backend's listener: %w", err)
	}
	defer f.Close()
	b.backend = l.Addr().String()
	cmd := exec.Command("/proc/self/exe", "-backend")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // one processor is left for the load
	s := site{dir: b.dir, listen: b.backend}
	p, err := launch(cmd, s.path("log"))
	if err != nil {
		return nil, err
	}
	return p, ready(ctx, s, p)
}

// compare measures the scenarios with the systems, round after round. What was
// measured stays in the list also when some of it went wrong.
func (b *bench) compare(ctx context.Context, chosen []system, what []scenario, rounds int) error {
	var errs []error
	for round := range rounds {
		for at, sc := range what {
			// The systems take turns in going first, so that what one leaves behind,
			// or a change in the machine's temper, meets all of them.
			for _, s := range rotated(chosen, round+at) {
				if !s.in(sc.name) {
					continue
				}
				m, err := b.measure(ctx, s, sc)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("round %d, %s with %s: %w", round+1, sc.name, s.name, err))
					fmt.Fprintln(os.Stderr, errs[len(errs)-1])
					continue
				}
				m.Round = round + 1
				b.list = append(b.list, m)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", m.Round, rounds, brief(m))
			}
		}
	}
	return errors.Join(errs...)
}

// rotated returns list beginning with its element by.
func rotated[T any](list []T, by int) []T {
	by %= len(list)
	return slices.Concat(list[by:], list[:by])
}

// measure takes a fresh instance of the system through the scenario.
func (b *bench) measure(ctx context.Context, s system, sc scenario) (m measurement, err error) {
	i, err := s.begin(ctx, b.dir, b.backend, b.files)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, i.stop()) }()
	m, err = sc.run(ctx, b, i)
	m.System, m.Scenario = s.name, sc.name
	return m, err
}

// logsAccess starts an instance of the system to see whether it has an access log.
func (b *bench) logsAccess(ctx context.Context, s system) (logs bool, err error) {
	i, err := s.begin(ctx, b.dir, b.backend, b.files)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, i.stop()) }()
	return i.writesAccess(ctx)
}

// openRate returns the rate of the open loop, the same in all rounds: what was asked
// for, or half of what HAProxy had in the closed loop. When that was not measured
// yet, it is now.
func (b *bench) openRate(ctx context.Context) (float64, error) {
	if b.rate > 0 {
		return b.rate, nil
	}
	rates := figures(b.list, openFrom, "haproxy", func(m measurement) float64 { return m.Rate })
	if len(rates) == 0 {
		all := scenarios()
		from := all[slices.IndexFunc(all, func(s scenario) bool { return s.name == openFrom })]
		haproxy := b.all[slices.IndexFunc(b.all, func(s system) bool { return s.name == "haproxy" })]
		m, err := b.measure(ctx, haproxy, from)
		if err != nil {
			return 0, fmt.Errorf("measure haproxy's rate: %w", err)
		}
		rates = []float64{m.Rate}
	}
	b.rate = report.SpreadOf(rates).Median / 2
	return b.rate, nil
}

// close ends the backend and removes the folder.
func (b *bench) close(backend *process) error {
	return errors.Join(backend.stop(), os.RemoveAll(filepath.Clean(b.dir)))
}
