package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

const ms = time.Millisecond

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []int
		want   Spread[int]
		text   string
	}{
		{"none", nil, Spread[int]{}, "0"},
		{"one", []int{7}, Spread[int]{7, 7, 7}, "7"},
		{"all the same", []int{4, 4, 4}, Spread[int]{4, 4, 4}, "4"},
		{"odd", []int{9, 1, 2}, Spread[int]{1, 2, 9}, "2 [1-9]"},
		{"even", []int{8, 1, 2, 4}, Spread[int]{1, 3, 8}, "3 [1-8]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			given := append([]int(nil), test.values...)
			got := SpreadOf(test.values)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("spread (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.text, got.Text(count)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(given, append([]int(nil), test.values...)); diff != "" {
				t.Errorf("the values were changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpreadTextHidesWhatRoundsAway(t *testing.T) {
	s := SpreadOf([]time.Duration{900 * time.Microsecond, 1200 * time.Microsecond})
	if got, want := s.Text(Milliseconds), "1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 499 * time.Microsecond: "0", 1500 * time.Microsecond: "2", 3 * time.Second: "3000",
	} {
		if got := Milliseconds(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	golden(t, "table.txt", Table([]Row{
		{"every process of lb1 killed", "lb1 → lb2", []time.Duration{312 * ms}, []int{301}},
		{"lb1 starts again", "lb2 → lb1", []time.Duration{3 * ms, 2 * ms, 9 * ms}, []int{0, 0, 4}},
		{"lb1 told to stop (SIGTERM)", "lb1 → lb2", []time.Duration{12345 * ms}, []int{12000}},
	}))
}

// outage is two seconds of a request a millisecond, with 300 ms of failures
// from 800 ms on, and a stall of the prober at 1500 ms.
func outage() Timeline {
	var samples []probe.Sample
	for at := time.Duration(0); at < 2*time.Second; at += ms {
		switch {
		case at >= 800*ms && at < 1100*ms:
			samples = append(samples, probe.Sample{Start: at, Failure: probe.Timeout})
		case at < 1500*ms || at >= 1600*ms:
			samples = append(samples, probe.Sample{Start: at, Server: "s1"})
		}
	}
	return Timeline{
		Samples: samples,
		Marks:   []Mark{{800 * ms, "lb1 & all its processes killed"}, {1400 * ms, "lb1 <returns>"}},
		To:      2 * time.Second,
	}
}

func TestSparkline(t *testing.T) {
	golden(t, "sparkline.txt", outage().Sparkline(40))
}

func TestSparklineMarksStayInside(t *testing.T) {
	timeline := Timeline{To: 10 * ms, Marks: []Mark{{-5 * ms, "before"}, {10 * ms, "at the end"}, {9 * ms, "last"}}}
	want := "··········\n         3\n"
	if diff := cmp.Diff(want, timeline.Sparkline(10)); diff != "" {
		t.Errorf("sparkline (-want +got):\n%s", diff)
	}
}

func TestSparklineOfNothing(t *testing.T) {
	if got := (Timeline{}).Sparkline(10); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	if got := outage().Sparkline(0); got != "" {
		t.Errorf("no columns: got %q, want nothing", got)
	}
}

func TestSVG(t *testing.T) {
	golden(t, "outage.svg", outage().SVG("Tandem & co"))
}

func TestSVGIsWellFormed(t *testing.T) {
	for _, test := range []struct {
		name     string
		timeline Timeline
	}{
		{"an outage", outage()},
		{"nothing", Timeline{}},
		{"no samples", Timeline{To: time.Second, Marks: []Mark{{ms, `"<&>`}}}},
		{"shorter than a bar", Timeline{To: ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := xml.NewDecoder(strings.NewReader(test.timeline.SVG(`a "<&> title`)))
			for {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestBuckets(t *testing.T) {
	samples := []probe.Sample{
		{Start: 0, Server: "s"}, {Start: 10 * ms, Server: "s"}, {Start: 14 * ms, Failure: probe.Reset},
		{Start: 15 * ms, Server: "s"}, {Start: 20 * ms, Server: "s"},
	}
	want := []bucket{{1, 1}, {1, 0}}
	if diff := cmp.Diff(want, buckets(samples, 10*ms, 20*ms, 2), cmp.AllowUnexported(bucket{})); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
}
