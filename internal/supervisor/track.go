package supervisor

import (
	"maps"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// track judges what the groups of VIPs miss on this node, and returns which VIPs
// rank lower for it, by how much.
func (c *coordinator) track(now time.Time, sc scene) map[string]ipc.Lowered {
	states := byName(sc.agent.routers())
	lost := map[string][]ipc.Lost{}
	active := map[string]bool{}
	for _, r := range sc.loaded.routers {
		s := states[r.Name]
		lost[r.Group] = append(lost[r.Group], s.Lost...)
		active[r.Group] = active[r.Group] || s.Status.Role == vrrp.Active
	}
	maps.DeleteFunc(c.tracks, func(group string, _ *judge.Tracking) bool {
		_, exists := lost[group]
		return !exists
	})
	for group := range lost {
		if c.tracks[group] == nil {
			c.tracks[group] = &judge.Tracking{}
		}
		c.tracks[group].Look(now, lost[group], active[group], judge.Hear(group, sc.views))
	}
	var lowered map[string]ipc.Lowered
	for _, r := range sc.loaded.routers {
		if t := c.tracks[r.Group]; t.Lowered {
			if lowered == nil {
				lowered = map[string]ipc.Lowered{}
			}
			lowered[r.VIP] = ipc.Lowered{By: sc.loaded.penalty(r.VIP), Reason: t.Reason}
		}
	}
	return lowered
}

// missing is what the node tells its peers that it misses.
func (c *coordinator) missing() map[string][]peer.Lost {
	all := map[string][]peer.Lost{}
	for group, t := range c.tracks {
		all[group] = t.Missing()
	}
	return all
}

// penalty returns by how much the priority for a VIP is lowered.
func (l *loaded) penalty(name string) uint8 {
	i := slices.IndexFunc(l.config.VIPs, func(v config.VIP) bool { return v.Name == name })
	if i < 0 {
		return 0
	}
	return l.config.VIPs[i].Penalty()
}

// tracksServers reports whether a node that reaches no server stands back. That
// goes for the whole node: one VIP that asks for it is enough.
func (l *loaded) tracksServers() bool {
	return len(l.config.VIPs) == 0 || slices.ContainsFunc(l.config.VIPs, func(v config.VIP) bool { return v.Track.Servers })
}

func byName(all []ipc.RouterState) map[string]ipc.RouterState {
	states := map[string]ipc.RouterState{}
	for _, r := range all {
		states[r.Name] = r
	}
	return states
}
