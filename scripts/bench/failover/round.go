package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
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

// What is measured while nothing happens.
const (
	activeAtRest = "heartbeat of the active node"
	backupAtRest = "heartbeat of the standby"
)

// A pair is two load balancers in a scene.
type pair interface {
	Start(node string) error
	Kill(node string) error // every process of the node at once
	Stop(node string) error // asks for an orderly end
	// Heartbeat returns the processes of the node that take part in the election.
	Heartbeat(node string) ([]int, error)
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
	scene, err := failover.NewScene(failover.Spec{})
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
		err = s.start(ctx, scene, p)
	}
	if err == nil {
		list, err = s.atRest(ctx, p)
	}
	if err == nil {
		var events []measurement
		events, err = s.events(ctx, scene, p, advertise)
		list = append(list, events...)
	}
	for i := range list {
		list[i].System, list[i].Advertise, list[i].Round = s.name, milliseconds(advertise), number
	}
	if err != nil {
		return list, fmt.Errorf("%w (logs: %s)", err, dir)
	}
	return list, os.RemoveAll(dir)
}

// start starts both nodes. Each shows that it can own the address before the other
// may rely on it.
func (s system) start(ctx context.Context, scene *failover.Scene, p pair) error {
	for _, node := range []string{failover.LB2, failover.LB1} {
		if err := p.Start(node); err != nil {
			return err
		}
		if err := scene.Flows[0].WaitOwner(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// restFor is for how long the heartbeats of a pair without traffic are watched.
const restFor = 5 * time.Second

// atRest measures what the heartbeats cost while nothing happens.
func (s system) atRest(ctx context.Context, p pair) ([]measurement, error) {
	used := func(node string) (time.Duration, error) {
		pids, err := p.Heartbeat(node)
		if err != nil {
			return 0, err
		}
		var sum time.Duration
		for _, pid := range pids {
			d, err := lab.CPUTime(pid)
			if err != nil {
				return 0, err
			}
			sum += d
		}
		return sum, nil
	}
	nodes := map[string]string{failover.LB1: activeAtRest, failover.LB2: backupAtRest}
	before := map[string]time.Duration{}
	begin := time.Now()
	for node := range nodes {
		var err error
		if before[node], err = used(node); err != nil {
			return nil, err
		}
	}
	if err := failover.Pause(ctx, restFor); err != nil {
		return nil, err
	}
	var list []measurement
	for node, event := range nodes {
		after, err := used(node)
		if err != nil {
			return nil, err
		}
		list = append(list, measurement{Event: event, CPU: 100 * float64(after-before[node]) / float64(time.Since(begin))})
	}
	return list, nil
}

// events takes a pair that is at rest through the events of a round.
func (s system) events(ctx context.Context, scene *failover.Scene, p pair, advertise time.Duration) ([]measurement, error) {
	const a, b = failover.LB1, failover.LB2
	prober := func(target netip.Addr) *exec.Cmd {
		return exec.Command("/proc/self/exe", "-prober", target.String())
	}
	if err := scene.StartTraffic(prober); err != nil {
		return nil, err
	}
	if _, err := scene.WaitCalm(ctx); err != nil {
		return nil, err
	}
	lb1 := scene.Lab.Host(a)
	var list []measurement
	for _, e := range []failover.Event{
		{Name: killed, Heirs: []string{b}, Do: func() error { return p.Kill(a) }, AloneWithin: s.aloneWithin},
		{Name: returned, Heirs: []string{a}, Do: func() error { return p.Start(a) }, AloneWithin: time.Second},
		{Name: cut, Heirs: []string{b}, Do: lb1.Cut, AloneWithin: time.Second},
		{Name: healed, Heirs: []string{a}, Do: lb1.Heal, AloneWithin: time.Second},
		{Name: stopped, Heirs: []string{b}, Do: func() error { return p.Stop(a) }, AloneWithin: time.Second},
	} {
		e.Phase = advertise
		outcomes, err := scene.Measure(ctx, e)
		if err != nil {
			return list, err
		}
		o := outcomes[0]
		list = append(list, measurement{
			Event: o.Event.Name, Outage: milliseconds(o.Window.Outage), Requests: o.Window.Requests, Failed: o.Window.Failed,
			Failures: o.Window.Failures, Stall: milliseconds(o.Window.Stall), Owners: o.Handover(),
		})
	}
	return list, scene.StopTraffic()
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
			t, err := failover.NewTandem(scene, binary, dir, failover.Config(advertise))
			return tandemPair{t}, err
		},
		aloneWithin: 3 * time.Second, // the lease of the address, two seconds, and some
	}
}

type tandemPair struct{ *failover.Tandem }

func (t tandemPair) Heartbeat(node string) ([]int, error) {
	pid, err := t.Agent(node)
	return []int{pid}, err
}
