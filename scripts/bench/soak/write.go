package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/scripts/bench/chart"
	"github.com/tandemlb/tandem/scripts/bench/page"
)

// write writes the report, and fails when something is not as it should be.
func (o options) write(r result) error {
	lines := r.lines()
	text, problems := r.text(lines)
	fmt.Print(text)
	all, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode the readings: %w", err)
	}
	if err := errors.Join(
		page.Fill(o.docs, "soak", text),
		page.Save(o.markdown, []byte(text)),
		page.Save(o.svg, []byte(r.picture())),
		page.Save(o.json, all),
	); err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("it was not as it should be: %s", strings.Join(problems, "; "))
	}
	return nil
}

// again judges what was measured before.
func (o options) again() error {
	text, err := os.ReadFile(o.judge)
	if err != nil {
		return fmt.Errorf("read the readings: %w", err)
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("parse the readings in %q: %w", o.judge, err)
	}
	return o.write(r)
}

// The beginning of a life, which a trend is without, at most; and the share of it.
const (
	warmMost  = 5 * time.Minute
	warmShare = 4
)

// lines judges the lives that are long enough to have a trend: half of the whole.
func (r result) lines() []line {
	var all []line
	for i, l := range r.Lives {
		if l.lasted() < r.Loaded/2 {
			continue
		}
		all = append(all, judge(l, min(warmMost, l.lasted()/warmShare), r.Before[l.name()], r.Rest[i]))
	}
	return all
}

// text is the report in Markdown, and what is wrong.
func (r result) text(lines []line) (text string, problems []string) {
	var b strings.Builder
	rows := [][]string{{"process", "lived", "memory, MiB", "an hour", "descriptors before, under load, after", "goroutines before, under load, after"}}
	for _, l := range lines {
		three := func(value func(reading) float64, under trend) string {
			after := "-"
			if l.Rest.At > 0 {
				after = fmt.Sprintf("%.0f", value(l.Rest))
			}
			return fmt.Sprintf("%.0f, %.0f, %s", value(l.Before), under.Median, after)
		}
		rows = append(rows, []string{
			l.Name, l.Lasted.Round(time.Second).String(), fmt.Sprintf("%.1f", l.Memory.Median/(1<<20)), fmt.Sprintf("%+.1f", l.Memory.Hourly/(1<<20)),
			three(descriptorsOf, l.Descriptors), three(goroutinesOf, l.Goroutines),
		})
		for _, p := range l.Problems {
			problems = append(problems, l.Name+": "+p)
		}
	}
	b.WriteString(page.Table(rows) + "\n")
	byWindow, others := sorted(r.Failures, r.Windows)
	failed := make(map[string]int)
	for _, f := range r.Failures {
		failed[f.Flow]++
	}
	rows = [][]string{{"load", "requests", "failed"}}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		rows = append(rows, []string{name, fmt.Sprint(r.Requests[name]), fmt.Sprint(failed[name])})
	}
	b.WriteString(page.Table(rows) + "\n" + r.windows(byWindow))
	fmt.Fprintf(&b, "\n%d reloads; %d requests failed at other times than within %s of a failover, or %s of what mended it.\n", len(r.Reloads), len(others), excused, mended)
	for i, f := range others {
		if i == 20 {
			break
		}
		fmt.Fprintf(&b, "\n- %s: %s, after %s: %s", f.Begin.Sub(r.Began).Round(time.Millisecond), f.Flow, f.End.Sub(f.Begin).Round(time.Millisecond), f.Why)
	}
	if len(others) > 0 {
		b.WriteString("\n")
		problems = append(problems, fmt.Sprintf("%d requests failed and no failover explains it", len(others)))
	}
	return b.String(), problems
}

// windows sums up the failovers by their kind.
func (r result) windows(failures []int) string {
	of := make(map[string][]int)
	for i, w := range r.Windows {
		name := w.Name
		if _, what, found := strings.Cut(name, ": "); found {
			name = what
		}
		of[name] = append(of[name], failures[i])
	}
	rows := [][]string{{"failover", "times", "failed requests, each time"}}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		rows = append(rows, []string{name, fmt.Sprint(len(of[name])), report.SpreadOf(of[name]).Text(func(n int) string { return fmt.Sprint(n) })})
	}
	return page.Table(rows)
}

// picture draws what the processes used.
func (r result) picture() string {
	var charts []chart.Chart
	for _, process := range []string{"worker", "supervisor", "agent"} {
		for _, of := range []struct {
			what  string
			value func(reading) float64
		}{
			{"memory, MiB", func(v reading) float64 { return v.Memory / (1 << 20) }},
			{"descriptors", descriptorsOf}, {"goroutines", goroutinesOf},
		} {
			c := chart.Chart{Title: process + ": " + of.what, X: "minutes", Marks: r.marks()}
			seen := make(map[string]bool)
			for _, l := range r.Lives {
				if l.Process != process {
					continue
				}
				line := chart.Line{Bare: true}
				if l.Node == "lb2" {
					line.Color = 1
				}
				if !seen[l.Node] {
					line.Name, seen[l.Node] = l.Node, true
				}
				for _, v := range l.Readings {
					line.Points = append(line.Points, chart.Point{X: v.At.Minutes(), Y: of.value(v)})
				}
				c.Lines = append(c.Lines, line)
			}
			charts = append(charts, c)
		}
	}
	return chart.SVG("A pair under load, with reloads and failovers (marks below)", charts, 3)
}

func (r result) marks() (all []chart.Mark) {
	for _, w := range r.Windows {
		all = append(all, chart.Mark{X: w.From.Sub(r.Began).Minutes(), Color: 3})
	}
	return all
}
