package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/lab/report"
)

// A reading is what one process used at a moment.
type reading struct {
	At          time.Duration // from the beginning
	Memory      float64       // bytes, resident
	Descriptors float64
	Goroutines  float64
}

// A life is what one process used from its start to its end.
type life struct {
	Node, Process string
	Began         time.Duration // when it was first seen
	birth         string        // what differs in the next one
	Readings      []reading
}

func (l life) name() string { return l.Node + " " + l.Process }

// lasted returns for how long it was watched.
func (l life) lasted() time.Duration {
	if len(l.Readings) == 0 {
		return 0
	}
	return l.Readings[len(l.Readings)-1].At - l.Began
}

// after returns the readings of a life from an age on.
func (l life) after(age time.Duration) []reading {
	at := slices.IndexFunc(l.Readings, func(r reading) bool { return r.At >= l.Began+age })
	if at < 0 {
		return nil
	}
	return l.Readings[at:]
}

// A trend is how a value goes: its median, and its slope by the estimator of Theil and
// Sen, which the ups and downs of a load do not mislead: the median of the slopes
// between all pairs of readings.
type trend struct {
	Median float64 `json:"median"`
	Hourly float64 `json:"an_hour"`
}

// pairsApart is the least distance of two readings whose slope counts: what is close
// together says nothing of an hour.
const pairsApart = 0.25

func trendOf(readings []reading, value func(reading) float64) trend {
	if len(readings) < 3 {
		return trend{}
	}
	var values, slopes []float64
	span := readings[len(readings)-1].At - readings[0].At
	for i, a := range readings {
		values = append(values, value(a))
		for _, b := range readings[i+1:] {
			if apart := b.At - a.At; apart > 0 && float64(apart) >= pairsApart*float64(span) {
				slopes = append(slopes, (value(b)-value(a))/apart.Hours())
			}
		}
	}
	return trend{report.SpreadOf(values).Median, report.SpreadOf(slopes).Median}
}

func memoryOf(r reading) float64      { return r.Memory }
func descriptorsOf(r reading) float64 { return r.Descriptors }
func goroutinesOf(r reading) float64  { return r.Goroutines }

// The bounds of what counts as flat.
const (
	// A process may grow by a tenth of its memory in an hour, or by as many bytes as
	// that is of a small one.
	memoryShare, memoryLeast = 0.10, 4 << 20
	// When the load has gone, there are no more descriptors than before it, and no more
	// goroutines than under it, but for what comes and goes by itself.
	restSlack = 5
)

// A line is one process in the report.
type line struct {
	Name        string
	Lasted      time.Duration
	Memory      trend // without the beginning
	Descriptors trend
	Goroutines  trend
	Before      reading // without a load, before it
	Rest        reading // and after it; its At is 0 when the process did not live to see it
	Problems    []string
}

// judge looks at a life: whether it was flat after its warm-up, and whether what the
// load took was given back. before is what such a process used before there was a load.
func judge(l life, warm time.Duration, before, rest reading) line {
	r := l.after(warm)
	j := line{
		Name: l.name(), Lasted: l.lasted(), Before: before, Rest: rest,
		Memory: trendOf(r, memoryOf), Descriptors: trendOf(r, descriptorsOf), Goroutines: trendOf(r, goroutinesOf),
	}
	if most := max(memoryShare*j.Memory.Median, memoryLeast); j.Memory.Hourly > most {
		j.Problems = append(j.Problems, fmt.Sprintf("its memory grows by %.1f MiB an hour: want at most %.1f", j.Memory.Hourly/(1<<20), most/(1<<20)))
	}
	if rest.At == 0 {
		return j
	}
	if rest.Descriptors > before.Descriptors+restSlack {
		j.Problems = append(j.Problems, fmt.Sprintf("it has %.0f descriptors when the load has gone: there were %.0f before", rest.Descriptors, before.Descriptors))
	}
	// Some that have ended are kept for the next connections.
	if most := max(before.Goroutines, j.Goroutines.Median) + restSlack; rest.Goroutines > most {
		j.Problems = append(j.Problems, fmt.Sprintf("it has %.0f goroutines when the load has gone: want at most %.0f", rest.Goroutines, most))
	}
	return j
}

// sorted tells failures that a window excuses from the others.
func sorted(failures []failure, windows []window) (byWindow []int, others []failure) {
	byWindow = make([]int, len(windows))
	for _, f := range failures {
		at := slices.IndexFunc(windows, func(w window) bool { return !f.Begin.After(w.To) && !f.End.Before(w.From) })
		if at < 0 {
			others = append(others, f)
		} else {
			byWindow[at]++
		}
	}
	return byWindow, others
}
