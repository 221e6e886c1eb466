package agent

import (
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

const (
	// flapsFrom is how many changes to or from Active, within flapWindow, are
	// flapping: a takeover and its return are two.
	flapsFrom = 5
	// quietFlapping is how often flapping that lasts is logged again.
	quietFlapping = time.Minute
)

// flapWindow returns the time in which changes of role are counted together. It
// follows the interval: slow routers flap slowly.
func flapWindow(s vrrp.Status) time.Duration { return max(10*time.Second, 10*downInterval(s)) }

// flapping returns how often the router became Active, or ceased to be, within
// flapWindow before now; 0 when that is no reason to worry.
func (in *instance) flapping(now time.Time) int {
	n, window := 0, flapWindow(in.vr.Status())
	for _, c := range in.changes {
		if now.Sub(c.At) < window && (c.From == vrrp.Active) != (c.To == vrrp.Active) {
			n++
		}
	}
	if n < flapsFrom {
		return 0
	}
	return n
}

// noteFlapping tells of a router that cannot make up its mind. RFC 9568, section 2.5,
// wants flapping logged that short intervals bring about by themselves: a host that is
// too busy for them hears its Active router too late, time and again.
func (c *core) noteFlapping(now time.Time, in *instance) {
	n := in.flapping(now)
	if n == 0 || now.Sub(in.flapped) < quietFlapping && !in.flapped.IsZero() {
		return
	}
	in.flapped = now
	s := in.vr.Status()
	c.out.reporter.log("warn", "flapping: the role changes again and again (hint: a longer `advertise`, or `preempt: false`)", map[string]any{
		"vip": in.cfg.Name, "changes": n, "within": flapWindow(s).String(), "advertise": in.cfg.Params.Interval.String(),
		"lateness": c.lateness.String()})
}
