package flow

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPace(t *testing.T) {
	type step struct {
		n    int
		wait time.Duration
	}
	tests := []struct {
		name  string
		pace  Pace
		steps []step
		want  time.Duration
	}{
		{"begins with the grace", Pace{Rate: 100}, nil, 5 * time.Second},
		{"silence ends sooner", Pace{Rate: 100, Idle: time.Second}, nil, time.Second},
		{"without a rate, silence alone", Pace{Idle: 30 * time.Second}, []step{{1, time.Hour}}, 30 * time.Second},
		{"without either, for ever", Pace{}, []step{{0, time.Hour}}, Never},
		{"bytes pay for time", Pace{Rate: 100}, []step{{200, 4 * time.Second}}, 3 * time.Second},
		{"one byte at a time does not", Pace{Rate: 100}, []step{{1, 2 * time.Second}, {1, 2 * time.Second}, {1, 990 * time.Millisecond}}, 40 * time.Millisecond},
		{"what is used up is used up", Pace{Rate: 100}, []step{{1, time.Minute}}, 0},
		{"more than a Duration can hold", Pace{Rate: 1, Idle: time.Minute}, []step{{1 << 62, time.Second}}, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.pace
			for _, s := range tt.steps {
				p.Took(s.n, s.wait)
			}
			if got := p.Allowance(); (got - tt.want).Abs() > time.Microsecond {
				t.Errorf("allowance = %v, want %v", got, tt.want)
			}
		})
	}
}

// Who keeps to the rate is Never cut; who keeps to half of it is, after ten seconds
// of waiting, however the bytes are spread.
func TestPaceEndsWhatIsSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(10, 10_000).Draw(t, "rate")
		slow := rapid.Bool().Draw(t, "slow")
		sent := func(waited time.Duration) int64 { // by then
			if slow {
				return int64(float64(rate/2) * waited.Seconds())
			}
			return int64(float64(rate)*waited.Seconds()) + 1
		}
		p := Pace{Rate: rate}
		for p.waited < 20*time.Second {
			wait := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Second)).Draw(t, "wait"))
			if wait > p.Allowance() {
				if !slow {
					t.Fatalf("cut at the rate itself: %+v", p)
				}
				return
			}
			p.Took(int(sent(p.waited+wait)-p.moved), wait)
		}
		if slow {
			t.Fatalf("not cut: %+v", p)
		}
	})
}
