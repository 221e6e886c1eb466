package agent

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// configure replaces the set of virtual routers. An equal one keeps its state.
func (c *core) configure(now time.Time, routers []ipc.Router) {
	old := c.instances
	c.instances = make([]*instance, len(routers))
	for i, cfg := range routers {
		c.instances[i] = takeEqual(old, cfg)
	}
	// The old ones let go first: a new one may have the name of one of them.
	for _, in := range old {
		if in != nil {
			c.discard(now, in)
		}
	}
	for i, cfg := range routers {
		if c.instances[i] == nil {
			c.instances[i] = c.create(cfg)
		}
	}
	c.instances = slices.DeleteFunc(c.instances, func(in *instance) bool { return in == nil })
	c.regroup()
	c.closeUnusedSockets()
	c.watched()
	c.changed = true
}

// create returns a new instance; nil when its config makes no virtual router.
func (c *core) create(cfg ipc.Router) *instance {
	in, err := newInstance(cfg)
	if err != nil {
		c.out.reporter.log("error", "cannot run", map[string]any{"vip": cfg.Name, "error": err.Error()})
		return nil
	}
	if k, known := c.links[cfg.Interface]; known {
		in.linkDown = !k.Up
	}
	c.out.owner.Set(in.want) // nothing is wanted yet: have left-overs removed
	return in
}

// discard ends an instance that the config has no more.
func (c *core) discard(now time.Time, in *instance) {
	if in.started {
		c.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: "removed from the config"}))
	}
	c.pacer.remove(in)
	in.want.Hold, in.want.Discarded = false, true
	in.want.Generation++
	c.out.owner.Set(in.want)
}

// takeEqual removes from old, and returns, the instance that runs exactly cfg.
func takeEqual(old []*instance, cfg ipc.Router) *instance {
	for i, in := range old {
		if in != nil && reflect.DeepEqual(in.cfg, cfg) {
			old[i] = nil
			return in
		}
	}
	return nil
}

// regroup puts the instances into their groups. Their order is that of their names,
// because it must be the same on all nodes, IPv4 first.
func (c *core) regroup() {
	c.groups, c.together = nil, nil
	for _, in := range c.instances {
		i := slices.IndexFunc(c.groups, func(g *group) bool { return g.name == in.cfg.Group })
		if i < 0 {
			i = len(c.groups)
			c.groups = append(c.groups, &group{name: in.cfg.Group})
		}
		in.group = c.groups[i]
		in.group.members = append(in.group.members, in)
	}
	for _, g := range c.groups {
		slices.SortFunc(g.members, func(a, b *instance) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
		var routers []*vrrp.Router
		for _, in := range g.members {
			routers = append(routers, in.vr)
		}
		g.vr = vrrp.NewGroup(routers...)
		if len(g.members) > 1 {
			c.together = append(c.together, g)
		}
	}
}

func (c *core) closeUnusedSockets() {
	for _, s := range slices.Clone(c.sockets) {
		if !slices.ContainsFunc(c.instances, func(in *instance) bool { return in.sock == s }) {
			c.closeSocket(s)
		}
	}
}
