package supervisor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// Status describes the node and what it knows of its peer.
func (s *Supervisor) Status(context.Context) (*admin.Status, error) { return s.status(time.Now()), nil }

// Explain tells what the node's role follows from.
func (s *Supervisor) Explain(context.Context) (*admin.Explanation, error) {
	now := time.Now()
	return &admin.Explanation{At: now, Status: *s.status(now), History: s.history.all()}, nil
}

func (s *Supervisor) status(now time.Time) *admin.Status {
	sc := s.scene()
	s.mu.Lock()
	refused, fit, verdicts := s.refused, s.fit, s.verdicts
	overlay, notes := s.servers.overlay, s.servers.notes
	s.mu.Unlock()
	w, servers := sc.worker, sc.worker.servers()
	st := &admin.Status{
		Node: sc.loaded.self.Name, Version: s.o.Version, Started: s.started, Fit: fit.Fit, Demoted: fit.Demoted, Unfit: fit.Reason,
		Config:    admin.Config{Path: s.o.ConfigPath, Hash: sc.loaded.hash, Loaded: sc.loaded.at, Refused: text(refused)},
		Worker:    admin.Process{PID: w.pid, Restarts: w.ends.count, Error: text(w.why())},
		VIPs:      []admin.VIP{},
		Peers:     peers(sc, verdicts),
		Listeners: listeners(w), Pools: pools(w), Servers: servers.Checked, Reachable: servers.Reachable,
		RuntimeChanges: runtimeChanges(overlay), Names: names(s.servers.resolver.Answers()),
	}
	for _, n := range notes {
		st.Notes = append(st.Notes, n.String())
	}
	if w.state != nil {
		st.Overload = admin.Overload(w.state.Overload)
		st.LogDropped, st.Panics = w.state.LogDropped, w.state.Panics
	}
	if s.agent != nil {
		st.Agent = agentProcess(sc.agent)
		st.VIPs = vips(now, sc, fit)
	}
	for i := range st.VIPs {
		st.VIPs[i].Activations = s.history.activations(st.VIPs[i].Name)
	}
	if s.cluster != nil {
		st.Cluster = text(s.cluster.Err())
	}
	return st
}

func agentProcess(a agentView) *admin.Process {
	p := &admin.Process{PID: a.pid, Restarts: a.ends.count, Error: text(a.ends.last), Slept: sleep(peer.Sleep(a.slept()))}
	if a.state != nil {
		p.Realtime, p.MemoryLocked = granted(a.state.Realtime), granted(a.state.Locked)
		p.Lateness, p.Dropped, p.Notice = a.state.Lateness, a.state.Dropped, a.state.Notice
	}
	return p
}

func sleep(s peer.Sleep) *admin.Sleep {
	if s.Count == 0 {
		return nil
	}
	return &admin.Sleep{At: s.At, For: s.For, Count: s.Count}
}

func granted(whyNot string) string {
	if whyNot == "" {
		return "yes"
	}
	return whyNot
}

func vips(now time.Time, sc scene, fit ipc.Fitness) []admin.VIP {
	states := byName(sc.agent.routers())
	all := []admin.VIP{}
	for _, r := range sc.loaded.routers {
		v := configured(r)
		if low, is := fit.Lowered[r.VIP]; is {
			v.Lowered = &admin.Lowered{By: low.By, Reason: low.Reason}
		}
		s, reported := states[r.Name]
		switch {
		case reported:
			observe(&v, s, now)
			v.DownInterval = judge.DownInterval(r.Params, s.Status)
			v.Speakers = speakers(r.Name, s.Status.Peers, sc.views)
			v.AddressMismatch = mismatch(now, v.Speakers)
		case sc.agent.pid != 0:
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
	for _, l := range s.Lost {
		v.Lost = append(v.Lost, admin.Lost(l))
	}
	if k := s.Conflict; k != nil && now.Sub(k.At) < conflictOver {
		v.Conflict = &admin.AddressClaim{Address: k.Address, MAC: k.MAC, At: k.At, Count: k.Count}
	}
}

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

func peers(sc scene, verdicts map[string]judge.Doubt) []admin.Peer {
	all := []admin.Peer{}
	for _, v := range sc.views {
		doubt := verdicts[v.Name]
		p := admin.Peer{Name: v.Name, Address: v.Address, Alive: v.Alive, Since: v.Since, Drift: drifts(v, sc.loaded.hash),
			Error: text(v.Err), Verdict: string(doubt.Verdict), Explained: doubt.Verdict.Explain(), VerdictSince: doubt.Since}
		if v.State != nil {
			p.Fit, p.Demoted, p.Unfit, p.Version, p.Hash = v.State.Fit, v.State.Demoted, v.State.Reason, v.State.Version, v.State.ConfigHash
			p.Servers, p.Reachable, p.Slept = v.State.Servers, v.State.Reachable, sleep(v.State.Slept)
			p.Roles, p.Priorities = map[string]vrrp.Role{}, map[string]uint8{}
			for name, vip := range v.State.VIPs {
				p.Roles[name], p.Priorities[name] = vip.Role, vip.Priority
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

func listeners(w workerView) []admin.Listener {
	counters := map[string]ipc.ListenerState{}
	if w.state != nil {
		for _, l := range w.state.Listeners {
			counters[l.Name] = l
		}
	}
	all := []admin.Listener{}
	for _, l := range w.serving.Spec.Listeners {
		c := counters[l.Name]
		a := admin.Listener{Name: l.Name, Protocol: string(l.Protocol), Pool: strings.Join(l.Pools(), ", "),
			Connections: c.Connections, Accepted: c.Accepted, Requests: c.Requests, Failed: c.Failed,
			Shed: c.Shed, Refused: c.Refused, In: admin.Datagrams(c.In), Out: admin.Datagrams(c.Out)}
		for _, b := range l.Bind {
			a.Bind = append(a.Bind, listen.Text(b))
		}
		all = append(all, a)
	}
	return all
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
