package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// The stretches of an overload, and how the rate goes in them, in terms of what the
// proxy can hold.
const (
	calmBefore, calmShare = 4 * time.Second, 0.5
	tooMuch, tooMuchShare = 8 * time.Second, 2.0
	calmAfter             = 8 * time.Second
)

// An ordeal is what came of an overload.
type ordeal struct {
	System string
	Knee   float64 // what the proxy holds, requests a second

	before, during, after tally
	recovery              time.Duration // from the end of the overload until all was well
	recovered             bool
	left                  int // connections that the proxy has when their clients have gone
	hinted, denied        int // answers that turned requests away: with Retry-After, and all
	open                  int
	memory                [3]int // bytes: before, at most, and at the end
	late                  time.Duration
	shares                shares // during the overload
}

// overload puts twice as much on an instance as it can hold, between times of half of
// that.
func (a *arena) overload(ctx context.Context, l ladder, i *side.Instance, knee float64) (ordeal, error) {
	a.seed++
	first := calmBefore
	second := first + tooMuch
	third := second + calmAfter
	load, err := l.load(i.Listen, a.seed, stretch{first, calmShare * knee}, stretch{second, tooMuchShare * knee}, stretch{third, calmShare * knee})
	if err != nil {
		return ordeal{}, err
	}
	var before, after usage
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	o := ordeal{Knee: knee}
	memory := func() (n int) {
		n, err := resident(i.Worker)
		note(err)
		return n
	}
	use := func(into *usage) func() {
		return func() {
			u, err := a.usage(i)
			*into = u
			note(err)
		}
	}
	moments := []moment{
		{first - time.Millisecond, func() { o.memory[0] = memory() }},
		{first - time.Millisecond, use(&before)},
		{second - time.Millisecond, use(&after)},
		{third, func() { o.memory[2] = memory() }},
	}
	for at := first; at < third; at += 100 * time.Millisecond {
		moments = append(moments, moment{at, func() { o.memory[1] = max(o.memory[1], memory()) }})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	got, err := load.run(ctx, moments)
	note(err)
	if len(errs) > 0 {
		return ordeal{}, fmt.Errorf("overload: %w", errs[0])
	}
	// Its first second is that of the kernel's queues, which fill.
	o.before, o.during = tallied(got.samples, time.Second, first), tallied(got.samples, first+time.Second, second)
	o.recovery, o.recovered = a.bound.recovery(got.samples, second, third)
	o.after = tallied(got.samples, second+o.recovery, third)
	o.hinted, o.denied, o.open = got.hinted, got.denied, got.open
	o.late, o.shares = tallied(got.late, first, second).lateness(), before.until(after)
	o.left, err = left(ctx, i.Listen)
	return o, err
}
