package agent

import (
	"time"

	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/internal/ownership"
)

// What the node sends about its addresses is limited over all its virtual
// routers, whatever happens: switches throttle what looks like a storm, and then
// drop the announcement that mattered.
const (
	// framesAtOnce is how many frames may go out together: the first
	// announcement of a hundred IPv4 addresses is not delayed.
	framesAtOnce = 200
	// framesPerSecond is the cap in the long run.
	framesPerSecond = 1000
)

// cost is how many Ethernet frames it takes.
func cost(f ownership.Frame) float64 {
	if f.Probe {
		return 1
	}
	return float64(netio.Frames(f.Addr))
}

// pacer is the queue of frames of all virtual routers, with a token bucket. The
// zero value is full of tokens. It is in the core and not beside the socket,
// because after a stall the election must be asked before anything is said.
type pacer struct {
	queue []*instance // each once, in order
	spent float64     // tokens that are missing
	at    time.Time   // when spent was right
}

// add queues all frames of kind probe or announcement of the instance. One whose
// frames still wait gets no more of them.
func (p *pacer) add(in *instance, probe bool) {
	if len(in.frames) == 0 {
		p.queue = append(p.queue, in)
	}
	for _, a := range in.cfg.Params.Addresses {
		f := ownership.Frame{Addr: a, Probe: probe}
		if !in.waits(f) {
			in.frames = append(in.frames, f)
		}
	}
}

// remove forgets what waits of the instance.
func (p *pacer) remove(in *instance) {
	in.frames = nil
	for i, queued := range p.queue {
		if queued == in {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			return
		}
	}
}

// take hands the frames that may go out now to send, router by router.
func (p *pacer) take(now time.Time, send func(*instance, []ownership.Frame)) {
	if len(p.queue) == 0 {
		return
	}
	p.refill(now)
	for len(p.queue) > 0 {
		in := p.queue[0]
		n := 0
		for n < len(in.frames) && p.spent+cost(in.frames[n]) <= framesAtOnce {
			p.spent += cost(in.frames[n])
			n++
		}
		if n > 0 {
			send(in, in.frames[:n:n])
			in.frames = in.frames[n:]
		}
		if len(in.frames) > 0 {
			return
		}
		in.frames = nil
		p.queue = p.queue[1:]
	}
	p.queue = nil
}

func (p *pacer) refill(now time.Time) {
	if !p.at.IsZero() {
		p.spent = max(0, p.spent-now.Sub(p.at).Seconds()*framesPerSecond)
	}
	p.at = now
}

// next returns when more can be sent; zero when nothing waits.
func (p *pacer) next() time.Time {
	if len(p.queue) == 0 {
		return time.Time{}
	}
	// A few at a time: the heartbeat need not wake for every one of them.
	const batch = 20
	missing := p.spent + batch - framesAtOnce
	return p.at.Add(time.Duration(max(0, missing) / framesPerSecond * float64(time.Second)))
}
