package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

const (
	takeoverWithin = 15 * time.Second       // beyond it, there was no takeover
	calm           = 300 * time.Millisecond // without a failure, and the event is over
	pollEvery      = 5 * time.Millisecond
	// lookBack is how long before an event a request may have been sent that
	// the event then hit.
	lookBack = 20 * time.Millisecond
)

// An Event is something done to the pair.
type Event struct {
	Name string
	Do   func() error
	// Heirs are who must own the addresses afterwards, and be known to the client,
	// in the order of the scene's flows.
	Heirs []string
	// AloneWithin is how long another owner is waited for to go, once the heirs
	// own their addresses.
	AloneWithin time.Duration
	// Phase is the interval over which the event's moment is spread, so that it
	// does not always come at the same time between two advertisements.
	Phase time.Duration
}

// An Outcome is what came of an event, for one address.
type Outcome struct {
	Event  Event
	At     time.Time
	Before []string // owners of the address
	After  []string
	Window probe.Window // from the event until traffic flowed undisturbed again
}

// Handover says who owned the address before and after: "lb1 → lb2".
func (o Outcome) Handover() string {
	return strings.Join(o.Before, "+") + " → " + strings.Join(o.After, "+")
}

// Measure lets the event happen and waits until its heirs own the addresses, as
// the client knows, and traffic flows undisturbed. The outcomes are in the order of
// the flows. An error means that this did not happen.
func (s *Scene) Measure(ctx context.Context, e Event) ([]Outcome, error) {
	if len(e.Heirs) != len(s.Flows) {
		return nil, fmt.Errorf("%s: %d heirs are named for %d addresses", e.Name, len(e.Heirs), len(s.Flows))
	}
	outcomes := make([]Outcome, len(s.Flows))
	for i, f := range s.Flows {
		var err error
		if outcomes[i].Before, err = f.Owners(); err != nil {
			return nil, err
		}
	}
	if e.Phase > 0 {
		if err := Pause(ctx, rand.N(e.Phase)); err != nil {
			return nil, err
		}
	}
	at := time.Now()
	if err := e.Do(); err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	end, err := s.settle(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	for i, f := range s.Flows {
		o := &outcomes[i]
		o.Event, o.At, o.Window = e, at, f.Traffic.Window(at.Add(-lookBack), end)
		if o.After, err = f.Owners(); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// settle waits until the event is over for every address, and returns the time up
// to which that is known.
func (s *Scene) settle(ctx context.Context, e Event) (time.Time, error) {
	for i, f := range s.Flows {
		if err := f.waitHeard(ctx, e.Heirs[i]); err != nil {
			return time.Time{}, fmt.Errorf("%s does not take the address over: %w", e.Heirs[i], err)
		}
	}
	if e.AloneWithin > 0 {
		for _, f := range s.Flows {
			// A second owner is an outcome, not an error.
			_ = f.wait(ctx, e.AloneWithin, func(owners []string) (bool, error) { return len(owners) == 1, nil })
		}
	}
	return s.WaitCalm(ctx)
}

// Pause waits for d, or says why ctx ended before.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
