package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	demoReadyWithin = 20 * time.Second
	demoStopWithin  = 15 * time.Second
	demoPause       = 500 * time.Millisecond // between two events, to be seen
	// The lease of a killed node's address, two seconds, and what the kernel
	// takes to act on it.
	demoAloneWithin = 3 * time.Second
)

// demo is one run of the demo.
type demo struct {
	scene     *failover.Scene
	pair      *failover.Tandem
	view      *demoView
	advertise time.Duration

	began    time.Time // when traffic flowed
	outcomes []failover.Outcome
}

// start starts both nodes and, when they are ready, the traffic.
func (d *demo) start(ctx context.Context) error {
	begin := time.Now()
	for _, node := range failover.Nodes() {
		if err := d.pair.Start(node.Name); err != nil {
			return err
		}
	}
	if err := d.ready(ctx); err != nil {
		return err
	}
	if err := d.scene.StartTraffic(proberCommand()); err != nil {
		return err
	}
	var err error
	if d.began, err = d.scene.WaitCalm(ctx); err != nil {
		return err
	}
	d.view.print("ready after %.1f s: lb1 is active, lb2 is backup, the servers are healthy, traffic flows\n",
		d.began.Sub(begin).Seconds())
	return nil
}

// ready waits until each node plays its part and finds every server healthy.
func (d *demo) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoReadyWithin, fmt.Errorf("not within %s", demoReadyWithin))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		lb1, lb2 := d.status(ctx, failover.LB1), d.status(ctx, failover.LB2)
		if demoRole(lb1) == vrrp.Active.String() && demoRole(lb2) == vrrp.Backup.String() && healthy(lb1) && healthy(lb2) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the pair does not get ready: %w: lb1 is %s, lb2 is %s",
				context.Cause(ctx), demoRole(lb1), demoRole(lb2))
		}
		for _, node := range failover.Nodes() {
			if err := d.pair.Running(node.Name); err != nil {
				return err
			}
		}
	}
}

// status asks a node for its status; nil when it does not answer.
func (d *demo) status(ctx context.Context, node string) *admin.Status {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	s, err := admin.NewClient(d.pair.Socket(node)).Status(ctx)
	if err != nil {
		return nil
	}
	return s
}

func demoRole(s *admin.Status) string {
	if s == nil || len(s.VIPs) != 1 {
		return "down"
	}
	return s.VIPs[0].Role.String()
}

// healthy reports whether the node knows its servers and finds all of them up.
func healthy(s *admin.Status) bool {
	for _, pool := range s.Pools {
		for _, server := range pool.Servers {
			if server.Health != "up" {
				return false
			}
		}
	}
	return len(s.Pools) > 0
}

// rounds lets everything happen, n times.
func (d *demo) rounds(ctx context.Context, n int) error {
	lb1 := d.scene.Lab.Host(failover.LB1)
	const a, b = failover.LB1, failover.LB2
	events := []failover.Event{
		{Name: "every process of lb1 killed", Heir: b, Do: func() error { return d.pair.Kill(a) }},
		{Name: "lb1 starts again", Heir: a, Do: func() error { return d.pair.Start(a) }},
		{Name: "link of lb1 cut", Heir: b, Do: lb1.Cut},
		{Name: "link of lb1 healed", Heir: a, Do: lb1.Heal},
		{Name: "lb1 told to stop (SIGTERM)", Heir: b, Do: func() error { return d.pair.Stop(a) }},
	}
	for i := range n {
		if i > 0 {
			if err := d.pair.WaitStopped(a, demoStopWithin); err != nil {
				return err
			}
			if err := d.happen(ctx, events[1]); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := d.happen(ctx, e); err != nil {
				return err
			}
		}
	}
	if err := d.pause(ctx); err != nil {
		return err
	}
	return d.pair.WaitStopped(a, demoStopWithin)
}

// pause lets traffic be seen undisturbed.
func (d *demo) pause(ctx context.Context) error { return failover.Pause(ctx, demoPause) }

func (d *demo) happen(ctx context.Context, e failover.Event) error {
	if err := d.pause(ctx); err != nil {
		return err
	}
	e.Phase, e.AloneWithin = d.advertise, demoAloneWithin
	d.view.happens(e.Name)
	o, err := d.scene.Measure(ctx, e)
	d.view.happens("")
	if err != nil {
		return err
	}
	d.outcomes = append(d.outcomes, o)
	d.view.outcome(o.At.Sub(d.began), o)
	return nil
}

// oneOwner checks that the pair ended well.
func (d *demo) oneOwner() error {
	owners, err := d.scene.Owners()
	if err == nil && len(owners) != 1 {
		err = fmt.Errorf("the address has %d owners at the end: %q", len(owners), owners)
	}
	var errs []error
	for _, o := range d.outcomes {
		if len(o.After) != 1 {
			errs = append(errs, fmt.Errorf("%s: the address had %d owners afterwards: %q", o.Event.Name, len(o.After), o.After))
		}
	}
	return errors.Join(append(errs, err)...)
}

// watch keeps the live line up to date until the returned function is called.
func (d *demo) watch(ctx context.Context) (stop func()) {
	if !d.view.live {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		last, lastAt := d.scene.Traffic.Totals(), time.Now()
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			totals, now := d.scene.Traffic.Totals(), time.Now()
			rate := float64(totals.Requests-last.Requests) / now.Sub(lastAt).Seconds()
			last, lastAt = totals, now
			d.view.status(fmt.Sprintf("lb1 %-6s  lb2 %-6s  %4.0f requests/s  %d failed",
				demoRole(d.status(ctx, failover.LB1)), demoRole(d.status(ctx, failover.LB2)), rate, totals.Failed))
		}
	})
	return func() { cancel(); watching.Wait(); d.view.status("") }
}

// timeline is what the client saw from the first calm moment to end.
func (d *demo) timeline(end time.Time) report.Timeline {
	origin := d.scene.Traffic.Began()
	t := report.Timeline{Samples: d.scene.Traffic.Samples(), From: d.began.Sub(origin), To: end.Sub(origin)}
	for _, o := range d.outcomes {
		t.Marks = append(t.Marks, report.Mark{
			At:    o.At.Sub(origin),
			Label: fmt.Sprintf("%s: %s, outage %s", o.Event.Name, o.Handover(), o.Window.Outage.Round(time.Millisecond)),
		})
	}
	return t
}
