package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/faulty"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// Play does what the plan says, when it says so. When ctx is canceled, what goes on
// is undone, and the rest left out.
func (s *Stage) Play(ctx context.Context, p plan.Plan) error {
	var all errgroup.Group
	for _, f := range p.Faults() {
		all.Go(func() error {
			if !s.wait(ctx, f.At) {
				return nil
			}
			if err := s.apply(ctx, f); err != nil {
				return fmt.Errorf("fault #%d, %v: %w", f.ID, f, err)
			}
			return nil
		})
	}
	err := all.Wait()
	s.wait(ctx, p.Length)
	return err
}

// wait waits until a time of the clock, and reports whether it came before ctx was
// canceled.
func (s *Stage) wait(ctx context.Context, until time.Duration) bool {
	timer := time.NewTimer(until - s.clock())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// apply does a fault and undoes it.
func (s *Stage) apply(ctx context.Context, f plan.Fault) error {
	s.Log("#%d %v", f.ID, f)
	s.say(judge.Event{What: judge.Begin, N: f.ID, Text: f.String(), OK: f.Harmless()})
	undo, err := s.begin(ctx, f)
	if err == nil {
		s.wait(ctx, s.clock()+f.For)
	}
	if undo != nil {
		err = errors.Join(err, undo())
	}
	s.say(judge.Event{What: judge.End, N: f.ID})
	return err
}

// begin does a fault. What it returns undoes it, and is called in any case.
func (s *Stage) begin(ctx context.Context, f plan.Fault) (undo func() error, err error) {
	switch f.Kind {
	case plan.Kill:
		return nil, s.node(f.Node).kill(f.Part, f.For)
	case plan.Stop:
		return s.node(f.Node).stop(f.Part)
	case plan.LinkDown, plan.LinkSilent:
		return s.cut(f)
	case plan.Loss, plan.OneWay, plan.NetLoss:
		return s.lose(f)
	case plan.ServerCrash, plan.ServerSlow:
		server := s.servers[f.Node]
		kind := map[plan.Kind]faulty.Kind{plan.ServerCrash: faulty.Refuse, plan.ServerSlow: faulty.StallHead}[f.Kind]
		return func() error { return server.set(faulty.None) }, server.set(kind)
	case plan.Reload, plan.ReloadBad:
		return nil, s.reload(ctx, f)
	case plan.CPU:
		return s.hogs(f.Amount)
	case plan.Memory:
		return s.squeeze(f)
	case plan.Descriptors:
		return s.exhaust(f)
	case plan.Malformed:
		return nil, s.malformed(ctx, f)
	}
	return nil, fmt.Errorf("unknown kind %q", f.Kind)
}

func (s *Stage) node(name string) *node {
	if name == plan.LB1 {
		return s.nodes[0]
	}
	return s.nodes[1]
}

// peer is the name of the other node.
func peer(name string) string {
	if name == plan.LB1 {
		return plan.LB2
	}
	return plan.LB1
}

func (s *Stage) cut(f plan.Fault) (func() error, error) {
	n := s.node(f.Node)
	s.say(judge.Event{What: judge.LinkOff, Node: n.index})
	undo := func() error {
		err := n.host.Heal()
		s.say(judge.Event{What: judge.LinkOn, Node: n.index})
		return err
	}
	if f.Kind == plan.LinkDown {
		return undo, n.host.Cut()
	}
	return undo, n.host.CutSilently()
}

func (s *Stage) lose(f plan.Fault) (func() error, error) {
	part, percent, ways := f.Part, f.Amount, []way{{plan.LB1, plan.LB2}, {plan.LB2, plan.LB1}}
	switch f.Kind {
	case plan.OneWay:
		percent, ways = 100, []way{{f.Node, peer(f.Node)}}
	case plan.NetLoss:
		part, ways = plan.Everything, []way{{f.Node, ""}, {"", f.Node}}
	}
	suffer := []string{part}
	if part == plan.Everything {
		suffer = []string{judge.Heartbeat, judge.Gossip}
	}
	for _, p := range suffer {
		s.say(judge.Event{What: judge.Bad, Part: p})
	}
	return func() error {
		err := s.filter.pass(f.ID)
		for _, p := range suffer {
			s.say(judge.Event{What: judge.Good, Part: p})
		}
		return err
	}, s.filter.lose(f.ID, part, percent, ways...)
}

// reload has a node take up a config, or refuse one, and tells whether it did.
func (s *Stage) reload(ctx context.Context, f plan.Fault) error {
	n := s.node(f.Node)
	s.mu.Lock()
	s.reloads++
	variant := s.reloads
	if f.Kind == plan.Reload {
		s.variant[n.index]++
	}
	good := s.config(s.variant[n.index])
	s.mu.Unlock()
	before, err := n.status(ctx)
	if err != nil {
		return nil // it is not there to be asked, of another fault's making
	}
	text := good
	if f.Kind == plan.ReloadBad {
		text = s.badConfig(variant)
	}
	if err := os.WriteFile(n.configFile(), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer := n.client.Reload(limited)
	if err := os.WriteFile(n.configFile(), []byte(good), 0o644); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	after, err := n.status(ctx)
	if err != nil {
		return nil
	}
	ok, what := answer == nil && after.Config.Hash != before.Config.Hash, fmt.Sprintf("%s does not take up a good config: %v", n.name, answer)
	if f.Kind == plan.ReloadBad {
		ok = answer != nil && after.Config.Hash == before.Config.Hash && after.Config.Refused != ""
		what = fmt.Sprintf("%s does not refuse a bad config, or does not say so: answer %v, status %q", n.name, answer, after.Config.Refused)
	}
	s.say(judge.Event{What: judge.Check, Node: n.index, Reason: "I6", OK: ok, Text: what})
	return nil
}

// hogs starts processes that only compute.
func (s *Stage) hogs(n int) (func() error, error) {
	var hogs []*lab.Process
	var failed error
	for range n {
		p, err := s.lab.Host(rogue).Start(s.command(s.Self, "-hog"))
		if err != nil {
			failed = err
			break
		}
		hogs = append(hogs, p)
	}
	return func() error {
		err := lab.Kill(hogs...)
		for _, p := range hogs {
			<-p.Done()
		}
		return err
	}, failed
}

// exhaust lets a part of a node open only so many descriptors more. A process may
// limit another of its own user alone, so that the user of the part does it.
func (s *Stage) exhaust(f plan.Fault) (func() error, error) {
	n := s.node(f.Node)
	parts, err := n.parts()
	id, ok := parts[f.Part]
	if err != nil || !ok {
		return nil, err
	}
	open, err := descriptors(id.pid)
	if err != nil {
		return nil, nil // it has ended since
	}
	if f.Part == plan.Worker {
		s.say(judge.Event{What: judge.Down, Node: n.index, Part: f.Part})
	}
	limit := func(most int) error {
		if !id.alive() {
			return nil
		}
		out, err := asUserOf(id.pid, exec.Command(s.Self, "-limit", strconv.Itoa(id.pid), "-descriptors", strconv.Itoa(most)))
		if err != nil && id.alive() {
			return fmt.Errorf("limit the descriptors of process %d: %w: %s", id.pid, err, out)
		}
		return nil
	}
	return func() error {
		err := limit(-1)
		if f.Part == plan.Worker {
			s.say(judge.Event{What: judge.Up, Node: n.index, Part: f.Part})
		}
		return err
	}, limit(open + f.Amount)
}
