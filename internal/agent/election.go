package agent

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

// apply does what the election asks, in the order that RFC 9568 and a quick
// takeover want: advertise, then set the addresses, then announce them, then
// tell the others.
func (c *core) apply(now time.Time, in *instance, out vrrp.Output) {
	for _, a := range out.Send {
		c.send(now, in, a)
	}
	holds := in.vr.Holds()
	switch {
	case holds && !in.want.Hold && in.sendErr != nil:
		// Nobody heard the claim: another node that holds the addresses goes on,
		// and there would be two. keep is not asked; admit stops the router.
		in.holdErr, in.holdUntil = in.sendErr, now.Add(reopenEvery)
	case holds && !in.want.Hold:
		c.claim(now, in)
	case !holds && in.want.Hold:
		c.pacer.remove(in)
		in.want.Hold = false
		in.want.Generation++
		in.held = ownership.Fact{}
		c.out.owner.Set(in.want)
	case holds && out.Announce:
		c.changed = in.announce(now) || c.changed // by keep, in this step
	}
	if change := out.Change; change != nil {
		c.changed = true
		in.remember(*change)
		if change.From == vrrp.Active {
			in.lease.Losses++
		}
		c.noteFlapping(now, in)
		c.out.reporter.role("info", "role changed", c.evidence(now, in, *change))
		in.roleSince = change.At
	}
}

// settle moves the routers of a group together.
func (c *core) settle(now time.Time) {
	for _, g := range c.together {
		for i, out := range g.vr.Settle(now) {
			c.apply(now, g.members[i], out)
		}
	}
}

// claim has the addresses set and announced at once.
func (c *core) claim(now time.Time, in *instance) {
	in.want.Hold = true
	in.want.Generation++
	in.held = ownership.Fact{}
	in.claimedAt = now
	in.renewAt = now.Add(in.cfg.Lease / renewalsPerLease)
	in.probeAt = now.Add(firstProbe)
	if !in.announce(now) {
		in.burst.start(now) // a takeover is announced in any case
	}
	c.out.owner.Set(in.want)
	in.burst.due(now, 0)
	c.pacer.add(in, false)
}

func (c *core) send(now time.Time, in *instance, a vrrp.Advert) {
	if in.sock == nil {
		return
	}
	err := in.send(a)
	if (err == nil) != (in.sendErr == nil) {
		c.changed = true
		if err != nil {
			in.sendSince = now
			c.out.reporter.log("warn", "cannot advertise", map[string]any{"vip": in.cfg.Name, "error": err.Error()})
		}
	}
	in.sendErr = err
}

// keep renews the lease, announces what is due, and gives up addresses that
// cannot be held.
func (c *core) keep(now time.Time, in *instance) {
	if !in.want.Hold {
		return
	}
	if err := in.failed(now); err != nil {
		c.standDown(now, in, err)
		return
	}
	if !now.Before(in.renewAt) {
		in.want.Renewal++
		in.renewAt = now.Add(in.cfg.Lease / renewalsPerLease)
		c.out.owner.Set(in.want)
	}
	if !in.holds() {
		return
	}
	if in.burst.due(now, c.out.jitter()) {
		c.pacer.add(in, false)
	}
	if !now.Before(in.probeAt) {
		in.probeAt = now.Add(probeEvery + time.Duration(c.out.jitter()*float64(probeEvery/4)))
		c.pacer.add(in, true)
	}
}

// standDown has the node give the addresses up for a while; admit stops the
// router.
func (c *core) standDown(now time.Time, in *instance, err error) {
	in.holdErr, in.holdUntil, in.sendErr = err, now.Add(holdDown), nil
	c.out.reporter.log("error", "yielding: the addresses cannot be held", map[string]any{
		"vip": in.cfg.Name, "error": err.Error(), "retryIn": holdDown.String()})
}

// emit has frames about the addresses of the instance sent, if it still holds
// them.
func (c *core) emit(in *instance, frames []ownership.Frame) {
	for _, f := range frames {
		if !f.Probe {
			in.lease.Announcements++
		}
	}
	c.out.owner.Emit(ownership.Emission{Name: in.cfg.Name, Generation: in.want.Generation, Frames: frames})
}

// admit lets virtual routers take part in the election, or keeps them out: a
// group as a whole.
func (c *core) admit(now time.Time) {
	if c.leaving {
		return
	}
	for _, g := range c.groups {
		reason := ""
		for _, in := range g.members {
			c.prepare(now, in)
			if why := in.blocked(now, c.fit); why != "" && reason == "" {
				reason = why
				if len(g.members) > 1 {
					reason = fmt.Sprintf("%s: %s", in.cfg.Name, why)
				}
			}
		}
		g.blocked = reason
		for _, in := range g.members {
			c.enlist(now, in, reason)
		}
	}
	c.settle(now) // one of a group may have begun as the owner of its address
}

// prepare begins what a router needs before it can take part.
func (c *core) prepare(now time.Time, in *instance) {
	if in.sock == nil && !now.Before(in.reopenAt) {
		c.open(in)
	}
	if !in.sweepAt.IsZero() && !now.Before(in.sweepAt) {
		in.sweepAt = time.Time{}
		c.out.owner.Set(in.want)
	}
	if !now.Before(in.holdUntil) {
		in.holdUntil = time.Time{} // it is over, and no deadline any more
	}
}

// enlist starts a router against which nothing speaks, and stops any other.
func (c *core) enlist(now time.Time, in *instance, reason string) {
	switch {
	case reason == "" && !in.started:
		in.started = true
		c.apply(now, in, in.vr.SetPriority(now, in.priority(c.fit)))
		c.apply(now, in, in.vr.Startup(now))
	case reason != "" && in.started:
		in.started = false
		c.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: vrrp.Reason(reason)}))
	}
}

// fitness takes the supervisor's word about the node. Whether a router takes part
// is for admit to say; here its priority follows, and a better peer preempts. A
// peer that does not preempt has to be asked: an Active router that stands back
// then resigns, and serves until a successor is heard.
func (c *core) fitness(now time.Time, fit ipc.Fitness) {
	demoted := fit.Demoted && !c.fit.Demoted
	c.fit = fit
	c.changed = true
	for _, in := range c.instances {
		if !in.started {
			continue
		}
		p, is := in.priority(fit), in.vr.Status()
		asks := demoted || p < is.Priority && !in.cfg.Params.Preempt
		if !asks || is.Role != vrrp.Active {
			c.apply(now, in, in.vr.SetPriority(now, p))
			continue
		}
		c.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: vrrp.Reason(in.standsBack(fit)), Linger: in.linger()}))
		in.started = false // admit starts it anew
	}
}

// leave ends the part of this node in every election. With a linger the node
// keeps its addresses, and serves, until the successor is heard.
func (c *core) leave(now time.Time, reason vrrp.Reason, linger time.Duration) {
	c.leaving = true
	c.watch.goodbye(string(reason))
	for _, in := range c.instances {
		c.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: reason, Linger: min(linger, in.linger())}))
		in.started = false
		in.holdUntil, in.sweepAt, in.reopenAt = time.Time{}, time.Time{}, time.Time{}
	}
}
