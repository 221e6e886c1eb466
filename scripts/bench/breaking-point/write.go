package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/chart"
	"github.com/tandemlb/tandem/scripts/bench/page"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// write prints the tables, and writes them and the picture into their files.
func (o options) write(all []climb) error {
	text := o.tables(all)
	fmt.Print(text)
	return errors.Join(
		page.Fill(o.docs, "breaking-point", text),
		page.Save(o.markdown, []byte(text)),
		page.Save(o.svg, []byte(picture(all, o.limit))),
	)
}

// tables are what was measured, in Markdown.
func (o options) tables(all []climb) string {
	var b strings.Builder
	knees := [][]string{{"load", "HAProxy holds", "Tandem holds", "Tandem / HAProxy", "CPU of the proxy's share there", "beyond it, HAProxy", "beyond it, Tandem"}}
	for _, c := range all {
		if len(c.steps) == 0 {
			continue // the rate was given
		}
		h, t := c.knees["haproxy"], c.knees["tandem"]
		knees = append(knees, []string{
			c.ladder.what, perSecond(h), perSecond(t), fmt.Sprintf("%.2f", t/h),
			fmt.Sprintf("%s, %s", percent(c.at("haproxy").shares.proxy/o.share), percent(c.at("tandem").shares.proxy/o.share)),
			c.gives("haproxy"), c.gives("tandem"),
		})
	}
	if len(knees) > 1 {
		b.WriteString(page.Table(knees) + "\n")
	}
	ordeals := [][]string{{"twice as much", "", "served", "of what it holds", "p99", "others get", "their p99", "back after", "memory, MiB: before, most, after", "connections left"}}
	for _, c := range all {
		for _, d := range c.ordeals {
			back := fmt.Sprintf("%.2g s", d.recovery.Seconds())
			if !d.recovered {
				back = fmt.Sprintf("not in %.0f s", calmAfter.Seconds())
			}
			ordeals = append(ordeals, []string{
				c.ladder.name, d.System, perSecond(d.during.goodput()), percent(d.during.goodput() / d.Knee), milliseconds(d.during.p99()),
				shareOut(d.during), milliseconds(side.Quantile(d.during.denials, 0.99)), back,
				fmt.Sprintf("%d, %d, %d", d.memory[0]>>20, d.memory[1]>>20, d.memory[2]>>20), fmt.Sprint(d.left),
			})
		}
	}
	b.WriteString(page.Table(ordeals))
	if late := lateSteps(all); late != "" {
		fmt.Fprintf(&b, "\nThe client was late by its own fault, by more than %s for one request of a hundred, in: %s.\n", clientLimit, late)
	}
	return b.String()
}

// at returns the step of the highest rate that the system held.
func (c climb) at(system string) step {
	for _, s := range sortedByRate(c.steps, system) {
		if s.Rate == c.knees[system] {
			return s
		}
	}
	return step{}
}

// gives says what gave way in the lowest rate that broke the system.
func (c climb) gives(system string) string {
	for _, s := range sortedByRate(c.steps, system) {
		if s.Rate <= c.knees[system] {
			continue
		}
		text := fmt.Sprintf("p99 %s", milliseconds(s.p99()))
		if s.failed() > 0 {
			text += ", " + shareOut(s.tally)
		}
		return text
	}
	return "-"
}

// shareOut says how requests ended that were not served, each as a share of all.
func shareOut(t tally) string {
	var all []string
	for _, k := range t.failures() {
		if share := float64(t.kinds[k]) / float64(t.total()); share >= 0.001 {
			all = append(all, fmt.Sprintf("%s %s", percent(share), k))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// lateSteps lists the measurements that say more of the client than of the proxy.
func lateSteps(all []climb) string {
	var late []string
	for _, c := range all {
		for _, s := range c.steps {
			if s.Late {
				late = append(late, fmt.Sprintf("%s, %s, %s", c.ladder.name, s.System, perSecond(s.Rate)))
			}
		}
		for _, d := range c.ordeals {
			if d.late > clientLimit {
				late = append(late, fmt.Sprintf("%s, %s, twice as much", c.ladder.name, d.System))
			}
		}
	}
	return strings.Join(late, "; ")
}

func perSecond(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.1fk/s", v/1000)
	}
	return fmt.Sprintf("%.0f/s", v)
}

func percent(share float64) string {
	if share > 0 && share < 0.0995 {
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// picture draws latency over rate, a chart for each ladder.
func picture(all []climb, limit time.Duration) string {
	var charts []chart.Chart
	for _, c := range all {
		drawn := chart.Chart{
			Title: c.ladder.what, X: "requests a second", Y: "ms", LogX: true, LogY: true,
			Limit: limit.Seconds() * 1e3,
		}
		for n, system := range c.systems {
			for _, q := range []struct {
				name string
				of   float64
			}{{"p50", 0.5}, {"p99", 0.99}} {
				l := chart.Line{Name: system + " " + q.name, Color: n, Dashed: q.of == 0.5}
				for _, s := range sortedByRate(c.steps, system) {
					l.Points = append(l.Points, chart.Point{X: s.Rate, Y: side.Quantile(s.latencies, q.of).Seconds() * 1e3, Hollow: !s.Held})
				}
				drawn.Lines = append(drawn.Lines, l)
			}
		}
		charts = append(charts, drawn)
	}
	return chart.SVG("Latency over rate; hollow: beyond the breaking point", charts, 2)
}
