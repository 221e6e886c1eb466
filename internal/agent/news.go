package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/vrrp"
)

// message takes in the word of the supervisor. A watch over the peer that it asks
// for lasts until ctx is done.
func (c *core) message(ctx context.Context, now time.Time, m ipc.ToAgent) {
	switch {
	case m.Config != nil:
		c.configure(now, m.Config.Routers)
		c.watch.begin(ctx, m.Config.Notice)
	case m.Fitness != nil:
		c.fitness(now, *m.Fitness)
	case m.Announce != nil:
		for _, in := range c.instances {
			if in.cfg.Name == m.Announce.Router {
				c.foreign(now, in, m.Announce.Above)
			}
		}
	case m.Facts != nil:
		for _, in := range c.instances {
			c.apply(now, in, in.vr.SetFacts(now, *m.Facts))
		}
	case m.Leave != nil:
		c.leave(now, "leaving", lingerAtMost)
	}
}

// foreign takes note of an announcement of another node in epoch above.
func (c *core) foreign(now time.Time, in *instance, above uint64) {
	c.changed = c.changed || above > in.heard
	in.heard = max(in.heard, above)
	if in.want.Hold && in.heard >= in.epoch && in.announce(now) {
		c.changed = true
		c.out.reporter.log("info", "announcing again: another node announced the addresses last", map[string]any{
			"vip": in.cfg.Name, "epoch": above})
	}
}

// link takes note of a change of carrier. A link that comes up brings its
// virtual routers back as Backup: whoever is Active now keeps the address until
// the election says otherwise.
func (c *core) link(now time.Time, k Link) {
	old, known := c.links[k.Name]
	is := linkState{Link: k, since: now}
	if known && old.Up == k.Up {
		is.since = old.since
	}
	c.links[k.Name] = is
	c.changed = true
	if known && old.Index != k.Index {
		c.replaced(now, k.Name)
	}
	for _, in := range c.instances {
		if in.cfg.Interface == k.Name {
			in.linkDown = !k.Up
		}
	}
}

// replaced gives up the sockets on an interface whose name another has taken.
func (c *core) replaced(now time.Time, ifname string) {
	for _, s := range slices.Clone(c.sockets) {
		if s.options.Interface == ifname {
			c.socketFailed(now, s, errors.New("another interface has taken its name"))
		}
	}
}

// lost lists what a router tracks and misses. An interface that was never heard
// of does not exist.
func (c *core) lost(in *instance) []ipc.Lost {
	var lost []ipc.Lost
	for _, name := range in.cfg.Track.Interfaces {
		if k, known := c.links[name]; !known || !k.Up {
			lost = append(lost, ipc.Lost{What: "interface " + name, Since: k.since})
		}
	}
	if o, ok := in.gateway(); ok {
		if g := c.gateways[o]; g.lost {
			lost = append(lost, ipc.Lost{What: "gateway " + o.Gateway.String(), Since: g.since})
		}
	}
	return lost
}

// gateway takes note of whether a gateway answers.
func (c *core) gateway(now time.Time, o GatewayOptions, alive bool) {
	if c.gateways[o].lost == !alive {
		return
	}
	c.gateways[o] = gatewayState{lost: !alive, since: now}
	c.changed = true
	if alive {
		c.out.reporter.log("info", "gateway: it answers", map[string]any{"gateway": o.Gateway.String(), "interface": o.Interface})
	} else {
		c.out.reporter.log("warn", "gateway: it does not answer", map[string]any{"gateway": o.Gateway.String(), "interface": o.Interface})
	}
}

// fact takes the word of the owner about the addresses of one router.
func (c *core) fact(now time.Time, f ownership.Fact) {
	for _, in := range c.instances {
		if in.cfg.Name != f.Name || in.want.Generation != f.Generation {
			continue // about a claim that is over
		}
		if !in.swept {
			c.swept(now, in, f)
			continue
		}
		if f.Added && in.held.Held {
			in.announce(now) // the neighbours may have learned another owner
		}
		if f.Err != nil && (in.held.Err == nil || in.held.Err.Error() != f.Err.Error()) {
			c.out.reporter.log("error", "the addresses cannot be set as they should", map[string]any{"vip": f.Name, "error": f.Err.Error()})
		}
		in.count(f)
		c.changed = c.changed || f.Held != in.held.Held || (f.Err == nil) != (in.held.Err == nil)
		in.held = f
	}
}

// count counts what a fact says of the lease, beyond the one before.
func (in *instance) count(f ownership.Fact) {
	switch {
	case f.Err != nil:
		in.lease.Errors++
	case f.Held && !f.At.Equal(in.held.At):
		in.lease.Renewals++
	}
}

// swept takes the answer to the first want of a router, which holds nothing.
func (c *core) swept(now time.Time, in *instance, f ownership.Fact) {
	for _, removed := range f.Swept {
		c.out.reporter.log("warn", "removed what an earlier process left behind", map[string]any{"vip": f.Name, "removed": removed})
	}
	if f.Err != nil && (in.sweepErr == nil || in.sweepErr.Error() != f.Err.Error()) {
		c.out.reporter.log("error", "cannot take part in the election", map[string]any{"vip": f.Name, "error": f.Err.Error()})
	}
	in.swept, in.sweepErr, in.sweepAt = f.Err == nil, f.Err, time.Time{}
	in.device = f.Device
	if f.Err != nil {
		in.sweepAt = now.Add(reopenEvery)
	}
	c.changed = true
}

// gone has an address set again that somebody removed. Where it keeps
// disappearing, somebody else manages the interface, and the node stands down:
// an address that comes and goes serves nobody.
func (c *core) gone(now time.Time, g gone) {
	for _, in := range c.instances {
		if in.device != g.ifname || !slices.Contains(in.cfg.Prefixes, g.prefix) || !in.holds() {
			continue
		}
		in.removals++
		c.changed = true
		again := in.healer.Allow(now)
		c.out.reporter.log("warn", "an address was removed by someone else", map[string]any{
			"vip": in.cfg.Name, "interface": g.ifname, "address": g.prefix.String(), "setAgainNow": again})
		if again {
			in.renewAt = now
			continue
		}
		c.standDown(now, in, fmt.Errorf("%s keeps being removed from %s by someone else (hint: a network manager that owns the interface; have it leave this address alone)",
			g.prefix, g.ifname))
	}
}

// saw takes in what a watch saw.
func (c *core) saw(now time.Time, s sight) {
	if s.ifname != "" {
		c.claims = append(c.claims, s)
		return
	}
	c.gateway(now, s.gateway, s.alive)
}

// claimed takes note of another host that says it has one of the addresses, and
// announces against it. Right after a takeover it may be the one that had it.
func (c *core) claimed(now time.Time, ifname string, k Claim) {
	for _, in := range c.instances {
		if in.cfg.Interface != ifname || !slices.Contains(in.cfg.Params.Addresses, k.Address) ||
			!in.holds() || in.vr.Role() != vrrp.Active || now.Sub(in.claimedAt) < claimGrace {
			continue
		}
		mac := k.MAC.String()
		before := in.conflict
		conflict := ipc.Conflict{Address: k.Address, MAC: mac, At: now, Count: 1}
		if before != nil {
			conflict.Count += before.Count
		}
		in.conflict = &conflict
		c.changed = true
		against := in.announce(now)
		if before == nil || before.MAC != mac || now.Sub(before.At) > quietConflict {
			c.out.reporter.log("error", "another host answers for an address of this node", map[string]any{
				"vip": in.cfg.Name, "address": k.Address.String(), "mac": mac, "announcedAgainst": against})
		}
	}
}

// peer acts on news of the peer's process.
func (c *core) peer(now time.Time, e notice.Event) {
	c.watch.word, c.watch.died = e.Kind.String(), e.Kind == notice.Died
	if e.Evidence != "" {
		c.watch.word += ": " + e.Evidence
	}
	c.changed = true
	fields := map[string]any{"peer": c.watch.peer.String(), "evidence": e.Evidence}
	switch e.Kind {
	case notice.Died:
		c.peerDied(now, e.Evidence) // first of all, and only then the log
		c.out.reporter.log("warn", "the peer's agent has died", fields)
	case notice.Unreachable, notice.Rejected, notice.Distrusted, notice.Deaf:
		c.out.reporter.log("warn", "no death notice of the peer: "+e.Kind.String()+"; timers decide", fields)
	default:
		c.out.reporter.log("info", "death notice of the peer: "+e.Kind.String(), fields)
	}
}

// peerDied takes over from the peer. It advertises from the addresses by which
// the routers know it, which need not be the one that the notice came from.
func (c *core) peerDied(now time.Time, evidence string) {
	for _, in := range c.instances {
		c.apply(now, in, in.vr.PeerDied(now, in.peerAddress(c.watch.peer), evidence))
	}
}

// opened gives a socket to the instances that wait for one like it.
func (c *core) opened(now time.Time, o opened) {
	delete(c.opening, o.options)
	var waiting []*instance
	for _, in := range c.instances {
		if in.sock == nil && in.socket == o.options {
			waiting = append(waiting, in)
		}
	}
	switch {
	case o.err != nil:
		for _, in := range waiting {
			if in.sockErr == nil || in.sockErr.Error() != o.err.Error() {
				c.changed = true
				c.out.reporter.log("error", "cannot take part in the election", map[string]any{"vip": in.cfg.Name, "error": o.err.Error()})
			}
			in.sockErr, in.reopenAt = o.err, now.Add(reopenEvery)
		}
		return
	case len(waiting) == 0:
		c.out.sockets.close(o.conn) // the config has changed meanwhile
		return
	}
	s := &openSocket{Socket: o.conn, options: o.options}
	c.sockets = append(c.sockets, s)
	for _, in := range waiting {
		in.sock, in.sockErr = s, nil
	}
}

// open gives the instance the socket that it needs, or has it opened. Joining a
// group takes a lock of the kernel, and so does leaving it: the heartbeat must
// not wait for that.
func (c *core) open(in *instance) {
	o := in.socket
	for _, s := range c.sockets {
		if s.options == o {
			in.sock, in.sockErr = s, nil
			return
		}
	}
	if !c.opening[o] {
		c.opening[o] = true
		c.out.sockets.open(o)
	}
}

// socketFailed closes a socket that cannot be read any more; admit has it opened
// anew.
func (c *core) socketFailed(now time.Time, s *openSocket, err error) {
	c.out.reporter.log("warn", "VRRP socket failed", map[string]any{"interface": s.options.Interface, "error": err.Error()})
	c.closeSocket(s)
	for _, in := range c.instances {
		if in.sock == s {
			in.sock, in.sockErr, in.reopenAt = nil, err, now
		}
	}
}

func (c *core) closeSocket(s *openSocket) {
	c.sockets = slices.DeleteFunc(c.sockets, func(o *openSocket) bool { return o == s })
	c.out.sockets.close(s.Socket)
}

// watched has exactly what the routers track, and the claims to their addresses,
// watched.
func (c *core) watched() {
	gateways := map[GatewayOptions]bool{}
	type link struct {
		ifname  string
		virtual ownership.MAC
	}
	claims := map[link][]netip.Addr{}
	for _, in := range c.instances {
		if o, ok := in.gateway(); ok {
			gateways[o] = true
		}
		k := link{in.cfg.Interface, ownership.VirtualMAC(in.cfg)}
		claims[k] = append(claims[k], in.cfg.Params.Addresses...)
	}
	maps.DeleteFunc(c.gateways, func(o GatewayOptions, _ gatewayState) bool { return !gateways[o] })
	var options []ClaimOptions
	for k, addresses := range claims {
		slices.SortFunc(addresses, netip.Addr.Compare)
		options = append(options, ClaimOptions{Interface: k.ifname, Addresses: addresses, Virtual: k.virtual})
	}
	c.out.watches.want(slices.Collect(maps.Keys(gateways)), options)
}

// gone is an address that has disappeared from an interface.
type gone struct {
	ifname string
	prefix netip.Prefix
}
