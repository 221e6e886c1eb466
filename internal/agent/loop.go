package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
)

// loop is the heartbeat: one goroutine that turns the core, with one timer, and
// one reading of the clock in each turn. It waits for nothing but its next event:
// addresses are set by the owner, reports are sent by the reporter, sockets are
// opened beside it, and none of them is ever waited for.
type loop struct {
	host     Host
	owner    *ownership.Owner
	reporter *reporter
	linksC   chan Link
	goneC    chan gone
}

func newLoop(h Host, o *ownership.Owner, r *reporter) *loop {
	return &loop{
		host: h, owner: o, reporter: r,
		linksC: make(chan Link, 16),
		goneC:  make(chan gone, 64),
	}
}

// run turns until the node has left. A message channel that is closed means
// that the supervisor is dead: the node leaves at once.
func (l *loop) run(ctx context.Context, messages <-chan ipc.ToAgent) error {
	ctx, cancel := context.WithCancel(ctx)
	sockets, watches, peer := newSockets(ctx, l.host), newWatches(ctx, l.host, l.reporter), &peerWatch{host: l.host}
	defer sockets.end()
	defer watches.end()
	defer peer.end()
	defer cancel() // first, so that nothing waits for the loop any more
	c := newCore(outside{sockets, l.owner, l.reporter, watches, rand.Float64}, peer)
	timer := time.NewTimer(0)
	defer timer.Stop()
	deadline := c.step(time.Now(), nil)
	for {
		timer.Reset(time.Until(deadline))
		var readable *sharedSocket
		var event func(now time.Time)
		select {
		case <-ctx.Done():
			c.leave(time.Now(), "the agent stops", 0)
			return ctx.Err()
		case <-timer.C:
		case readable = <-sockets.readableC:
		case o := <-sockets.openedC:
			if o.err == nil {
				sockets.watch(o.conn)
			}
			event = func(now time.Time) { c.opened(now, o) }
		case k := <-l.linksC:
			event = func(now time.Time) { c.link(now, k) }
		case g := <-l.goneC:
			event = func(now time.Time) { c.gone(now, g) }
		case s := <-watches.sightC:
			event = func(now time.Time) { c.saw(now, s) }
		case f := <-l.owner.Facts():
			event = func(now time.Time) { c.fact(now, f) }
		case e := <-peer.events():
			event = func(now time.Time) { c.peer(now, e) }
		case m, ok := <-messages:
			if !ok {
				messages = nil
				event = func(now time.Time) { c.leave(now, "the supervisor is gone", 0) }
				break
			}
			event = func(now time.Time) { c.message(ctx, now, m) }
		}
		now := time.Now()
		deadline = c.step(now, event)
		if readable != nil {
			readable.resume <- struct{}{} // capacity 1, and one readable at a time
		}
		if c.left() {
			c.report(now)
			return nil
		}
	}
}
