package resolve

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/roster"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func targets(addresses ...string) []roster.Target {
	var all []roster.Target
	for _, a := range addresses {
		all = append(all, roster.Target{Address: netip.MustParseAddrPort(a)})
	}
	return all
}

func TestTTLIsBoundedAndSpread(t *testing.T) {
	for _, tc := range []struct {
		ttl    time.Duration
		random float64
		want   time.Duration
	}{
		{0, 0, time.Second},
		{0, 0.5, 1050 * time.Millisecond},
		{20 * time.Second, 0, 20 * time.Second},
		{20 * time.Second, 0.5, 21 * time.Second},
		{time.Hour, 0, 5 * time.Minute},
	} {
		var r record
		r.absorb(epoch, result{targets: targets("192.0.2.1:80"), ttl: tc.ttl}, tc.random)
		if got := r.due.Sub(epoch); got != tc.want {
			t.Errorf("TTL %v with %v: asks again after %v, want %v", tc.ttl, tc.random, got, tc.want)
		}
	}
}

func TestFailuresKeepTheLastGoodAnswer(t *testing.T) {
	var r record
	now := epoch
	r.absorb(now, result{targets: targets("192.0.2.1:80"), ttl: time.Second}, 0)
	var waits []time.Duration
	for range 8 {
		now = r.due
		r.absorb(now, result{err: errors.New("timeout")}, 0)
		waits = append(waits, r.due.Sub(now)/time.Second)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		if waits[i] != want {
			t.Errorf("after failure %d it waits %d s, want %d", i+1, waits[i], want)
		}
	}
	if len(r.answer.Targets) != 1 || !r.answer.At.Equal(epoch) || r.answer.Err != "timeout" {
		t.Errorf("the answer is %+v", r.answer)
	}
	r.absorb(now, result{targets: targets("192.0.2.2:80"), ttl: time.Second}, 0)
	if r.answer.Err != "" || !r.answer.At.Equal(now) {
		t.Errorf("after a good answer it is %+v", r.answer)
	}
}

func TestEmptyAnswersAreBelievedWhenTheyLast(t *testing.T) {
	for name, tc := range map[string]struct {
		between error // at half of the time
		left    int
	}{
		"all empty":             {errEmpty, 0},
		"a failure among them":  {errors.New("timeout"), 1},
		"a good one among them": {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var r record
			r.absorb(epoch, result{targets: targets("192.0.2.1:80")}, 0)
			r.absorb(epoch.Add(time.Second), result{err: errEmpty}, 0)
			if tc.between == nil {
				r.absorb(epoch.Add(30*time.Second), result{targets: targets("192.0.2.1:80")}, 0)
			} else {
				r.absorb(epoch.Add(30*time.Second), result{err: tc.between}, 0)
			}
			r.absorb(epoch.Add(time.Second+emptyFor-1), result{err: errEmpty}, 0)
			if len(r.answer.Targets) != 1 {
				t.Fatal("the last good answer is gone before its time")
			}
			r.absorb(epoch.Add(time.Second+emptyFor), result{err: errEmpty}, 0)
			if got := len(r.answer.Targets); got != tc.left {
				t.Errorf("%d targets, want %d", got, tc.left)
			}
		})
	}
}

func TestHintBringsTheNextQuestionForward(t *testing.T) {
	var r record
	r.absorb(epoch, result{targets: targets("192.0.2.1:80"), ttl: time.Minute}, 0)
	r.hint(epoch.Add(time.Millisecond))
	if want := epoch.Add(time.Second); !r.due.Equal(want) {
		t.Errorf("due at %v, want %v: not more often than the floor", r.due, want)
	}
	r.absorb(epoch.Add(time.Second), result{err: errors.New("timeout")}, 0)
	due := r.due
	r.hint(epoch.Add(time.Second))
	if !r.due.Equal(due) {
		t.Error("a hint overrides the wait after a failure")
	}
}

// Some nameservers fail whenever they are asked for one of the families.
func TestHalfAnAnswerTouchesOneFamily(t *testing.T) {
	half := func(addresses ...string) result {
		return result{targets: targets(addresses...), err: errors.New("AAAA: server failure")}
	}
	show := func(r record) (got []string) {
		for _, target := range r.answer.Targets {
			got = append(got, target.Address.String())
		}
		return got
	}
	var r record
	r.absorb(epoch, half("192.0.2.1:80"), 0)
	if got := show(r); !slices.Equal(got, []string{"192.0.2.1:80"}) || r.answer.Err == "" {
		t.Errorf("the first half: %v, %q", got, r.answer.Err)
	}
	r.absorb(epoch, result{targets: targets("192.0.2.1:80", "[2001:db8::1]:80"), ttl: time.Second}, 0)
	r.absorb(epoch, half("192.0.2.2:80"), 0)
	if got := show(r); !slices.Equal(got, []string{"192.0.2.2:80", "[2001:db8::1]:80"}) {
		t.Errorf("half an answer after a whole one: %v", got)
	}
	r.absorb(epoch, half(), 0)
	if got := show(r); len(got) != 2 {
		t.Errorf("half an answer of nothing: %v", got)
	}
}
