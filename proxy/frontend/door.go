package frontend

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/ratelimit"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Turning a connection away costs about as much as serving a request. Clients that come
// again at once would leave no time for those that are in, so that a listener at its
// limit turns away this many in a second, a sixth of a processor's time or so, and leaves
// more to the kernel: they wait there, or their handshakes are dropped at no cost, until
// it has rested.
const (
	turnedAwayPerSecond = 6400
	turnedAwayAtOnce    = 128
	doorRest            = 20 * time.Millisecond
)

// A door bounds how many connections are turned away.
type door struct {
	pace    *ratelimit.Limiter
	resting atomic.Bool
}

func newDoor(now time.Time) *door {
	limit := proxy.RateLimit{Requests: turnedAwayPerSecond, Per: time.Second, Burst: turnedAwayAtOnce}
	return &door{pace: ratelimit.New(limit, 1, maphash.MakeSeed(), now)}
}

// turnedAway notes that a connection is turned away because there are as many as there
// may be. It runs on the loop of the connection.
func (f *Frontend) turnedAway(c *reactor.Conn) {
	l := c.Loop()
	if ok, _ := f.door.pace.Allow(l.Now(), nil); ok || !f.door.resting.CompareAndSwap(false, true) {
		return
	}
	sockets := f.sockets.Load().all
	for _, ln := range sockets {
		ln.Pause()
	}
	l.Go(func() {
		_ = l.Sleep(doorRest) // when the loop ends, nobody is accepted any more
		f.door.resting.Store(false)
		for _, ln := range sockets { // what was closed meanwhile stays so
			ln.Resume()
		}
	})
}
