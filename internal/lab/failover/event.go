package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	Heir string // who must own the address afterwards, and be known to the client
	// AloneWithin is how long another owner is waited for to go, once the heir
	// owns the address.
	AloneWithin time.Duration
	// Phase is the interval over which the event's moment is spread, so that it
	// does not always come at the same time between two advertisements.
	Phase time.Duration
}

// An Outcome is what came of an event.
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

// Measure lets the event happen and waits until its heir owns the address, as
// the client knows, and traffic flows undisturbed. An error means that this did not happen.
func (s *Scene) Measure(ctx context.Context, e Event) (Outcome, error) {
	o := Outcome{Event: e}
	var err error
	if o.Before, err = s.Owners(); err != nil {
		return o, err
	}
	if e.Phase > 0 {
		if err := Pause(ctx, rand.N(e.Phase)); err != nil {
			return o, err
		}
	}
	o.At = time.Now()
	if err := e.Do(); err != nil {
		return o, fmt.Errorf("%s: %w", e.Name, err)
	}
	if err := s.wait(ctx, takeoverWithin, s.heard(e.Heir)); err != nil {
		return o, fmt.Errorf("%s: %s does not take the address over: %w", e.Name, e.Heir, err)
	}
	if e.AloneWithin > 0 {
		// A second owner is an outcome, not an error.
		_ = s.wait(ctx, e.AloneWithin, func(owners []string) (bool, error) { return len(owners) == 1, nil })
	}
	end, err := s.WaitCalm(ctx)
	if err != nil {
		return o, fmt.Errorf("%s: %w", e.Name, err)
	}
	o.Window = s.Traffic.Window(o.At.Add(-lookBack), end)
	o.After, err = s.Owners()
	return o, err
}

// heard reports whether the node is an owner, and the one that the client
// believes. An owner that died may still hold the address.
func (s *Scene) heard(node string) func(owners []string) (bool, error) {
	return func(owners []string) (bool, error) {
		if !slices.Contains(owners, node) {
			return false, nil
		}
		mac, err := s.Lab.Host(node).MAC()
		if err != nil {
			return false, err
		}
		believed, err := s.Lab.Host(Client).Neighbor(VIP().Addr())
		return bytes.Equal(mac, believed), err
	}
}

// WaitOwner waits until the node owns the address.
func (s *Scene) WaitOwner(ctx context.Context, node string) error {
	err := s.wait(ctx, takeoverWithin, func(owners []string) (bool, error) { return slices.Contains(owners, node), nil })
	if err != nil {
		return fmt.Errorf("%s does not take the address: %w", node, err)
	}
	return nil
}

// wait polls the owners of the address until accept says that they are right.
func (s *Scene) wait(ctx context.Context, within time.Duration, accept func([]string) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %s", within))
	defer cancel()
	for {
		owners, err := s.Owners()
		if err != nil {
			return err
		}
		if ok, err := accept(owners); ok || err != nil {
			return err
		}
		if err := Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("%w: it is held by %q", err, owners)
		}
	}
}

// WaitCalm waits until every request of the last moments was answered, and
// returns the time up to which that is known.
func (s *Scene) WaitCalm(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, takeoverWithin, fmt.Errorf("not within %s", takeoverWithin))
	defer cancel()
	last := errors.New("no request was sent")
	for begin := time.Now(); ; {
		now := time.Now()
		if err := s.Traffic.WaitSettled(ctx, now); err != nil {
			return now, errors.Join(fmt.Errorf("traffic does not flow: %w", err), last)
		}
		w := s.Traffic.Window(now.Add(-calm), now)
		// What took long to settle may have been followed by worse.
		fresh := time.Since(now) < calm
		if w.Requests > 0 && w.Failed == 0 && fresh && now.Sub(begin) >= calm {
			return now, nil
		}
		last = fmt.Errorf("%d of %d requests failed at last", w.Failed, w.Requests)
		if err := Pause(ctx, 10*pollEvery); err != nil {
			return now, errors.Join(fmt.Errorf("traffic does not flow: %w", err), last)
		}
	}
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
