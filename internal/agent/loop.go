package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
)

// loop is the heartbeat: one goroutine that turns the core, with one place where it
// waits, and one reading of the clock in each turn. It waits for nothing but its next
// event: addresses are set by the owner, reports are sent by the reporter, sockets
// are opened beside it, and none of them is ever waited for.
type loop struct {
	host     Host
	owner    *ownership.Owner
	reporter *reporter

	mu     sync.Mutex
	waiter Waiter                   // nil before and after the loop's run
	events []func(*core, time.Time) // that have not been taken in
}

func newLoop(h Host, o *ownership.Owner, r *reporter) *loop {
	return &loop{host: h, owner: o, reporter: r}
}

// post has the core take in an event, in the order of the posting. It never blocks,
// and may be called at any time.
func (l *loop) post(event func(*core, time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event)
	if l.waiter != nil {
		l.waiter.Wake()
	}
}

// take returns what was posted since it was called last.
func (l *loop) take() []func(*core, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return events
}

// await makes w what the loop waits with, or nil nothing any more.
func (l *loop) await(w Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiter = w
	if w != nil && len(l.events) > 0 {
		w.Wake()
	}
}

func (l *loop) facts(facts []ownership.Fact) {
	l.post(func(c *core, now time.Time) {
		for _, f := range facts {
			c.fact(now, f)
		}
	})
}

func (l *loop) link(k Link) { l.post(func(c *core, now time.Time) { c.link(now, k) }) }

func (l *loop) gone(ifname string, p netip.Prefix) {
	l.post(func(c *core, now time.Time) { c.gone(now, gone{ifname, p}) })
}

// message is the word of the supervisor.
func (l *loop) message(ctx context.Context, m ipc.ToAgent) {
	l.post(func(c *core, now time.Time) { c.message(ctx, now, m) })
}

// abandoned says that the supervisor is dead: the node leaves at once.
func (l *loop) abandoned() {
	l.post(func(c *core, now time.Time) { c.leave(now, "the supervisor is gone", 0) })
}

// run turns until the node has left, or ctx is done.
func (l *loop) run(ctx context.Context) error {
	waiter, err := l.host.NewWaiter()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	sockets, watches, peer := newSockets(ctx, l, waiter), newWatches(ctx, l), newPeerWatch(l)
	l.await(waiter)
	stop := context.AfterFunc(ctx, func() { l.post(func(*core, time.Time) {}) })
	defer waiter.Close()
	defer l.await(nil)
	defer sockets.end()
	defer watches.end()
	defer peer.end()
	defer stop()
	defer cancel() // first, so that nothing waits for the loop any more
	return l.turn(ctx, newCore(outside{sockets, l.owner, l.reporter, watches, rand.Float64}, peer), waiter)
}

func (l *loop) turn(ctx context.Context, c *core, waiter Waiter) error {
	for deadline := c.step(time.Now(), nil); ; {
		if err := waiter.Wait(deadline); err != nil {
			return fmt.Errorf("the heartbeat cannot wait: %w", err)
		}
		now := time.Now()
		if ctx.Err() != nil {
			c.leave(now, "the agent stops", 0)
			return ctx.Err()
		}
		deadline = c.step(now, func(now time.Time) {
			for _, event := range l.take() {
				event(c, now)
			}
		})
		if c.left() {
			c.report(now)
			return nil
		}
	}
}
