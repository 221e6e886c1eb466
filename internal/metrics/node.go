package metrics

import (
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// verdicts are those that a peer can have; see package judge.
var verdicts = []string{"none", "death", "cut", "gossip_cut"}

// roles are those of a virtual router.
var roles = []string{vrrp.Init.String(), vrrp.Backup.String(), vrrp.Active.String()}

func (m sink) node(s *admin.Status) {
	m.put(buildInfo, 1, s.Version)
	m.put(configInfo, 1, s.Config.Hash)
	m.put(configLoaded, seconds(s.Config.Loaded))
	m.put(configRefused, truth(s.Config.Refused != ""))
	m.put(nodeStarted, seconds(s.Started))
	m.put(nodeFit, truth(s.Fit))
	m.put(nodeDemoted, truth(s.Demoted))
	m.put(processRestarts, float64(s.Worker.Restarts), "worker")
	if a := s.Agent; a != nil {
		m.agent(a)
	}
	if c := s.Console; c != nil {
		m.put(adminWatchers, float64(c.Watchers))
		for reason, n := range c.Refused {
			m.put(adminRefused, float64(n), reason)
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (m sink) agent(a *admin.Process) {
	m.put(processRestarts, float64(a.Restarts), "agent")
	m.put(heartbeatLateness, a.Lateness.Seconds())
	stalls := 0.0
	if a.Slept != nil {
		stalls = float64(a.Slept.Count)
	}
	m.put(heartbeatStalls, stalls)
	m.put(agentRealtime, truth(a.Realtime == "yes"))
	m.put(agentLocked, truth(a.MemoryLocked == "yes"))
	for reason, n := range a.Dropped {
		m.put(agentDropped, float64(n), string(reason))
	}
}

func (m sink) process(name string, p ipc.Process) {
	m.put(processCPU, p.CPU.Seconds(), name)
	m.put(processMemory, float64(p.Memory), name)
	m.put(processDescriptors, float64(p.Descriptors), name)
	if p.DescriptorLimit > 0 {
		m.put(processDescriptorLimit, float64(p.DescriptorLimit), name)
	}
	m.put(processGoroutines, float64(p.Goroutines), name)
}

func (m sink) vip(v admin.VIP) {
	m.states(vipRole, roles, v.Role.String(), v.Name)
	m.put(vipHeld, truth(v.Holds), v.Name)
	m.put(vipPriority, float64(v.Priority), v.Name)
	m.put(vipBase, float64(v.Base), v.Name)
	m.put(vipEpoch, float64(v.Epoch), v.Name)
	m.put(vipLost, float64(len(v.Lost)), v.Name)
	m.put(vipFlapping, float64(v.Flapping), v.Name)
	for why, n := range v.Activations {
		m.put(vipActivations, float64(n), v.Name, why.String())
	}
	m.put(vipLosses, float64(v.Lease.Losses), v.Name)
	m.put(vipRenewals, float64(v.Lease.Renewals), v.Name)
	m.put(vipAnnouncements, float64(v.Lease.Announcements), v.Name)
	m.put(vipErrors, float64(v.Lease.Errors), v.Name)
	k := v.Counters
	m.put(vipSent, float64(k.Sent), v.Name)
	m.put(vipReceived, float64(k.Received), v.Name)
	m.put(vipMismatches, float64(k.AddressMismatch), v.Name)
	for reason, n := range k.Dropped {
		m.put(vipDropped, float64(n), v.Name, string(reason))
	}
	m.put(vipConflicts, float64(v.Conflicts), v.Name)
	m.put(vipRemovals, float64(v.Removals), v.Name)
}

func (m sink) peer(p admin.Peer) {
	m.put(peerAlive, truth(p.Alive), p.Name)
	m.put(peerFit, truth(p.Fit), p.Name)
	m.put(peerDrift, truth(p.Drift), p.Name)
	verdict := p.Verdict
	if verdict == "" {
		verdict = "none"
	}
	m.states(peerVerdict, verdicts, verdict, p.Name)
}

func (m sink) worker(s *admin.Status) {
	m.put(workerOverloaded, truth(s.Overload.Reason != ""))
	m.put(workerOverloads, float64(s.Overload.Count))
	m.put(workerPanics, float64(s.Panics))
	m.put(logDropped, float64(s.LogDropped))
	if t := s.Traces; t.Receiver != "" || t.Sent+t.Dropped > 0 {
		m.put(traceSpans, float64(t.Sent), "sent")
		m.put(traceSpans, float64(t.Dropped), "dropped")
	}
}

func (m sink) tickets(t *admin.Tickets) {
	if len(t.Keys) > 0 {
		m.put(ticketsShared, truth(t.Shared))
		m.put(ticketKeyBorn, seconds(t.Keys[0].Born))
	}
}

func (m sink) certificates(c *admin.Certificates) {
	shown := make(map[[3]string]bool) // a listener may name one twice
	for _, one := range c.List {
		key := [3]string{one.Listener, one.Pool, one.Path}
		if !shown[key] {
			shown[key] = true
			m.put(certificateEnd, seconds(one.NotAfter), key[:]...)
		}
	}
	next := make(map[[3]string]time.Time) // the earliest, where a file has two lists of one issuer
	for _, l := range c.Revoked {
		key := [3]string{l.Listener, l.Path, l.Issuer}
		if before, is := next[key]; !l.Next.IsZero() && (!is || l.Next.Before(before)) {
			next[key] = l.Next
		}
	}
	for key, at := range next {
		m.put(crlNext, seconds(at), key[:]...)
	}
	m.put(certificateReloads, float64(c.Reloads))
	m.put(certificateErrors, float64(c.Errors))
	refused := 0
	for _, p := range c.Problems {
		refused += len(p.Paths)
	}
	m.put(certificateRefused, float64(refused))
}
