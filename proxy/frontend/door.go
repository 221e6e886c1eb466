package frontend

import (
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// Turning a connection away takes nearly as much time as serving a request. Clients that
// come again at once would leave none for those that are in, the less the busier the
// node is. So when a crowd of them was turned away in one turn of a loop, the listener
// leaves new ones to the kernel for four times as long as that has taken: they wait
// there, or their handshakes are dropped at no cost.
const (
	crowd     = 32 // in a turn of all loops together
	restShare = 4
	restMost  = 250 * time.Millisecond
)

// A door bounds the time that goes into turning connections away.
type door struct {
	turns   []turn // of each loop, which alone touches it
	resting atomic.Bool
}

// A turn is how many connections were turned away in a turn of a loop.
type turn struct {
	at time.Time
	n  int
}

func newDoor(loops int) *door { return &door{turns: make([]turn, loops)} }

// crowded notes that a connection is turned away in the turn that began at now, and
// reports whether that makes a crowd.
func (d *door) crowded(loop int, now time.Time) bool {
	t := &d.turns[loop]
	if !t.at.Equal(now) {
		*t = turn{at: now}
	}
	t.n++
	return t.n == max(2, crowd/len(d.turns))
}

// turnedAway notes that a connection is turned away because there are as many as there
// may be. It runs on the loop of the connection.
func (f *Frontend) turnedAway(c *reactor.Conn) {
	l := c.Loop()
	began := l.Now()
	if !f.door.crowded(l.ID(), began) || !f.door.resting.CompareAndSwap(false, true) {
		return
	}
	sockets := f.sockets.Load().all
	for _, ln := range sockets {
		ln.Pause()
	}
	l.Go(func() { // behind those that are turned away
		took := time.Since(began)
		_ = l.Sleep(min(restShare*took, restMost)) // when the loop ends, nobody is accepted any more
		f.door.resting.Store(false)
		for _, ln := range sockets { // what was closed meanwhile stays so
			ln.Resume()
		}
	})
}
