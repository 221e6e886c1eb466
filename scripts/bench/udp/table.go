package main

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/lab/report"
)

// measurement is one scenario with one system.
type measurement struct {
	scenario, system string
	cpu              time.Duration
	moved            moved
}

// packets returns how many the proxy has forwarded: a question, and an answer.
func (m measurement) packets() float64 { return float64(2 * m.moved.answered) }

// A figure is a row of each scenario.
type figure struct {
	name, format string
	of           func(measurement) float64
	target       bool // at least as much as nginx
	raw          bool // a ratio would say nothing
}

func figures() []figure {
	return []figure{
		{name: "packets/s", format: "%.0f", of: func(m measurement) float64 { return m.packets() / m.moved.took.Seconds() }, target: true},
		{name: "CPU us/packet", format: "%.2f", of: func(m measurement) float64 { return float64(m.cpu.Nanoseconds()) / 1e3 / m.packets() }},
		{name: "lost %", format: "%.3f", of: func(m measurement) float64 { return 100 * float64(m.moved.lost()) / float64(m.moved.sent) }, raw: true},
	}
}

// table lays out the medians of the systems, the ratio of tandem to nginx, and the target.
func table(list []measurement, what []scenario, names []string) string {
	cells := [][]string{append(append([]string{"scenario", "figure"}, names...), "tandem/nginx", "target", "")}
	for _, sc := range what {
		name := sc.name
		for _, f := range figures() {
			row := []string{name, f.name}
			name = "" // once is enough
			medians := make(map[string]float64)
			for _, system := range names {
				var values []float64
				for _, m := range list {
					if m.scenario == sc.name && m.system == system {
						values = append(values, f.of(m))
					}
				}
				if len(values) == 0 {
					row = append(row, "-")
					continue
				}
				s := report.SpreadOf(values)
				medians[system] = s.Median
				row = append(row, s.Text(func(v float64) string { return fmt.Sprintf(f.format, v) }))
			}
			cells = append(cells, append(row, f.judge(medians)...))
		}
	}
	return report.Grid(cells, 2)
}

// judge returns the cells for the ratio, the target, and whether it is met.
func (f figure) judge(medians map[string]float64) []string {
	cells := []string{"", "", ""}
	if f.target {
		cells[1] = ">= 1.00x"
	}
	ours, measured := medians["tandem"]
	theirs := medians["nginx"]
	if f.raw || !measured || theirs == 0 {
		return cells
	}
	ratio := ours / theirs
	cells[0] = fmt.Sprintf("%.2fx", ratio)
	if f.target {
		cells[2] = "MISSED"
		if ratio >= 1 {
			cells[2] = "met"
		}
	}
	return cells
}
