// Package report says what the parts of a node know in the words of the API. It is
// pure.
package report

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// Election is what a node knows of its virtual routers.
type Election struct {
	Routers []ipc.Router      // of the config
	States  []ipc.RouterState // as the agent says
	Running bool              // the agent runs
	Lowered map[string]ipc.Lowered
	Views   []peer.View
}

// VIPs is what the API tells of the virtual routers.
func (e Election) VIPs(now time.Time) []admin.VIP {
	states := map[string]ipc.RouterState{}
	for _, s := range e.States {
		states[s.Name] = s
	}
	all := []admin.VIP{}
	for _, r := range e.Routers {
		v := configured(r)
		if low, is := e.Lowered[r.VIP]; is {
			v.Lowered = &admin.Lowered{By: low.By, Reason: low.Reason}
		}
		s, reported := states[r.Name]
		switch {
		case reported:
			observe(&v, s, now)
			v.DownInterval = judge.DownInterval(r.Params, s.Status)
			v.Speakers = speakers(r.Name, s.Status.Peers, e.Views)
			v.AddressMismatch = mismatch(now, v.Speakers)
		case e.Running:
			v.Error = "the agent has not reported yet"
		default:
			v.Error = "the agent is not running"
		}
		all = append(all, v)
	}
	return all
}

// configured is what the config says of a virtual router.
func configured(r ipc.Router) admin.VIP {
	v := admin.VIP{
		Name: r.Name, VIP: r.VIP, Group: r.Group, Family: "ipv6", Version: r.Params.Version,
		Addresses: r.Prefixes, Interface: r.Interface, VirtualMAC: r.VirtualMAC, RouterID: r.Params.VRID,
		Base: r.Params.Priority, Priority: r.Params.Priority, Preempt: r.Params.Preempt, PreemptDelay: r.Params.PreemptDelay,
		Interval: r.Params.Interval,
	}
	if r.Params.Self.Is4() {
		v.Family = "ipv4"
	}
	if r.Params.Version == 0 {
		v.Version = 3
	}
	for _, name := range r.Track.Interfaces {
		v.Tracked = append(v.Tracked, "interface "+name)
	}
	if r.Track.Gateway.IsValid() {
		v.Tracked = append(v.Tracked, "gateway "+r.Track.Gateway.String())
	}
	return v
}

// observe adds what the agent says of a virtual router.
func observe(v *admin.VIP, s ipc.RouterState, now time.Time) {
	is := s.Status
	v.Role, v.Since, v.Reason, v.Priority, v.Due = is.Role, is.Since, string(is.Reason), is.Priority, is.Due
	v.Holds, v.Error, v.Counters, v.Interval = s.Holds, s.Error, is.Counters, is.Interval
	v.Active, v.ActivePrio, v.ActiveHeard = is.Peer, is.PeerPriority, is.PeerHeard
	v.Removals, v.Flapping, v.Epoch, v.EpochHeard = s.Removals, s.Flapping, s.Epoch, s.Heard
	v.Lease = admin.LeaseCounts(s.Lease)
	for _, l := range s.Lost {
		v.Lost = append(v.Lost, admin.Lost(l))
	}
	if k := s.Conflict; k != nil {
		v.Conflicts = k.Count
		if now.Sub(k.At) < conflictOver {
			v.Conflict = &admin.AddressClaim{Address: k.Address, MAC: k.MAC, At: k.At, Count: k.Count}
		}
	}
}

// conflictOver is how long after its last sight a conflict is over.
const conflictOver = time.Minute

// mismatchOver is for how long the list of addresses of another router counts: a
// Backup does not say that it has been set right.
const mismatchOver = time.Minute

func mismatch(now time.Time, all []admin.Speaker) bool {
	return slices.ContainsFunc(all, func(s admin.Speaker) bool { return s.AddressesDiffer && now.Sub(s.Heard) < mismatchOver })
}

func speakers(router string, heard []vrrp.PeerStatus, views []peer.View) []admin.Speaker {
	var all []admin.Speaker
	for _, p := range heard {
		all = append(all, admin.Speaker{
			Address: p.Address, Node: nodeOf(router, p.Address, views), Version: p.Version, Priority: p.Priority,
			Interval: p.Interval, Checksum: p.Checksum, Heard: p.Heard, AddressesDiffer: p.AddressesDiffer,
		})
	}
	return all
}

// nodeOf returns the name of the peer that advertises for a router from an
// address; "" when none does.
func nodeOf(router string, from netip.Addr, views []peer.View) string {
	for _, v := range views {
		if judge.Source(router, v) == from {
			return v.Name
		}
	}
	return ""
}

// Peers is what the API tells of the other nodes. hash is that of the own config, and
// doubts are on each of them.
func Peers(views []peer.View, hash string, doubts map[string]judge.Doubt) []admin.Peer {
	all := []admin.Peer{}
	for _, v := range views {
		doubt := doubts[v.Name]
		p := admin.Peer{Name: v.Name, Address: v.Address, Alive: v.Alive, Since: v.Since, Drift: v.Drifts(hash),
			Error: Text(v.Err), Verdict: string(doubt.Verdict), Explained: doubt.Verdict.Explain(), VerdictSince: doubt.Since}
		if v.State != nil {
			p.Fit, p.Demoted, p.Unfit, p.Version, p.Hash = v.State.Fit, v.State.Demoted, v.State.Reason, v.State.Version, v.State.ConfigHash
			p.Servers, p.Reachable, p.Slept = v.State.Servers, v.State.Reachable, Sleep(v.State.Slept)
			p.Roles, p.Priorities, p.VIPs = map[string]vrrp.Role{}, map[string]uint8{}, map[string]admin.PeerVIP{}
			for name, vip := range v.State.VIPs {
				p.Roles[name], p.Priorities[name] = vip.Role, vip.Priority
				p.VIPs[name] = admin.PeerVIP{Role: vip.Role, Priority: vip.Priority, Since: vip.Since, Reason: vip.Reason}
			}
			for group, lost := range v.State.Lost {
				for _, l := range lost {
					if p.Lost == nil {
						p.Lost = map[string][]admin.Lost{}
					}
					p.Lost[group] = append(p.Lost[group], admin.Lost(l))
				}
			}
		}
		all = append(all, p)
	}
	return all
}

// Sleep is what the API tells of the stalls of an agent; nil: there was none.
func Sleep(s peer.Sleep) *admin.Sleep {
	if s.Count == 0 {
		return nil
	}
	return &admin.Sleep{At: s.At, For: s.For, Count: s.Count}
}

// Text is what the API says of an error; empty: there is none.
func Text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
