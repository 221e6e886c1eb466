package tickets

import (
	"testing"
	"time"
)

func TestANodeThatStartsAsksBeforeItMakesAKey(t *testing.T) {
	made := byte(0)
	fresh := func() Secret { made++; return Secret{100 + made} }
	for name, tc := range map[string]struct {
		after   time.Duration // of the second look
		said    []Key
		awaited bool
		want    string
	}{
		"alone":                   {0, nil, false, "101"},
		"its peer has not spoken": {Patience - time.Second, nil, true, ""},
		"its peer is silent":      {Patience, nil, true, "101"},
		"its peer has keys":       {time.Second, []Key{key(1, -time.Hour)}, false, "1"},
		"its peer has none":       {time.Second, nil, false, "101"},
		"its clock was set back":  {-time.Hour, nil, true, "101"},
	} {
		made = 0
		var k Keeper
		first := k.Look(noon, "lb1", nil, tc.after != 0, fresh)
		if len(first) > 0 && tc.after != 0 {
			t.Errorf("%s: a key at once", name)
		}
		if got := numbers(k.Look(noon.Add(tc.after), "lb1", tc.said, tc.awaited, fresh)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestARotationKeepsTheOldKeys(t *testing.T) {
	made := byte(0)
	fresh := func() Secret { made++; return Secret{made} }
	var k Keeper
	var now time.Time
	look := func() string { return numbers(k.Look(now, "lb1", nil, false, fresh)) }
	now = noon
	look()
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{Rotation - time.Second, "1"},
		{Rotation + jitter, "1 2"},
		{Rotation + jitter + Spread, "2 1"},
		{2 * (Rotation + jitter), "2 3 1"},
		{2*(Rotation+jitter) + Spread, "3 2 1"},
		{Validity + time.Second, "3 2"},
	} {
		now = noon.Add(step.after)
		if got := look(); got != step.want {
			t.Errorf("after %v: %q, want %q", step.after, got, step.want)
		}
	}
}
