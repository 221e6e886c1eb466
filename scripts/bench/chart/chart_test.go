package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wellFormed fails the test unless the picture is XML.
func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
}

func TestPictureShowsEveryPoint(t *testing.T) {
	svg := SVG("a & b", []Chart{{
		Title: "<x>", X: "rate", Y: "ms", LogX: true, LogY: true, Limit: 100,
		Lines: []Line{{Name: "one", Points: []Point{{X: 10, Y: 1}, {X: 100, Y: 10, Hollow: true}, {X: 0, Y: 3}}}},
		Marks: []Mark{{X: 20}},
	}}, 1)
	wellFormed(t, svg)
	if got := strings.Count(svg, "<circle"); got != 2 {
		t.Errorf("%d points are drawn, want 2: on a logarithmic axis there is no 0", got)
	}
	for _, want := range []string{"a &amp; b", "&lt;x&gt;", `class="hollow c0"`, `class="limit"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture has no %q", want)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("the picture has numbers that are none")
	}
}

func TestEmptyChartsAreDrawn(t *testing.T) {
	for name, c := range map[string]Chart{
		"no line": {}, "no point": {Lines: []Line{{}}}, "one point": {Lines: []Line{{Points: []Point{{X: 1, Y: 1}}}}},
		"nothing above zero": {LogY: true, Lines: []Line{{Points: []Point{{X: 1}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			svg := SVG(name, []Chart{c, c, c}, 2)
			wellFormed(t, svg)
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Error("the picture has numbers that are none")
			}
		})
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, test := range []struct {
		s    scale
		want []float64
	}{
		{scale{low: 0, high: 10}, []float64{0, 2, 4, 6, 8, 10}},
		{scale{low: 0, high: 105}, []float64{0, 20, 40, 60, 80, 100}},
		{scale{low: 0.4, high: 300, log: true}, []float64{1, 10, 100}},
		{scale{low: 4000, high: 40000, log: true}, []float64{5000, 10000, 20000}},
		{scale{low: 10, high: 20, log: true}, []float64{10, 12, 14, 16, 18, 20}},
	} {
		if diff := cmp.Diff(test.want, test.s.ticks()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.s, diff)
		}
	}
}

func TestScaleReachesBothEnds(t *testing.T) {
	for _, log := range []bool{false, true} {
		s := scale{low: 2, high: 200, from: 10, to: 110, log: log}
		if s.at(2) != 10 || math.Abs(s.at(200)-110) > 1e-9 {
			t.Errorf("log %v: %v and %v, want 10 and 110", log, s.at(2), s.at(200))
		}
	}
}
