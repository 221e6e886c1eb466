package frontend

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// Turning a connection away takes nearly as much time as serving a request. Clients that
// come again at once would leave none for those that are in, the less the busier the
// node is. So when a crowd of them was turned away in one turn of a loop, the listener
// leaves new ones to the kernel, where they wait, or their handshakes are dropped at no
// cost: until an eighth of the places is free, or for four times as long as it has taken.
const (
	crowd     = 32 // in a turn of all loops together
	restShare = 4
	restMost  = 250 * time.Millisecond
	roomShare = 8
)

// A door bounds the time that goes into turning connections away.
type door struct {
	turns []turn // of each loop, which alone touches it

	resting atomic.Bool
	mu      sync.Mutex // of changes to resting, and of what they tell the sockets
	rests   uint64     // how often it has rested
	closed  []*reactor.Listener
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

// rest closes the door of sockets, unless that has happened, and returns which time it is; 0:
// it rests already.
func (d *door) rest(sockets []*reactor.Listener) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resting.Load() {
		return 0
	}
	d.resting.Store(true)
	d.rests++
	d.closed = sockets
	for _, ln := range sockets {
		ln.Pause()
	}
	return d.rests
}

// open ends the rest of that number, or any for 0.
func (d *door) open(number uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.resting.Load() || number != 0 && number != d.rests {
		return
	}
	for _, ln := range d.closed { // what was closed meanwhile stays so
		ln.Resume()
	}
	d.closed = nil
	d.resting.Store(false)
}

// turnedAway notes that a connection is turned away because there are as many as there
// may be. It runs on the loop of the connection.
func (f *Frontend) turnedAway(c *reactor.Conn) {
	l := c.Loop()
	began := l.Now()
	if !f.door.crowded(l.ID(), began) {
		return
	}
	number := f.door.rest(f.sockets.Load().all)
	if number == 0 {
		return
	}
	l.Go(func() { // behind those that are turned away
		took := time.Since(began)
		_ = l.Sleep(min(restShare*took, restMost)) // when the loop ends, nobody is accepted any more
		f.door.open(number)
	})
}

// madeRoom opens a door that rests when enough of the places are free.
func (f *Frontend) madeRoom() {
	if !f.door.resting.Load() {
		return
	}
	if most := int64(f.limits.Load().Connections); f.open() <= most-max(1, most/roomShare) {
		f.door.open(0)
	}
}
