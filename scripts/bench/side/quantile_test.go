package side

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var sorted []time.Duration
	if got := Quantile(sorted, 0.5); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
	for n := range 100 {
		sorted = append(sorted, time.Duration(n+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := Quantile(sorted, q); got != want {
			t.Errorf("%g: got %d, want %d", q, got, want)
		}
	}
}
