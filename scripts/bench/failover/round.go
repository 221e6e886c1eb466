package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// The events of a round.
const (
	killed   = "everything killed"
	returned = "started again"
	cut      = "link cut"
	healed   = "link healed"
	stopped  = "SIGTERM"
)

// A pair is two load balancers in a scene.
type pair interface {
	Start(node string) error
	Kill(node string) error // every process of the node at once
	Stop(node string) error // asks for an orderly end
}

// A system is a kind of load balancer to compare.
type system struct {
	name    string
	version func() (string, error)
	// pair makes a pair whose files are in dir.
	pair func(scene *failover.Scene, dir string, advertise time.Duration) (pair, error)
	// aloneWithin is how long after a kill the dead node's address is waited
	// for to go; 0 for a system where nothing takes it away.
	aloneWithin time.Duration
}

// round takes a fresh pair through the events.
func (s system) round(ctx context.Context, advertise time.Duration, number int) (list []measurement, err error) {
	scene, err := failover.NewScene()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	dir, err := os.MkdirTemp("", "failover-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for configs and logs: %w", err)
	}
	p, err := s.pair(scene, dir, advertise)
	if err == nil {
		var outcomes []failover.Outcome
		outcomes, err = s.events(ctx, scene, p, advertise)
		for _, o := range outcomes {
			list = append(list, measurement{
				System: s.name, Advertise: milliseconds(advertise), Event: o.Event.Name, Round: number,
				Outage: milliseconds(o.Window.Outage), Requests: o.Window.Requests, Failed: o.Window.Failed, Failures: o.Window.Failures,
				Stall: milliseconds(o.Window.Stall), Owners: o.Handover(),
			})
		}
	}
	if err != nil {
		return list, fmt.Errorf("%w (logs: %s)", err, dir)
	}
	return list, os.RemoveAll(dir)
}

func (s system) events(ctx context.Context, scene *failover.Scene, p pair, advertise time.Duration) ([]failover.Outcome, error) {
	const a, b = failover.LB1, failover.LB2
	// Each node shows that it can own the address before the other may rely on
	// it.
	for _, node := range []string{b, a} {
		if err := p.Start(node); err != nil {
			return nil, err
		}
		if err := scene.WaitOwner(ctx, node); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("/proc/self/exe", "-prober")
	if err := scene.StartTraffic(cmd); err != nil {
		return nil, err
	}
	if _, err := scene.WaitCalm(ctx); err != nil {
		return nil, err
	}
	lb1 := scene.Lab.Host(a)
	var outcomes []failover.Outcome
	for _, e := range []failover.Event{
		{Name: killed, Heir: b, Do: func() error { return p.Kill(a) }, AloneWithin: s.aloneWithin},
		{Name: returned, Heir: a, Do: func() error { return p.Start(a) }, AloneWithin: time.Second},
		{Name: cut, Heir: b, Do: lb1.Cut, AloneWithin: time.Second},
		{Name: healed, Heir: a, Do: lb1.Heal, AloneWithin: time.Second},
		{Name: stopped, Heir: b, Do: func() error { return p.Stop(a) }, AloneWithin: time.Second},
	} {
		e.Phase = advertise
		o, err := scene.Measure(ctx, e)
		if err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, scene.StopTraffic()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// tandem is the system at the path binary.
func tandem(binary string) system {
	return system{
		name: "tandem",
		version: func() (string, error) {
			out, err := exec.Command(binary, "version").Output()
			if err != nil {
				return "", fmt.Errorf("ask %s for its version: %w", binary, err)
			}
			return strings.TrimSpace(string(out)), nil
		},
		pair: func(scene *failover.Scene, dir string, advertise time.Duration) (pair, error) {
			return failover.NewTandem(scene, binary, dir, advertise)
		},
		aloneWithin: 3 * time.Second, // the lease of the address, two seconds, and some
	}
}
