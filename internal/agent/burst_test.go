package agent

import (
	"testing"
	"time"
)

func TestBurstThenSlowRefresh(t *testing.T) {
	start := time.Unix(1000, 0)
	var b burst
	b.start(start)
	var got []time.Duration
	for now := start; now.Before(start.Add(30 * time.Second)); now = now.Add(time.Millisecond) {
		if b.due(now, 0.5) {
			got = append(got, now.Sub(start))
		}
	}
	want := []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 5 * time.Second,
		5*time.Second + 11250*time.Millisecond, 5*time.Second + 2*11250*time.Millisecond}
	if len(got) != len(want) {
		t.Fatalf("announced at %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("announcement %d at %v, want %v", i, got[i], want[i])
		}
	}
}

func TestTriggersNeverMakeAStorm(t *testing.T) {
	start := time.Unix(1000, 0)
	var b burst
	count := 0
	for now := start; now.Before(start.Add(time.Second)); now = now.Add(time.Millisecond) {
		b.start(now) // a trigger every millisecond
		if b.due(now, 0) {
			count++
		}
	}
	if most := int(time.Second / minAnnounceGap); count > most || count < most/2 {
		t.Errorf("%d announcements in a second of triggers, want about %d", count, most)
	}
}

func TestIdleBurstIsNeverDue(t *testing.T) {
	var b burst
	if b.due(time.Unix(1000, 0), 0) {
		t.Error("due before a start")
	}
}
