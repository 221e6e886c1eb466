package page

import (
	"time"

	"github.com/tandemlb/tandem/proxy/stats"
)

// Sample is what the traffic of the node was of late.
type Sample struct {
	At       time.Time `json:"at"`
	Requests float64   `json:"requests"` // and connections of TCP and clients of UDP, that began in a second
	Errors   float64   `json:"errors"`   // answers of 500 and above, and connections of TCP that no server took
	// P50 and P99 are of the time of a request, in seconds; nil: there was none.
	P50 *float64 `json:"p50,omitempty"`
	P99 *float64 `json:"p99,omitempty"`
}

// window is over how many looks a sample is taken: of a single second a quantile would
// say little.
const window = 3

// meter makes samples of what was counted. Not safe for concurrent use.
type meter struct {
	samples []Sample  // at most span/every, oldest first
	before  []reading // at most window, oldest first
}

// reading is what was counted up to a time.
type reading struct {
	at      time.Time
	counted stats.Snapshot
}

// take adds a sample, as of now, of what was counted since some looks ago. The first
// look makes none.
func (m *meter) take(now time.Time, counted stats.Snapshot) (Sample, bool) {
	s := Sample{At: now}
	if len(m.before) > 0 {
		first := &m.before[0]
		passed := now.Sub(first.at).Seconds()
		if passed <= 0 {
			return s, false
		}
		s.fill(counted.Sub(&first.counted), passed)
		m.samples = append(m.samples, s)
		if most := int(span / every); len(m.samples) > most {
			m.samples = append(m.samples[:0], m.samples[len(m.samples)-most:]...)
		}
	}
	made := len(m.before) > 0
	m.before = append(m.before, reading{now, counted})
	if len(m.before) > window {
		m.before = append(m.before[:0], m.before[1:]...)
	}
	return s, made
}

// fill takes what passed in so many seconds.
func (s *Sample) fill(d stats.Snapshot, seconds float64) {
	var begun, failed uint64
	var times stats.Distribution
	for i := range d.Pages {
		p := &d.Pages[i]
		begun += p.Begun
		failed += p.Classes[stats.Class5xx]
		if p.Protocol == "http" {
			times.Add(p.Total)
		}
		failed += p.Ends["unserved"]
	}
	s.Requests, s.Errors = float64(begun)/seconds, float64(failed)/seconds
	if times.Count() > 0 {
		p50, p99 := times.Quantile(0.5).Seconds(), times.Quantile(0.99).Seconds()
		s.P50, s.P99 = &p50, &p99
	}
}
