package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/lab/report"
)

// The figures of the table.
const (
	cpuFigure    = "CPU us/request"
	userFigure   = "of it user"
	othersFigure = "other processes"
	rateFigure   = "requests/s"
	p50Figure    = "p50 us"
	p99Figure    = "p99 us"
	lateFigure   = "p99 us of the client itself"
	memoryFigure = "bytes/connection"
	errorFigure  = "errors"
)

// A figure is a row of the table in each scenario that measures it.
type figure struct {
	name   string
	format string
	of     func(measurement) float64
	raw    bool // a ratio would say nothing
}

// rows returns the figures in their order.
func rows() []figure {
	return []figure{
		{cpuFigure, "%.2f", func(m measurement) float64 { return m.CPU }, false},
		{userFigure, "%.2f", func(m measurement) float64 { return m.User }, false},
		{othersFigure, "%.3f", func(m measurement) float64 { return m.Others }, true},
		{rateFigure, "%.0f", func(m measurement) float64 { return m.Rate }, false},
		{p50Figure, "%.0f", func(m measurement) float64 { return m.P50 }, false},
		{p99Figure, "%.0f", func(m measurement) float64 { return m.P99 }, false},
		{lateFigure, "%.0f", func(m measurement) float64 { return m.Late }, true},
		{memoryFigure, "%.0f", func(m measurement) float64 { return m.Memory }, false},
		{errorFigure, "%.0f", func(m measurement) float64 { return float64(m.Errors) }, true},
	}
}

// figures returns one figure of a scenario and system, of all rounds.
func figures(list []measurement, scenario, system string, of func(measurement) float64) []float64 {
	var all []float64
	for _, m := range list {
		if m.Scenario == scenario && m.System == system {
			all = append(all, of(m))
		}
	}
	return all
}

// A pair is two systems whose medians are set against each other.
type pair struct{ ours, theirs string }

// pairs returns which systems are compared: each Tandem with those that have as
// many threads.
func pairs(names []string) []pair {
	var list []pair
	for _, p := range []pair{{"tandem", "haproxy"}, {"tandem", "haproxy-always"}, {"tandem", "nginx"}, {"tandem-2", "haproxy-2"}} {
		if slices.Contains(names, p.ours) && slices.Contains(names, p.theirs) {
			list = append(list, p)
		}
	}
	return list
}

// judged is the pair that the target is about.
func (t target) judged() pair { return pair{"tandem", cmp.Or(t.against, "haproxy")} }

// tables lays out a table for each set of systems that some scenarios were measured
// with.
func tables(list []measurement, what []scenario, names []string) string {
	groups := make(map[string][]scenario)
	var order [][]string
	for _, sc := range what {
		var measured []string
		for _, name := range names {
			if len(figures(list, sc.name, name, func(measurement) float64 { return 0 })) > 0 {
				measured = append(measured, name)
			}
		}
		key := strings.Join(measured, ",")
		if _, known := groups[key]; !known {
			order = append(order, measured)
		}
		groups[key] = append(groups[key], sc)
	}
	var b strings.Builder
	for _, measured := range order {
		if len(measured) > 0 {
			b.WriteString("\n" + table(list, groups[strings.Join(measured, ",")], measured))
		}
	}
	return b.String()
}

// table lays out the medians of the systems, their ratios, and the targets. Figures
// that are zero throughout a scenario are left out.
func table(list []measurement, what []scenario, names []string) string {
	heading := append([]string{"scenario", "figure"}, names...)
	for _, p := range pairs(names) {
		heading = append(heading, p.ours+"/"+p.theirs)
	}
	cells := [][]string{append(heading, "target", "")}
	for _, sc := range what {
		name := sc.name
		failed := slices.ContainsFunc(list, func(m measurement) bool {
			return m.Scenario == sc.name && m.System == "tandem" && m.Errors > 0
		})
		for _, f := range rows() {
			medians := make(map[string]float64)
			row := []string{name, f.name}
			some := false
			for _, system := range names {
				values := figures(list, sc.name, system, f.of)
				if len(values) == 0 {
					row = append(row, "-")
					continue
				}
				s := report.SpreadOf(values)
				some = some || s.Max != 0
				medians[system] = s.Median
				row = append(row, s.Text(func(v float64) string { return fmt.Sprintf(f.format, v) }))
			}
			if !some {
				continue
			}
			for _, p := range pairs(names) {
				row = append(row, ratioText(medians, p, f.raw))
			}
			judged := verdict(sc, f.name, medians)
			if judged[1] == "met" && failed {
				judged[1] = "met, WITH ERRORS" // which are cheap
			}
			cells = append(cells, append(row, judged...))
			name = "" // once is enough
		}
	}
	return report.Grid(cells, 2)
}

// ratio returns the medians' ratio in a pair, when there is one.
func ratio(medians map[string]float64, p pair) (float64, bool) {
	ours, measured := medians[p.ours]
	theirs := medians[p.theirs]
	if !measured || theirs == 0 {
		return 0, false
	}
	return ours / theirs, true
}

func ratioText(medians map[string]float64, p pair, raw bool) string {
	r, ok := ratio(medians, p)
	switch {
	case raw:
		return ""
	case !ok:
		return "-"
	}
	return fmt.Sprintf("%.2fx", r)
}

// verdict returns the cells for the target of a figure, and whether it is met.
func verdict(sc scenario, figure string, medians map[string]float64) []string {
	at := slices.IndexFunc(sc.targets, func(t target) bool { return t.figure == figure })
	if at < 0 {
		return []string{"", ""}
	}
	t := sc.targets[at]
	value, known := ratio(medians, t.judged())
	limit := fmt.Sprintf("%.2fx", t.limit)
	if t.alone {
		value, known = medians[t.judged().ours]
		limit = fmt.Sprintf("%.0f", t.limit)
	}
	sign := "<= "
	if t.atLeast {
		sign = ">= "
	}
	switch {
	case !known:
		return []string{sign + limit, "-"}
	case t.met(value):
		return []string{sign + limit, "met"}
	}
	return []string{sign + limit, "MISSED"}
}

// brief sums up a measurement in a line.
func brief(m measurement) string {
	parts := []string{fmt.Sprintf("%s with %s:", m.Scenario, m.System)}
	for _, f := range rows() {
		if v := f.of(m); v != 0 {
			parts = append(parts, fmt.Sprintf("%s "+f.format+",", f.name, v))
		}
	}
	return strings.TrimSuffix(strings.Join(parts, " "), ",")
}
