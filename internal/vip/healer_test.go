package vip

import (
	"testing"
	"time"
)

func TestHealer(t *testing.T) {
	type attempt struct {
		at    time.Duration
		allow bool
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name     string
		attempts []attempt
	}{
		{"five at once", []attempt{{0, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false}}},
		{
			"then once a second",
			[]attempt{
				{0, true}, {1 * ms, true}, {2 * ms, true}, {3 * ms, true}, {4 * ms, true},
				{5 * ms, false}, {1003 * ms, false}, {1004 * ms, true}, {1005 * ms, false},
				{2003 * ms, false}, {2004 * ms, true},
			},
		},
		{
			"at once again when the oldest of five is ten seconds ago",
			[]attempt{
				{0, true}, {9500 * ms, true}, {9500 * ms, true}, {9500 * ms, true}, {9500 * ms, true},
				{9999 * ms, false}, {10000 * ms, true}, {10001 * ms, false},
			},
		},
		{
			"left alone for a while",
			[]attempt{
				{0, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false},
				{10 * time.Second, true}, {10 * time.Second, true}, {10 * time.Second, true},
				{10 * time.Second, true}, {10 * time.Second, true}, {10 * time.Second, false},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(1_000_000_000, 0)
			var h Healer
			for i, a := range tt.attempts {
				now := start.Add(a.at)
				next := h.Next()
				if got := h.Allow(now); got != a.allow {
					t.Errorf("attempt %d at %s: Allow = %t, want %t", i, a.at, got, a.allow)
				}
				if due := !next.After(now); due != a.allow {
					t.Errorf("attempt %d at %s: Next was %s", i, a.at, next.Sub(start))
				}
			}
		})
	}
}

// Whoever asks without pause gets the burst, and then one repair a second.
func TestHealerRateOverAMinute(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	var h Healer
	allowed := 0
	for at := time.Duration(0); at < time.Minute; at += 10 * time.Millisecond {
		if h.Allow(start.Add(at)) {
			allowed++
		}
	}
	if want := 5 + 59; allowed != want {
		t.Errorf("%d repairs in a minute, want %d", allowed, want)
	}
}
