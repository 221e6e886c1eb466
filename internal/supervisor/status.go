package supervisor

import (
	"context"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/vrrp"
)

// Status describes the node and what it knows of its peer.
func (s *Supervisor) Status(context.Context) (*admin.Status, error) {
	s.mu.Lock()
	now, refused, fit, verdicts := s.now, s.refused, s.fit, s.verdicts
	s.mu.Unlock()
	st := &admin.Status{
		Node: now.self.Name, Version: s.o.Version, Started: s.started, Fit: fit.Fit, Demoted: fit.Demoted, Unfit: fit.Reason,
		Config: admin.Config{Path: s.o.ConfigPath, Hash: now.hash, Loaded: now.at},
		VIPs:   []admin.VIP{}, Peers: s.peers(now.hash, verdicts),
	}
	if refused != nil {
		st.Config.Refused = refused.Error()
	}
	w := s.worker.view()
	st.Worker = admin.Process{PID: w.pid, Restarts: w.ends.count, Error: text(w.why())}
	st.Listeners, st.Pools = listeners(w), pools(w)
	if s.agent != nil {
		a := s.agent.view()
		st.Agent = agentProcess(a)
		st.VIPs = vips(now.routers, a)
	}
	if s.cluster != nil {
		st.Cluster = text(s.cluster.Err())
	}
	return st, nil
}

func agentProcess(a agentView) *admin.Process {
	p := &admin.Process{PID: a.pid, Restarts: a.ends.count, Error: text(a.ends.last)}
	if a.state != nil {
		p.Realtime, p.MemoryLocked = granted(a.state.Realtime), granted(a.state.Locked)
		p.Lateness, p.Dropped, p.Notice = a.state.Lateness, a.state.Dropped, a.state.Notice
	}
	return p
}

func granted(whyNot string) string {
	if whyNot == "" {
		return "yes"
	}
	return whyNot
}

func vips(routers []ipc.Router, a agentView) []admin.VIP {
	states := map[string]ipc.RouterState{}
	for _, r := range a.routers() {
		states[r.Name] = r
	}
	all := []admin.VIP{}
	for _, r := range routers {
		v := admin.VIP{Name: r.Name, Addresses: r.Prefixes, Interface: r.Interface, RouterID: r.Params.VRID, Priority: r.Params.Priority}
		s, ok := states[r.Name]
		if !ok {
			v.Error = "the agent is not running"
			if a.pid != 0 {
				v.Error = "the agent has not reported yet"
			}
		} else {
			v.Role, v.Since, v.Reason, v.Priority = s.Status.Role, s.Status.Since, string(s.Status.Reason), s.Status.Priority
			v.Holds, v.Error, v.Counters, v.Interval = s.Holds, s.Error, s.Status.Counters, s.Status.Interval
			v.Active, v.ActivePrio, v.ActiveHeard = s.Status.Peer, s.Status.PeerPriority, s.Status.PeerHeard
		}
		all = append(all, v)
	}
	return all
}

func (s *Supervisor) peers(ownHash string, verdicts map[string]judge.Verdict) []admin.Peer {
	all := []admin.Peer{}
	if s.cluster == nil {
		return all
	}
	for _, v := range s.cluster.Views() {
		p := admin.Peer{Name: v.Name, Address: v.Address, Alive: v.Alive, Since: v.Since, Drift: drifts(v, ownHash),
			Error: text(v.Err), Verdict: string(verdicts[v.Name]), Explained: verdicts[v.Name].Explain()}
		if v.State != nil {
			p.Fit, p.Demoted, p.Unfit, p.Version, p.Hash = v.State.Fit, v.State.Demoted, v.State.Reason, v.State.Version, v.State.ConfigHash
			p.Servers, p.Reachable = v.State.Servers, v.State.Reachable
			p.Roles = map[string]vrrp.Role{}
			for name, vip := range v.State.VIPs {
				p.Roles[name] = vip.Role
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
		a := admin.Listener{Name: l.Name, Protocol: string(l.Protocol), Pool: l.Pool,
			Connections: c.Connections, Accepted: c.Accepted, Requests: c.Requests, Failed: c.Failed}
		for _, b := range l.Bind {
			a.Bind = append(a.Bind, bindText(b))
		}
		all = append(all, a)
	}
	return all
}

func pools(w workerView) []admin.Pool {
	all := []admin.Pool{}
	if w.state == nil {
		return all
	}
	for _, p := range w.state.Pools {
		a := admin.Pool{Name: p.Name}
		for _, s := range p.Servers {
			a.Servers = append(a.Servers, admin.Server(s))
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
