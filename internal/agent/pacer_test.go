package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

// many returns instances with one IPv4 address each.
func many(n int) []*instance {
	all := make([]*instance, n)
	for i := range all {
		a := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		all[i] = &instance{cfg: ipc.Router{Params: vrrp.Params{Addresses: []netip.Addr{a}}}}
	}
	return all
}

func TestPacerLetsOutNoMoreThanTheCap(t *testing.T) {
	var p pacer
	start := time.Unix(1000, 0)
	instances := many(1000)
	for _, in := range instances {
		p.add(in, false)
		p.add(in, false) // waits already
	}
	type sent struct {
		at     time.Time
		frames int
	}
	var all []sent
	announced := map[*instance]int{}
	for now, steps := start, 0; len(p.queue) > 0 && steps < 10000; steps++ {
		p.take(now, func(in *instance, frames []ownership.Frame) {
			announced[in] += len(frames)
			for _, f := range frames {
				all = append(all, sent{now, int(cost(f))})
			}
		})
		now = p.next()
	}
	for _, in := range instances {
		if announced[in] != 1 {
			t.Fatalf("%v announced %d times", in.cfg.Params.Addresses, announced[in])
		}
	}
	// In any second that begins with a frame, no more than the cap and what may go
	// out at once.
	for i, first := range all {
		n := 0
		for _, s := range all[i:] {
			if s.at.Sub(first.at) < time.Second {
				n += s.frames
			}
		}
		if n > framesPerSecond+framesAtOnce {
			t.Fatalf("%d frames in the second from %v", n, first.at.Sub(start))
		}
	}
	if took := all[len(all)-1].at.Sub(start); took > 1900*time.Millisecond {
		t.Errorf("2000 frames took %v", took)
	}
	if all[99].at != start {
		t.Errorf("the hundredth address was announced after %v", all[99].at.Sub(start))
	}
}

func TestPacerForgetsWhatIsNotHeldAnyMore(t *testing.T) {
	var p pacer
	instances := many(300)
	for _, in := range instances {
		p.add(in, false)
	}
	now := time.Unix(1000, 0)
	p.take(now, func(*instance, []ownership.Frame) {})
	for _, in := range instances {
		p.remove(in)
	}
	p.take(now.Add(time.Minute), func(in *instance, _ []ownership.Frame) { t.Errorf("%v was announced", in.cfg.Params.Addresses) })
	if !p.next().IsZero() {
		t.Error("an empty queue has a next step")
	}
}

func TestProbesAndAnnouncementsShareThePace(t *testing.T) {
	var p pacer
	in := many(1)[0]
	p.add(in, true)
	p.add(in, false)
	p.add(in, true)
	var got []ownership.Frame
	p.take(time.Unix(1000, 0), func(_ *instance, frames []ownership.Frame) { got = append(got, frames...) })
	if len(got) != 2 || !got[0].Probe || got[1].Probe {
		t.Errorf("sent %v", got)
	}
}
