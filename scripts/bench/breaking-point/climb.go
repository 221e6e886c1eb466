package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// A climb is what came of a ladder.
type climb struct {
	ladder  ladder
	systems []string // in the order of the table
	steps   []step
	knees   map[string]float64 // requests a second, by system
	ordeals []ordeal
}

// factor is by how much the rate goes up before it has broken the proxy.
const factor = 1.5

// climb takes HAProxy and Tandem up the ladder, in turn at each step, and beyond it.
func (o options) climb(ctx context.Context, a *arena, l ladder, f side.Files) (c climb, err error) {
	c = climb{ladder: l, knees: make(map[string]float64)}
	systems := []side.System{haproxy(l, f), tandem(l, f, o.tandem, 0)}
	var instances []*side.Instance
	defer func() {
		for _, i := range instances {
			err = errors.Join(err, i.Stop())
		}
	}()
	searches := make([]*search, len(systems))
	for n, s := range systems {
		i, err := s.Begin(a.backend, l.visit(ctx))
		if err != nil {
			return c, err
		}
		instances = append(instances, i)
		c.systems = append(c.systems, s.Name)
		searches[n] = &search{rate: l.start, factor: factor, halves: o.halves, most: 400_000}
		if o.knee > 0 {
			searches[n] = &search{held: o.knee, broke: 2 * o.knee} // which is over
		}
	}
	for round := 0; slices.ContainsFunc(searches, func(s *search) bool { return !s.over() }); round++ {
		for n := range systems {
			n = (n + round) % len(systems) // they take turns in going first
			if searches[n].over() {
				continue
			}
			s, err := a.step(ctx, l, instances[n], searches[n].rate)
			if err != nil {
				return c, fmt.Errorf("%s: %w", systems[n].Name, err)
			}
			s.System = systems[n].Name
			c.steps = append(c.steps, s)
			fmt.Fprintln(os.Stderr, l.name, s)
			searches[n].took(s.Held, a.just(s.tally))
		}
	}
	for n, s := range systems {
		if c.knees[s.Name] = searches[n].held; searches[n].held == 0 {
			return c, fmt.Errorf("%s holds no rate", s.Name)
		}
	}
	for n, i := range instances {
		if err := c.endure(ctx, a, i, systems[n].Name, c.knees[systems[n].Name]); err != nil {
			return c, err
		}
	}
	return c, o.limited(ctx, a, &c, f)
}

// endure adds the overload of an instance.
func (c *climb) endure(ctx context.Context, a *arena, i *side.Instance, system string, knee float64) error {
	ordeal, err := a.overload(ctx, c.ladder, i, knee)
	if err != nil {
		return fmt.Errorf("%s: %w", system, err)
	}
	ordeal.System = system
	c.ordeals = append(c.ordeals, ordeal)
	fmt.Fprintln(os.Stderr, c.ladder.name, ordeal)
	return nil
}

// limitedTo is the share of what it holds that an operator lets a node take.
const limitedTo = 0.8

// limited adds the overload of Tandem with a limit of its rate, where there is one.
func (o options) limited(ctx context.Context, a *arena, c *climb, f side.Files) (err error) {
	if !c.ladder.http {
		return nil
	}
	knee := c.knees["tandem"]
	s := tandem(c.ladder, f, o.tandem, limitedTo*knee)
	i, err := s.Begin(a.backend, c.ladder.visit(ctx))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Stop()) }()
	return c.endure(ctx, a, i, s.Name, knee)
}

// String says what came of a step, on one line.
func (s step) String() string {
	mood := "breaks"
	if s.Held {
		mood = "holds"
	}
	if s.Late {
		mood += ", but the client was late"
	}
	return fmt.Sprintf("%-8s %8.0f/s: %-6s served %.0f/s, p50 %s, p99 %s, failed %.2f %% (%s), %d connections; client %.0f %% (late %s), server %.0f %%, proxy %.0f %%",
		s.System, s.Rate, mood, s.goodput(), milliseconds(side.Quantile(s.latencies, 0.5)), milliseconds(s.p99()), 100*s.failed(), causes(s.tally), s.open,
		100*s.shares.client, milliseconds(s.late), 100*s.shares.backend, 100*s.shares.proxy)
}

// causes says how requests failed, the most frequent first.
func causes(t tally) string {
	var all []string
	for _, k := range t.failures() {
		all = append(all, fmt.Sprintf("%d %s", t.kinds[k], k))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}

// String says what came of an overload.
func (o ordeal) String() string {
	return fmt.Sprintf("%s overload: knee %.0f/s, before p99 %s; during served %.0f/s, p99 %s, denied p99 %s (%s; %d of %d denials with Retry-After), %d connections, client %.0f %% (late %s), server %.0f %%, proxy %.0f %%; recovery %s (%v), p99 after %s; %d connections left; MiB %d %d %d",
		o.System, o.Knee, milliseconds(o.before.p99()), o.during.goodput(), milliseconds(o.during.p99()), milliseconds(side.Quantile(o.during.denials, 0.99)), causes(o.during),
		o.hinted, o.denied, o.open, 100*o.shares.client, milliseconds(o.late), 100*o.shares.backend, 100*o.shares.proxy, o.recovery, o.recovered, milliseconds(o.after.p99()), o.left,
		o.memory[0]>>20, o.memory[1]>>20, o.memory[2]>>20)
}

// sortedByRate returns the steps of a system by their rate; of a rate that was tried
// twice, the second.
func sortedByRate(steps []step, system string) (all []step) {
	for _, s := range steps {
		if s.System != system {
			continue
		}
		at := slices.IndexFunc(all, func(o step) bool { return o.Rate == s.Rate })
		if at >= 0 {
			all[at] = s
		} else {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b step) int { return cmp.Compare(a.Rate, b.Rate) })
	return all
}
