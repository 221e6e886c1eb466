package report

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Row is one kind of event, measured once or several times.
type Row struct {
	Event  string
	Owner  string // who owned the address before and after
	Outage []time.Duration
	Failed []int // requests
}

// Table lays out the rows, with a heading and a rule.
func Table(rows []Row) string {
	cells := [][]string{{"event", "owner", "outage ms", "requests failed"}}
	for _, r := range rows {
		cells = append(cells, []string{
			r.Event, r.Owner,
			SpreadOf(r.Outage).Text(Milliseconds),
			SpreadOf(r.Failed).Text(count),
		})
	}
	return Grid(cells, 2)
}

// Grid lays out cells in columns, the first row being the heading. The first
// left columns are aligned left, the others right.
func Grid(cells [][]string, left int) string {
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("─", w)
	}
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(cells), 1, rule) {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString("   ")
			}
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < left {
				line.WriteString(cell + padding)
			} else {
				line.WriteString(padding + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
