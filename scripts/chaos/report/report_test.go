package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

const second = time.Second

// record is a short run with one failover and one violation.
func record() *Record {
	r := New(plan.New(4, 3*time.Minute))
	r.Lasted = 3 * time.Minute
	j := judge.New(judge.Promised(100*time.Millisecond, 2*second))
	for at := time.Duration(0); at < r.Lasted; at += 100 * time.Millisecond {
		for _, e := range []judge.Event{
			{What: judge.Sample, Holds: [2]bool{at < 70*second, at >= 70*second}},
			{What: judge.State, Node: 0, Status: judge.Status{Ready: at < 70*second, Role: "active"}},
			{What: judge.State, Node: 1, Status: judge.Status{Ready: true, Role: "backup"}},
			{What: judge.Outcome, Text: "http", OK: at < 70*second || at > 71*second, Reason: "timeout"},
		} {
			e.At = at
			r.Add(e)
			r.Violations = append(r.Violations, j.Feed(e)...)
		}
	}
	r.Violations = []judge.Violation{{At: 71 * second, Invariant: "I2", What: "nobody <has> it", Evidence: "lb1 & lb2"}}
	r.Figures = j.Figures
	return r
}

func TestThePictureIsWellFormed(t *testing.T) {
	text := record().SVG()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for part, least := range map[string]int{
		`class="violation" d=`: 1, `class="failed"`: 1, `class="active"`: 1, `class="unfit"`: 2, `class="holds"`: 3, `class="fault"`: 3, ">address, lb2<": 2,
	} {
		if n := strings.Count(text, part); n < least {
			t.Errorf("the picture has %d of %q, want %d", n, part, least)
		}
	}
}

func TestTheReportNamesWhatMatters(t *testing.T) {
	text := record().Markdown("timeline.svg")
	for _, part := range []string{
		"# Chaos, seed 4: 1 violations", "**I2** at 71.000s: nobody <has> it", "| changes of the owner | 1 |", "| http | 1800 | 11 |", "1.2s at 69.9s", "(timeline.svg)",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the report does not say %q:\n%s", part, text)
		}
	}
	quiet := New(plan.New(4, 0))
	if text := quiet.Markdown(""); !strings.Contains(text, "every promise was kept") {
		t.Errorf("a run without a violation reads\n%s", text)
	}
	if !strings.Contains(quiet.SVG(), "</svg>") {
		t.Error("a run that did not last has no picture")
	}
}

func TestSpansEndWhereNobodySpeaks(t *testing.T) {
	var spans []span
	for _, at := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 5 * second, 5*second + 100*time.Millisecond} {
		spans = extend(spans, at, "active")
	}
	if len(spans) != 2 || spans[0].to != 200*time.Millisecond || spans[1].from != 5*second {
		t.Errorf("spans %v", spans)
	}
}
