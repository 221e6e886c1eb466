package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

const (
	wholeWithin = 10 * time.Minute // of a machine that starts, emulated
	takeoverIn  = 3 * time.Minute
	calm        = 2 * time.Second // without a failure, and an event is over
)

// pair is the machines, as they are known once they run.
type pair struct {
	machines
	link         string            // the interface of lb1 on the network of the VIP
	macs         map[string]string // of the nodes there
	provider, id string            // of lb1
	every        time.Duration     // from one request of the client to the next
	log          io.Writer         // where it is said what happens
}

// learn finds out what the machines are.
func (p *pair) learn(ctx context.Context) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	var err error
	if p.provider, p.id, err = p.machines.provider(preferred); err != nil {
		return err
	}
	for _, name := range []string{preferred, other, client} {
		if err := p.connect(ctx, name); err != nil {
			return err
		}
	}
	p.macs = map[string]string{}
	for _, node := range []string{other, preferred} { // lb1 last: its interface is kept
		if p.macs[node], p.link, err = p.mac(ctx, node, addressOf(node)); err != nil {
			return err
		}
	}
	return nil
}

// An outcome is what came of a fault, and of its end.
type outcome struct {
	fault         fault
	skipped       string // why it was not caused
	before, after string // who served the client; after a cut perhaps two nodes, "lb1+lb2"
	fell, healed  probe.Window
	finally       string // who serves when all is over
}

// rehearse causes the fault, waits until the other node serves, undoes it, and waits
// until the pair is as before.
func (p *pair) rehearse(ctx context.Context, f fault) (o outcome, err error) {
	o.fault = f
	if err := p.waitWhole(ctx); err != nil {
		return o, fmt.Errorf("before it: %w", err)
	}
	t, err := p.startTraffic(ctx)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	if err := t.waitCalm(ctx); err != nil {
		return o, err
	}
	if o.before, err = p.served(ctx, p.macs); err != nil {
		return o, err
	}

	p.say("%s ...", f.title)
	from := t.now()
	if err := f.do(ctx, p); errors.Is(err, errNotHere) {
		o.skipped = err.Error()
		return o, nil
	} else if err != nil {
		return o, fmt.Errorf("cause it: %w", err)
	}
	o.after, err = p.waitTakeover(ctx, t, f)
	if err != nil {
		// What was done is undone all the same.
		return o, errors.Join(err, f.undo(context.WithoutCancel(ctx), p))
	}
	o.fell = probe.Measure(t.Samples(), from, t.now())
	p.say("    %s serves, after %d ms; undone ...", o.after, o.fell.Outage.Milliseconds())

	from = t.now()
	if err := f.undo(context.WithoutCancel(ctx), p); err != nil {
		return o, fmt.Errorf("undo it: %w", err)
	}
	if err := p.waitWhole(ctx); err != nil {
		return o, fmt.Errorf("after it: %w", err)
	}
	if err := p.waitServed(ctx, preferred); err != nil {
		return o, err
	}
	if err := t.waitCalm(ctx); err != nil {
		return o, err
	}
	o.healed = probe.Measure(t.Samples(), from, t.now())
	o.finally, err = p.served(ctx, p.macs)
	p.say("    %s serves again, after %d ms", o.finally, o.healed.Outage.Milliseconds())
	return o, err
}

// waitTakeover waits until somebody serves the client undisturbed who ought to, and
// returns who.
func (p *pair) waitTakeover(ctx context.Context, t *traffic, f fault) (string, error) {
	if !f.both {
		if err := p.waitServed(ctx, other); err != nil {
			return "", err
		}
		return other, t.waitCalm(ctx)
	}
	err := until(ctx, takeoverIn, func(ctx context.Context) (string, error) {
		if owners := p.look(ctx, preferred, other).owners(); len(owners) != 2 {
			return fmt.Sprintf("owners of the VIP: %q, not both nodes", owners), nil
		}
		return "", nil
	})
	if err != nil {
		return "", err
	}
	return preferred + "+" + other, t.waitCalm(ctx)
}

func (p *pair) waitServed(ctx context.Context, node string) error {
	return until(ctx, takeoverIn, func(ctx context.Context) (string, error) {
		by, err := p.served(ctx, p.macs)
		if err != nil || by == node {
			return "", err
		}
		return fmt.Sprintf("the client is served by %q, not by %s", by, node), nil
	})
}

func (p *pair) waitWhole(ctx context.Context) error {
	return until(ctx, wholeWithin, func(ctx context.Context) (string, error) {
		return p.look(ctx, preferred, other).lacks(), nil
	})
}

func (p *pair) say(format string, args ...any) { fmt.Fprintf(p.log, format+"\n", args...) }

// traffic is the prober on the client, and what it reports.
type traffic struct {
	*probe.Recorder
	stop func() error
}

// startTraffic starts the prober. The caller stops it.
func (p *pair) startTraffic(ctx context.Context) (*traffic, error) {
	cmd := p.ssh(ctx, client, fmt.Sprintf("exec /usr/local/bin/probe -target %s:80 -every %s", vip, p.every))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the prober on %s: %w", client, err)
	}
	t := &traffic{Recorder: probe.NewRecorder()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = t.Record(out) // whoever waits for traffic is told
	}()
	t.stop = func() error {
		// The prober ends when it finds nobody to write to.
		err := cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = cmd.Wait() // it was ended by a signal
		return err
	}
	return t, nil
}

// now is the time of the newest sample, on the clock of the samples. That of the client
// has nothing to do with the one here.
func (t *traffic) now() time.Duration {
	samples := t.Samples()
	if len(samples) == 0 {
		return 0
	}
	return samples[len(samples)-1].Start
}

// waitCalm waits until every request of the last moments was answered.
func (t *traffic) waitCalm(ctx context.Context) error {
	since := t.now()
	return until(ctx, takeoverIn, func(context.Context) (string, error) { return t.agitated(since), nil })
}

// agitated says what keeps the traffic from being calm, after since; empty when nothing
// does.
func (t *traffic) agitated(since time.Duration) string {
	samples := t.Samples()
	if len(samples) == 0 || samples[len(samples)-1].Start < since+calm {
		return "the client reports nothing"
	}
	newest := samples[len(samples)-1].Start
	for _, s := range slices.Backward(samples) {
		if s.Start <= newest-calm {
			break
		}
		if s.Failure != "" {
			return "requests fail: " + string(s.Failure)
		}
	}
	return ""
}
