package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/lab/report"
)

// table lays out the medians of each event, and Tandem's against keepalived's.
func table(list []measurement) string {
	cells := [][]string{{
		"event", "advertise ms",
		"keepalived outage ms", "tandem outage ms", "ratio",
		"keepalived failed", "tandem failed", "ratio",
	}}
	for _, interval := range intervals(list) {
		for _, event := range []string{killed, returned, cut, healed, stopped} {
			row := []string{event, fmt.Sprint(interval)}
			row = append(row, compare(list, interval, event, func(m measurement) float64 { return m.Outage })...)
			row = append(row, compare(list, interval, event, func(m measurement) float64 { return float64(m.Failed) })...)
			cells = append(cells, row)
		}
	}
	return report.Grid(cells, 1)
}

// restTable lays out what the heartbeats cost at rest.
func restTable(list []measurement) string {
	cells := [][]string{{"at rest", "advertise ms", "keepalived % of a core", "tandem % of a core"}}
	for _, interval := range intervals(list) {
		for _, event := range []string{activeAtRest, backupAtRest} {
			row := []string{event, fmt.Sprint(interval)}
			for _, system := range []string{"keepalived", "tandem"} {
				row = append(row, text(spread(list, system, interval, event, func(m measurement) float64 { return m.CPU }), "%.2f"))
			}
			cells = append(cells, row)
		}
	}
	return report.Grid(cells, 1)
}

// intervals returns those of the measurements, in their order.
func intervals(list []measurement) []float64 {
	var found []float64
	for _, m := range list {
		if !slices.Contains(found, m.Advertise) {
			found = append(found, m.Advertise)
		}
	}
	return found
}

// compare returns the cells for one figure: keepalived's spread, Tandem's, and
// how many times better Tandem's median is.
func compare(list []measurement, interval float64, event string, figure func(measurement) float64) []string {
	k := spread(list, "keepalived", interval, event, figure)
	t := spread(list, "tandem", interval, event, figure)
	return []string{text(k, "%.0f"), text(t, "%.0f"), ratio(k, t)}
}

func spread(list []measurement, system string, interval float64, event string, figure func(measurement) float64) *report.Spread[float64] {
	var figures []float64
	for _, m := range list {
		if m.System == system && m.Advertise == interval && m.Event == event {
			figures = append(figures, figure(m))
		}
	}
	if len(figures) == 0 {
		return nil
	}
	s := report.SpreadOf(figures)
	return &s
}

func text(s *report.Spread[float64], format string) string {
	if s == nil {
		return "-"
	}
	return s.Text(func(f float64) string { return fmt.Sprintf(format, f) })
}

func ratio(k, t *report.Spread[float64]) string {
	if k == nil || t == nil || t.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fx", k.Median/t.Median)
}

// brief sums up a round in a line.
func brief(list []measurement) string {
	if len(list) == 0 {
		return "nothing measured"
	}
	var parts []string
	for _, m := range list {
		if m.Event == activeAtRest || m.Event == backupAtRest {
			parts = append(parts, fmt.Sprintf("%s %.2f %%", m.Event, m.CPU))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.0f ms, %d failed", m.Event, m.Outage, m.Failed))
	}
	return strings.Join(parts, "; ")
}
