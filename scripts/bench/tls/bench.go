package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

// figure is one measurement: CPU time in microseconds for each unit and units a second;
// or KiB for each connection, and no rate.
type figure struct{ each, rate float64 }

// part is something that is measured of several systems, the first of which the others
// are compared with.
type part struct {
	name, what string
	unit       string // of the first figure
	all        []side.System
	measure    func(ctx context.Context, b *bench, i *side.Instance) (figure, error)
}

// The names of parts, in their order; that of the failover is not among them.
func names() []string {
	var all []string
	for _, p := range parts("", side.Files{}) {
		all = append(all, p.name)
	}
	return all
}

func parts(binary string, f side.Files) []part {
	pair := []side.System{haproxy("haproxy", f, extras{}), tandem("tandem", binary, f, extras{})}
	own := []side.System{
		tandem("tandem", binary, f, extras{}),
		tandem("tandem+log", binary, f, extras{accessLog: true}),
		tandem(metered, binary, f, extras{metrics: true}),
		tandem(meteredLogged, binary, f, extras{accessLog: true, metrics: true}),
		haproxy("haproxy", f, extras{}),
		haproxy("haproxy+log", f, extras{accessLog: true}),
	}
	const perRequest, perHandshake = "us CPU for a request", "us CPU for a handshake"
	return []part{
		{"keepalive-64", "64 bytes, 64 connections kept open", perRequest, pair, requests(64)},
		{"keepalive-512", "64 bytes, 512 connections kept open", perRequest, pair, requests(512)},
		{"handshake", "full handshakes, ECDSA P-256, a new connection each", perHandshake, pair, shaking(false)},
		{"resumption", "resumed handshakes, a new connection each", perHandshake, pair, shaking(true)},
		{"idle", "connections without a request", "KiB for a connection", pair, rest},
		{"telemetry", "64 bytes, 64 connections kept open, with access log and metrics", perRequest, own, requests(64)},
	}
}

// requests measures those on connections that are kept open.
func requests(connections int) func(context.Context, *bench, *side.Instance) (figure, error) {
	l := web.Load{Path: web.Small, Connections: connections, TLS: true}
	return func(ctx context.Context, b *bench, i *side.Instance) (figure, error) {
		if err := l.Warm(ctx, b.dir, i.Listen); err != nil {
			return figure{}, err
		}
		return spent(i, func() (int, error) {
			got, err := l.Run(ctx, b.dir, i.Listen, b.seconds)
			if err == nil && got.Errors > 0 {
				err = fmt.Errorf("%d errors", got.Errors)
			}
			return got.Requests, err
		})
	}
}

// shaking measures handshakes.
func shaking(resumed bool) func(context.Context, *bench, *side.Instance) (figure, error) {
	return func(ctx context.Context, b *bench, i *side.Instance) (figure, error) {
		return spent(i, func() (int, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(b.seconds)*time.Second)
			defer cancel()
			return handshakes(ctx, i.Listen, resumed)
		})
	}
}

// spent measures the CPU time of work, which returns how many units it has done.
func spent(i *side.Instance, work func() (int, error)) (figure, error) {
	before, err := lab.CPUTime(i.Worker)
	if err != nil {
		return figure{}, err
	}
	began := time.Now()
	n, err := work()
	took := time.Since(began).Seconds()
	after, errCPU := lab.CPUTime(i.Worker)
	if err := errors.Join(err, errCPU); err != nil {
		return figure{}, err
	}
	if n == 0 {
		return figure{}, errors.New("nothing was done")
	}
	return figure{float64((after - before).Nanoseconds()) / 1e3 / float64(n), float64(n) / took}, nil
}

// rest measures the memory of connections on which nothing happens any more.
func rest(ctx context.Context, b *bench, i *side.Instance) (figure, error) {
	before, err := side.Settled(ctx, []int{i.Worker})
	if err != nil {
		return figure{}, err
	}
	var open []*tls.Conn
	defer func() {
		for _, c := range open {
			c.NetConn().Close()
		}
	}()
	if open, err = opened(ctx, i.Listen, b.idle); err != nil {
		return figure{}, err
	}
	after, err := side.Settled(ctx, []int{i.Worker})
	if err != nil {
		return figure{}, err
	}
	buf := make([]byte, 4<<10)
	for n, c := range open { // what was closed meanwhile takes no memory
		if err := web.Get(c, buf); err != nil {
			return figure{}, fmt.Errorf("connection %d has not lasted: %w", n, err)
		}
	}
	return figure{each: float64(after-before) / 1024 / float64(b.idle)}, nil
}

// opened returns connections each of which has seen a request. The caller closes them,
// also after an error.
func opened(ctx context.Context, address string, count int) (all []*tls.Conn, err error) {
	buf := make([]byte, 4<<10)
	for len(all) < count && ctx.Err() == nil {
		c, err := open(address, clientConfig())
		if err != nil {
			return all, fmt.Errorf("open connection %d: %w", len(all), err)
		}
		all = append(all, c)
		if err := web.Get(c, buf); err != nil {
			return all, fmt.Errorf("ask on connection %d: %w", len(all), err)
		}
	}
	return all, ctx.Err()
}

// bench is the comparison under way.
type bench struct {
	backend string
	dir     string              // for what is not to stay
	seconds int                 // of a measurement
	idle    int                 // connections
	figures map[string][]figure // by part and system
}

// compare measures the parts with their systems, round after round.
func (b *bench) compare(ctx context.Context, what []part, rounds int) error {
	var errs []error
	for round := range rounds {
		for at, p := range what {
			by := (round + at) % len(p.all) // they take turns in going first
			for _, s := range slices.Concat(p.all[by:], p.all[:by]) {
				fig, err := b.measure(ctx, p, s)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("round %d, %s with %s: %w", round+1, p.name, s.Name, err))
					continue
				}
				b.figures[p.name+" "+s.Name] = append(b.figures[p.name+" "+s.Name], fig)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s with %s: %.2f %s, %s a second\n", round+1, rounds, p.name, s.Name, fig.each, p.unit, perSecond(fig.rate))
			}
		}
	}
	return errors.Join(errs...)
}

func (b *bench) measure(ctx context.Context, p part, s side.System) (fig figure, err error) {
	i, err := s.Begin(b.backend, visit)
	if err != nil {
		return fig, err
	}
	defer func() { err = errors.Join(err, i.Stop()) }()
	if s.Name == metered || s.Name == meteredLogged {
		end, err := scraped(ctx, metricsAddress)
		if err != nil {
			return fig, err
		}
		defer end()
	}
	return p.measure(ctx, b, i)
}

// print prints the medians of the rounds as a table, each with its ratio to that of the
// first system of its part.
func (b *bench) print(what []part) {
	for _, p := range what {
		if text := b.table(p); text != "" {
			fmt.Printf("\n%s: %s\n%s", p.name, p.what, text)
		}
	}
}

func (b *bench) table(p part) string {
	cells := [][]string{{"system", p.unit, "lowest-highest", "a second", "ratio"}}
	var first float64
	for _, s := range p.all {
		var each, rate []float64
		for _, f := range b.figures[p.name+" "+s.Name] {
			each, rate = append(each, f.each), append(rate, f.rate)
		}
		if len(each) == 0 {
			continue
		}
		spread := report.SpreadOf(each)
		if s.Name == p.all[0].Name {
			first = spread.Median
		}
		ratio := "-"
		if first > 0 {
			ratio = fmt.Sprintf("%.2f", spread.Median/first)
		}
		cells = append(cells, []string{
			s.Name, fmt.Sprintf("%.2f", spread.Median), fmt.Sprintf("%.2f-%.2f", slices.Min(each), slices.Max(each)),
			perSecond(report.SpreadOf(rate).Median), ratio,
		})
	}
	if len(cells) == 1 {
		return ""
	}
	return report.Grid(cells, 1)
}

func perSecond(rate float64) string {
	if rate == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", rate)
}
