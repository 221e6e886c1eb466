package agent

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// rewatchAfter is how long a watch that ended, because its interface went say, is
// left alone before it is begun anew.
const rewatchAfter = time.Second

// sight is what a watch saw: a gateway that ceased or began to answer, or a claim.
type sight struct {
	gateway GatewayOptions
	alive   bool

	ifname string // with a claim
	claim  Claim
}

// watches runs the watches over gateways and claims, each in a goroutine.
type watches struct {
	loop *loop
	ctx  context.Context // of the loop's run

	running map[string]context.CancelFunc // by what is watched; owned by the loop
	wg      sync.WaitGroup
}

func newWatches(ctx context.Context, l *loop) *watches {
	return &watches{loop: l, ctx: ctx, running: map[string]context.CancelFunc{}}
}

// want ends the watches that are not among these, and begins the new ones.
func (w *watches) want(gateways []GatewayOptions, claims []ClaimOptions) {
	wanted := map[string]func(context.Context) error{}
	for _, o := range gateways {
		wanted[fmt.Sprintf("gateway %v", o)] = func(ctx context.Context) error {
			return w.loop.host.WatchGateway(ctx, o, func(alive bool) { w.tell(sight{gateway: o, alive: alive}) })
		}
	}
	for _, o := range claims {
		wanted[fmt.Sprintf("claims %v", o)] = func(ctx context.Context) error {
			return w.loop.host.WatchClaims(ctx, o, func(k Claim) { w.tell(sight{ifname: o.Interface, claim: k}) })
		}
	}
	for key, stop := range w.running {
		if wanted[key] == nil {
			stop()
			delete(w.running, key)
		}
	}
	for key, run := range wanted {
		if w.running[key] == nil {
			var ctx context.Context
			ctx, w.running[key] = context.WithCancel(w.ctx)
			w.wg.Go(func() { w.keep(ctx, key, run) })
		}
	}
}

// keep runs a watch until ctx is done.
func (w *watches) keep(ctx context.Context, what string, run func(context.Context) error) {
	var said string
	for {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if text := fmt.Sprint(err); text != said {
			said = text
			w.loop.reporter.log("warn", "cannot watch", map[string]any{"what": what, "error": text})
		}
		select {
		case <-time.After(rewatchAfter):
		case <-ctx.Done():
			return
		}
	}
}

func (w *watches) tell(s sight) {
	w.loop.post(func(c *core, now time.Time) { c.saw(now, s) })
}

// end waits for all watches. The context that watches was made with is done.
func (w *watches) end() {
	for _, stop := range w.running {
		stop()
	}
	w.wg.Wait()
}
