package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at makes samples from a drawing, one character a millisecond: + answered,
// - failed, anything else not sent.
func at(drawing string) []Sample {
	var samples []Sample
	for i, c := range drawing {
		switch c {
		case '+':
			samples = append(samples, Sample{Start: time.Duration(i) * ms, Server: "s"})
		case '-':
			samples = append(samples, Sample{Start: time.Duration(i) * ms, Failure: Refused})
		}
	}
	return samples
}

func refused(n int) map[Failure]int { return map[Failure]int{Refused: n} }

func TestMeasure(t *testing.T) {
	for _, test := range []struct {
		name     string
		drawing  string
		from, to time.Duration
		want     Window
	}{
		{"all answered", "++++++++++", 0, 10 * ms, Window{Requests: 10, Outage: ms, Stall: ms}},
		{"one failed", "++++-+++++", 0, 10 * ms, Window{Requests: 10, Failed: 1, Failures: refused(1), Outage: 2 * ms, From: 3 * ms, Stall: ms}},
		{"the longest counts", "+-+---+--+", 0, 10 * ms, Window{Requests: 10, Failed: 6, Failures: refused(6), Outage: 4 * ms, From: 2 * ms, Stall: ms}},
		{"a prober that stalls counts", "+++    +++", 0, 10 * ms, Window{Requests: 6, Outage: 5 * ms, From: 2 * ms, Stall: 5 * ms}},
		{"begun before the window", "++---+++++", 4 * ms, 10 * ms, Window{Requests: 6, Failed: 1, Failures: refused(1), Outage: 4 * ms, From: ms, Stall: ms}},
		{"ended after the window", "++++++---+", 2 * ms, 7 * ms, Window{Requests: 5, Failed: 1, Failures: refused(1), Outage: 4 * ms, From: 5 * ms, Stall: ms}},
		{"around the window", "++-------+", 4 * ms, 7 * ms, Window{Requests: 3, Failed: 3, Failures: refused(3), Outage: 8 * ms, From: ms, Stall: ms}},
		{"before the window only", "+----+++++", 6 * ms, 10 * ms, Window{Requests: 4, Outage: ms, From: 5 * ms, Stall: ms}},
		{"after the window only", "+++++----+", 0, 4 * ms, Window{Requests: 4, Outage: ms, Stall: ms}},
		{"never again", "+++-------", 0, 10 * ms, Window{Requests: 10, Failed: 7, Failures: refused(7), Outage: 8 * ms, From: 2 * ms, Stall: ms}},
		{"never before", "------++++", 0, 10 * ms, Window{Requests: 10, Failed: 6, Failures: refused(6), Outage: 6 * ms, Stall: ms}},
		{"never", "----------", 2 * ms, 8 * ms, Window{Requests: 6, Failed: 6, Failures: refused(6), Outage: 6 * ms, From: 2 * ms, Stall: ms}},
		{"no samples", "", 2 * ms, 8 * ms, Window{Outage: 6 * ms, From: 2 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Measure(at(test.drawing), test.from, test.to)); diff != "" {
				t.Errorf("window (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSort(t *testing.T) {
	got := []Sample{{Start: 3}, {Start: 1}, {Start: 2}}
	Sort(got)
	if diff := cmp.Diff([]Sample{{Start: 1}, {Start: 2}, {Start: 3}}, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
