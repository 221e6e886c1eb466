package notation

import (
	"math"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/internal/config/source"
)

// of returns a decoder, and a field of it that holds s.
func of(s string) (*Decoder, Field) {
	return New(source.New("x.yaml", []byte(s))), Field{Value: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: 1, Column: 1}}
}

// What is written back means what was read.
func TestSizesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(1, math.MaxInt64).Draw(t, "size")
		d, f := of(FormatSize(want))
		if got := d.Size(f, 0, 1, math.MaxInt64); got != want || d.Count() > 0 {
			t.Errorf("%d is written as %q, and read as %d, %v", want, FormatSize(want), got, d.Err())
		}
	})
}

func TestSharesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := float64(rapid.IntRange(0, millionths).Draw(t, "millionths")) / millionths
		d, f := of(FormatShare(want))
		if got := d.Share(f, -1, 0); got != want || d.Count() > 0 {
			t.Errorf("%v is written as %q, and read as %v, %v", want, FormatShare(want), got, d.Err())
		}
	})
}

func TestDurationsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "nanoseconds"))
		if rapid.Bool().Draw(t, "round") {
			want = want.Truncate(time.Second)
		}
		d, f := of(FormatDuration(want))
		if got := d.Duration(f, -1, 0, math.MaxInt64); got != want || d.Count() > 0 {
			t.Errorf("%s is written as %q, and read as %s, %v", want, FormatDuration(want), got, d.Err())
		}
	})
}

func TestLowerBoundOfShares(t *testing.T) {
	for _, tt := range []struct {
		text string
		low  float64
		want float64
	}{
		{"0%", 0, 0}, {"0%", LeastShare, -1}, {"0.0001%", LeastShare, LeastShare}, {"100%", LeastShare, 1}, {"100.0001%", 0, -1},
		{"10%", 0.1, 0.1}, {"9.9999%", 0.1, -1}, {"1.00001%", 0, -1}, {"10", 0, -1},
	} {
		d, f := of(tt.text)
		if got := d.Share(f, -1, tt.low); got != tt.want || (d.Count() > 0) != (tt.want < 0) {
			t.Errorf("Share(%q) from %v = %v, %v; want %v", tt.text, tt.low, got, d.Err(), tt.want)
		}
	}
}
