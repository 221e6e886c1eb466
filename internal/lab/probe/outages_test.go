package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOutagesAreFoundAsTheyEnd(t *testing.T) {
	var o Outages
	batch := func(text string) []Outage {
		t.Helper()
		b, err := ParseBatch([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return o.Add(b)
	}
	for _, step := range []struct {
		name, batch string
		want        []Outage
		ongoing     time.Duration // at 9 ms
	}{
		{"answers", "3000 1000+a 2000+b", nil, 0},
		{"a failure that may be followed by an answer", "4000 3000-refused 5000+a", nil, 7 * ms},
		{"the answer in between is late", "6000 4000+b", []Outage{
			{From: 2 * ms, For: 2 * ms, Failed: 1, Failures: map[Failure]int{Refused: 1}},
		}, 0},
		{"it fails", "8000 7000-timeout 6000-reset", nil, 4 * ms},
		{"it goes on", "9000 8000-timeout", nil, 4 * ms},
		{"two at once", "20000 9000+a 10000-slow 12000+b", []Outage{
			{From: 5 * ms, For: 4 * ms, Failed: 3, Failures: map[Failure]int{Timeout: 2, Reset: 1}},
			{From: 9 * ms, For: 3 * ms, Failed: 1, Failures: map[Failure]int{Slow: 1}},
		}, 0},
	} {
		if diff := cmp.Diff(step.want, batch(step.batch)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if outage, ongoing := o.Ongoing(9 * ms); ongoing != (step.ongoing > 0) || ongoing && outage.For != step.ongoing {
			t.Errorf("%s: ongoing %t: %+v", step.name, ongoing, outage)
		}
	}
	if o.Total != (Totals{Requests: 11, Failed: 5}) || o.Longest != 4*ms || len(o.waiting) != 0 {
		t.Errorf("at last %+v", o)
	}
}

func TestAnOutageFromTheBeginning(t *testing.T) {
	var o Outages
	o.Add(Batch{Settled: ms, Samples: []Sample{{Start: 0, Failure: Refused}}})
	got := o.Add(Batch{Settled: 2 * time.Second, Samples: []Sample{{Start: time.Second, Server: "a"}}})
	want := []Outage{{For: time.Second, Failed: 1, Failures: map[Failure]int{Refused: 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
