package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
	"github.com/tandemlb/tandem/scripts/chaos/report"
	"github.com/tandemlb/tandem/scripts/chaos/stage"
)

const (
	// lag is for how long an event may be under way to the judge: a status is
	// waited for, and has the time at which it was asked.
	lag = 2500 * time.Millisecond
	// hearEvery is how often the judge hears what has come.
	hearEvery = 100 * time.Millisecond
)

// court brings what is seen before the judge, in the order of time.
type court struct {
	judge  *judge.Judge
	record *report.Record
	tell   func(judge.Violation)

	mu      sync.Mutex
	waiting []judge.Event
}

// Tell takes an event, of any goroutine.
func (c *court) Tell(e judge.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, e)
}

// hear hears all events up to a time.
func (c *court) hear(until time.Duration) {
	c.mu.Lock()
	slices.SortStableFunc(c.waiting, func(a, b judge.Event) int { return int(a.At - b.At) })
	n := 0
	for n < len(c.waiting) && c.waiting[n].At <= until {
		n++
	}
	due := slices.Clone(c.waiting[:n])
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
	c.mu.Unlock()
	for _, e := range due {
		c.record.Add(e)
		for _, v := range c.judge.Feed(e) {
			c.record.Violations = append(c.record.Violations, v)
			c.tell(v)
		}
	}
}

// sit hears events as they come, until ctx is done, and then the rest.
func (c *court) sit(ctx context.Context, began time.Time) {
	tick := time.NewTicker(hearEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.hear(time.Since(began) - lag)
		case <-ctx.Done():
			c.hear(1<<63 - 1)
			return
		}
	}
}

// playAt plays a plan with the programs in dir, and returns what came of it.
func playAt(ctx context.Context, p plan.Plan, dir string) (*report.Record, error) {
	record := report.New(p)
	var began time.Time
	say := func(format string, args ...any) {
		at := 0.0
		if !began.IsZero() {
			at = time.Since(began).Seconds()
		}
		fmt.Printf("%8.2fs  %s\n", at, fmt.Sprintf(format, args...))
	}
	c := &court{judge: judge.New(judge.Promised(stage.Advertise, stage.Lease)), record: record}
	c.tell = func(v judge.Violation) {
		say("VIOLATION of %s at %.3fs: %s\n           %s", v.Invariant, v.At.Seconds(), v.What, v.Evidence)
	}
	// What looks at the pair is scheduled as the agents are; the clients are not.
	record.Realtime = probe.Prioritize() == nil
	s, err := stage.Open(ctx, stage.Options{
		Binary: filepath.Join(dir, "tandem"), Self: filepath.Join(dir, "chaos"), Dir: dir, Tell: c.Tell, Log: say,
	})
	if err != nil {
		return nil, err
	}
	began = s.Began()
	hearing, end := context.WithCancel(context.WithoutCancel(ctx))
	var sitting sync.WaitGroup
	sitting.Go(func() { c.sit(hearing, began) })
	err = s.Play(ctx, p)
	record.Lasted = time.Since(began)
	err = errors.Join(err, s.Finish(context.WithoutCancel(ctx)), s.Logs(), s.Close())
	end()
	sitting.Wait()
	record.Figures, record.Excused = c.judge.Figures, c.judge.Excused
	return record, err
}
