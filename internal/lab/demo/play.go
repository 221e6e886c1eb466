package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/probe"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	readyWithin = 20 * time.Second
	stopWithin  = 15 * time.Second
	breathe     = 500 * time.Millisecond // between two events, to be seen
	// The lease of a killed node's address, two seconds, and what the kernel
	// takes to act on it.
	aloneWithin = 3 * time.Second
)

// demo is one run of the demo.
type demo struct {
	plot      *plot
	scene     *failover.Scene
	pair      *failover.Tandem
	view      *view
	advertise time.Duration

	began    time.Time            // when traffic flowed
	outcomes [][]failover.Outcome // of each event, for each VIP
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
	if err := d.scene.StartTraffic(proberCommand); err != nil {
		return err
	}
	var err error
	if d.began, err = d.scene.WaitCalm(ctx); err != nil {
		return err
	}
	d.view.print("ready after %.1f s: %s, the servers are healthy, traffic flows\n", d.began.Sub(begin).Seconds(), d.plot.ready)
	return nil
}

// ready waits until each node plays its part and finds every server healthy.
func (d *demo) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not within %s", readyWithin))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		lb1, lb2 := d.status(ctx, failover.LB1), d.status(ctx, failover.LB2)
		if d.plays(failover.LB1, lb1) && d.plays(failover.LB2, lb2) && healthy(lb1) && healthy(lb2) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the pair does not get ready: %w: lb1 is %s, lb2 is %s",
				context.Cause(ctx), roles(lb1), roles(lb2))
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

// plays reports whether the node is active for the VIPs that it is preferred for,
// and backup for the others.
func (d *demo) plays(node string, s *admin.Status) bool {
	if s == nil || len(s.VIPs) != len(d.plot.vips) {
		return false
	}
	for _, v := range d.plot.vips {
		want := vrrp.Backup
		if v.first == node {
			want = vrrp.Active
		}
		if !slices.ContainsFunc(s.VIPs, func(is admin.VIP) bool { return is.Name == v.name && is.Role == want }) {
			return false
		}
	}
	return true
}

// roles says what the node is for each VIP.
func roles(s *admin.Status) string {
	if s == nil || len(s.VIPs) == 0 {
		return "down"
	}
	var roles []string
	for _, v := range s.VIPs {
		roles = append(roles, v.Role.String())
	}
	return strings.Join(roles, "/")
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
	for i := range n {
		if i > 0 && d.plot.again != nil {
			e, err := d.plot.again(d)
			if err != nil {
				return err
			}
			if err := d.happen(ctx, e); err != nil {
				return err
			}
		}
		for _, e := range d.plot.events(d) {
			if err := d.happen(ctx, e); err != nil {
				return err
			}
		}
	}
	if err := d.pause(ctx); err != nil {
		return err
	}
	if d.plot.again == nil {
		return nil
	}
	_, err := d.plot.again(d) // whoever was told to stop has stopped
	return err
}

// pause lets traffic be seen undisturbed.
func (d *demo) pause(ctx context.Context) error { return failover.Pause(ctx, breathe) }

func (d *demo) happen(ctx context.Context, e failover.Event) error {
	if err := d.pause(ctx); err != nil {
		return err
	}
	e.Phase, e.AloneWithin = d.advertise, aloneWithin
	d.view.happens(e.Name)
	outcomes, err := d.scene.Measure(ctx, e)
	d.view.happens("")
	if err != nil {
		return err
	}
	d.outcomes = append(d.outcomes, outcomes)
	for i, o := range outcomes {
		name := ""
		if len(outcomes) > 1 {
			name = d.plot.vips[i].name
		}
		d.view.outcome(o.At.Sub(d.began), name, o)
	}
	return nil
}

// of returns the outcomes for the i-th VIP.
func (d *demo) of(i int) []failover.Outcome {
	var all []failover.Outcome
	for _, o := range d.outcomes {
		all = append(all, o[i])
	}
	return all
}

// oneOwner checks that the pair ended well.
func (d *demo) oneOwner() error {
	var errs []error
	for i, f := range d.scene.Flows {
		owners, err := f.Owners()
		if err == nil && len(owners) != 1 {
			err = fmt.Errorf("%s has %d owners at the end: %q", f.Address, len(owners), owners)
		}
		errs = append(errs, err)
		for _, o := range d.of(i) {
			if len(o.After) != 1 {
				errs = append(errs, fmt.Errorf("%s: %s had %d owners afterwards: %q", o.Event.Name, f.Address, len(o.After), o.After))
			}
		}
	}
	return errors.Join(errs...)
}

// totals sums up the traffic so far.
func (d *demo) totals() (sum probe.Totals) {
	for _, f := range d.scene.Flows {
		t := f.Traffic.Totals()
		sum.Requests, sum.Failed = sum.Requests+t.Requests, sum.Failed+t.Failed
	}
	return sum
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
		last, lastAt := d.totals(), time.Now()
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			totals, now := d.totals(), time.Now()
			rate := float64(totals.Requests-last.Requests) / now.Sub(lastAt).Seconds()
			last, lastAt = totals, now
			d.view.status(fmt.Sprintf("lb1 %-6s  lb2 %-6s  %4.0f requests/s  %d failed",
				roles(d.status(ctx, failover.LB1)), roles(d.status(ctx, failover.LB2)), rate, totals.Failed))
		}
	})
	return func() { cancel(); watching.Wait(); d.view.status("") }
}

// timeline is what the client of the i-th VIP saw from the first calm moment to end.
func (d *demo) timeline(i int, end time.Time) report.Timeline {
	traffic := d.scene.Flows[i].Traffic
	origin := traffic.Began()
	t := report.Timeline{Samples: traffic.Samples(), From: d.began.Sub(origin), To: end.Sub(origin)}
	for _, o := range d.of(i) {
		t.Marks = append(t.Marks, report.Mark{
			At:    o.At.Sub(origin),
			Label: fmt.Sprintf("%s: %s, outage %s", o.Event.Name, o.Handover(), o.Window.Outage.Round(time.Millisecond)),
		})
	}
	return t
}
