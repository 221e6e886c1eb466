package supervisor

import (
	"context"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/internal/report"
)

// explained is how many events an explanation ends with.
const explained = 64

// Status describes the node and what it knows of its peer.
func (s *Supervisor) Status(context.Context) (*admin.Status, error) { return s.status(time.Now()), nil }

// Explain tells what the node's role follows from.
func (s *Supervisor) Explain(context.Context) (*admin.Explanation, error) {
	now := time.Now()
	return &admin.Explanation{At: now, Status: *s.status(now), History: s.history.Events(time.Time{}, explained)}, nil
}

func (s *Supervisor) status(now time.Time) *admin.Status {
	sc := s.scene()
	s.mu.Lock()
	refused, fit, verdicts := s.refused, s.fit, s.verdicts
	activations, keys := s.activations, s.ticketKeys // never changed, but replaced
	overlay, notes := s.servers.overlay, s.servers.notes
	s.mu.Unlock()
	w, servers := sc.worker, sc.worker.servers()
	st := &admin.Status{
		Node: sc.loaded.self.Name, Version: s.o.Version, Started: s.started, Fit: fit.Fit, Demoted: fit.Demoted, Unfit: fit.Reason,
		Config:    admin.Config{Path: s.o.ConfigPath, Hash: sc.loaded.hash, Loaded: sc.loaded.at, Refused: report.Text(refused)},
		Worker:    admin.Process{PID: w.pid, Restarts: w.ends.count, Error: report.Text(w.why())},
		VIPs:      []admin.VIP{},
		Peers:     report.Peers(sc.views, sc.loaded.hash, verdicts),
		Listeners: report.Listeners(w.serving.Spec, w.state), Pools: report.Pools(w.state), Servers: servers.Checked, Reachable: servers.Reachable,
		RuntimeChanges: runtimeChanges(overlay), Names: report.Names(s.servers.resolver.Answers()),
		Certificates: certificates(sc.loaded.files.Status(now)),
		Tickets:      ticketStatus(sc.loaded, keys),
		Timeline:     report.Text(s.history.Err()),
		Console:      s.console.View(),
	}
	for _, n := range notes {
		st.Notes = append(st.Notes, n.String())
	}
	if w.state != nil {
		st.Overload = admin.Overload(w.state.Overload)
		st.Sandbox = new(admin.Sandbox(w.state.Sandbox))
		st.LogDropped, st.Panics, st.Traces = w.state.LogDropped, w.state.Panics, admin.Traces(w.state.Traces)
	}
	if s.agent != nil {
		st.Agent = agentProcess(sc.agent)
		st.VIPs = report.Election{
			Routers: sc.loaded.routers, States: sc.agent.routers(), Running: sc.agent.pid != 0, Lowered: fit.Lowered, Views: sc.views,
		}.VIPs(now)
	}
	for i := range st.VIPs {
		st.VIPs[i].Activations = activations[st.VIPs[i].Name]
	}
	if s.cluster != nil {
		st.Cluster = report.Text(s.cluster.Err())
	}
	return st
}

func agentProcess(a agentView) *admin.Process {
	p := &admin.Process{PID: a.pid, Restarts: a.ends.count, Error: report.Text(a.ends.last), Slept: report.Sleep(peer.Sleep(a.slept()))}
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
