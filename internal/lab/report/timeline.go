package report

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

// A Timeline is what to draw: the requests sent in [From, To), and what
// happened meanwhile. All times are on the clock of the samples.
type Timeline struct {
	Samples  []probe.Sample // by start
	Marks    []Mark         // by time
	From, To time.Duration
}

// A Mark is an event on a timeline.
type Mark struct {
	At    time.Duration
	Label string
}

// bucket counts the requests of a slice of time.
type bucket struct{ answered, failed int }

// buckets slices [from, to) into n equal parts.
func buckets(samples []probe.Sample, from, to time.Duration, n int) []bucket {
	sliced := make([]bucket, n)
	first, _ := slices.BinarySearchFunc(samples, from, func(s probe.Sample, t time.Duration) int {
		return int(s.Start - t)
	})
	for _, s := range samples[first:] {
		if s.Start >= to {
			break
		}
		b := &sliced[int(int64(s.Start-from)*int64(n)/int64(to-from))]
		if s.Failure == "" {
			b.answered++
		} else {
			b.failed++
		}
	}
	return sliced
}

// Sparkline draws the share of answered requests in one line of that many
// columns, and under it the number of each mark where it fell. A column
// without any request is a dot.
func (t Timeline) Sparkline(columns int) string {
	if t.To <= t.From || columns <= 0 {
		return ""
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var line strings.Builder
	for _, b := range buckets(t.Samples, t.From, t.To, columns) {
		all := b.answered + b.failed
		if all == 0 {
			line.WriteRune('·')
			continue
		}
		line.WriteRune(levels[b.answered*(len(levels)-1)/all])
	}
	marks := []byte(strings.Repeat(" ", columns))
	for i, m := range t.Marks {
		column := int(int64(m.At-t.From) * int64(columns) / int64(t.To-t.From))
		number := strconv.Itoa(i + 1)
		if column >= 0 && column+len(number) <= columns {
			copy(marks[column:], number)
		}
	}
	return line.String() + "\n" + strings.TrimRight(string(marks), " ") + "\n"
}

func count(n int) string { return strconv.Itoa(n) }
