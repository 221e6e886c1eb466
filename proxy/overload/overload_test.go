package overload

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestShedsBeforeALimitIsReached(t *testing.T) {
	for name, tc := range map[string]struct {
		sample Sample
		why    string
	}{
		"idle":              {Sample{10, 1000, 10 << 20, 100 << 20}, ""},
		"almost":            {Sample{899, 1000, 89 << 20, 100 << 20}, ""},
		"descriptors":       {Sample{900, 1000, 0, 0}, "900 of 1000 descriptors are in use"},
		"memory":            {Sample{1, 1000, 90 << 20, 100 << 20}, "90 MiB of 100 MiB of memory are in use"},
		"without any limit": {Sample{1 << 40, 0, 1 << 60, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var g Gauge
			if changed := g.Observe(epoch, tc.sample); changed != (tc.why != "") || g.Status().Reason != tc.why {
				t.Errorf("%v, %+v, want %q", changed, g.Status(), tc.why)
			}
		})
	}
}

func TestSheddingEndsWellBelowTheLimit(t *testing.T) {
	var g Gauge
	at := func(n int) Sample { return Sample{Descriptors: uint64(n), DescriptorLimit: 100} }
	for i, step := range []struct {
		after time.Duration
		used  int
		sheds bool
	}{
		{0, 89, false}, {0, 90, true}, {500 * time.Millisecond, 10, true}, // not yet: it has just begun
		{2 * time.Second, 89, true}, {3 * time.Second, 85, true}, {4 * time.Second, 84, false},
		{4 * time.Second, 89, false}, {5 * time.Second, 95, true},
	} {
		g.Observe(epoch.Add(step.after), at(step.used))
		if sheds := g.Status().Reason != ""; sheds != step.sheds {
			t.Errorf("step %d: sheds %v, want %v", i, sheds, step.sheds)
		}
	}
	if got := g.Status().Count; got != 2 {
		t.Errorf("it began %d times, want 2", got)
	}
}

func TestItDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g Gauge
		now := epoch
		for _, used := range rapid.SliceOf(rapid.Uint64Range(0, 100)).Draw(t, "used") {
			before := g.Status()
			now = now.Add(100 * time.Millisecond)
			if g.Observe(now, Sample{Descriptors: used, DescriptorLimit: 100}); g.Status().Reason == "" && before.Reason != "" && now.Sub(before.Since) < hold {
				t.Fatalf("it ended after %v", now.Sub(before.Since))
			}
			if g.Status().Reason == "" && used >= 90 {
				t.Fatalf("nothing is shed with %d of 100", used)
			}
		}
	})
}
