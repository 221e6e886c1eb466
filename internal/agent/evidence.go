package agent

import (
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// evidence is all that is known when a role changes, for the log: what was decided, and
// what it was decided by. What is not known, or does not apply, is left out.
func (c *core) evidence(now time.Time, in *instance, change vrrp.Change) map[string]any {
	fields := map[string]any{
		"vip": in.cfg.Name, "group": in.cfg.Group, "interface": in.cfg.Interface,
		"from": change.From.String(), "to": change.To.String(), "reason": string(change.Reason),
		"priority": change.Priority, "basePriority": in.cfg.Params.Priority,
		"gossip": gossipSays(change.Facts.PeerAlive), "epoch": in.epoch,
		"lateness": c.lateness.Round(10 * time.Microsecond).String(),
	}
	if change.Priority != in.cfg.Params.Priority {
		fields["loweredBy"] = in.standsBack(c.fit)
	}
	if change.Peer.IsValid() {
		fields["peer"], fields["peerPriority"] = change.Peer.String(), change.PeerPriority
	}
	if heard := in.vr.Status().PeerHeard; change.Peer.IsValid() && !heard.IsZero() {
		fields["peerHeardAgo"] = now.Sub(heard).Round(10 * time.Microsecond).String()
	}
	if !in.roleSince.IsZero() {
		fields["since"], fields["lasted"] = in.roleSince.UTC(), now.Sub(in.roleSince).Round(time.Millisecond).String()
	}
	if c.slept.Count > 0 {
		fields["slept"], fields["sleptAgo"] = c.slept.For.Round(time.Millisecond).String(), now.Sub(c.slept.At).Round(time.Millisecond).String()
	}
	return fields
}

// gossipSays is what the other channel between the nodes says of the peer.
func gossipSays(alive vrrp.Fact) string {
	switch alive {
	case vrrp.Yes:
		return "alive"
	case vrrp.No:
		return "silent"
	}
	return "unknown"
}
