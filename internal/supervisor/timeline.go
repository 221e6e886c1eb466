package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/timeline"
	"github.com/tandemlb/tandem/internal/timeline/notes"
)

// timeline returns the timeline of the node, which begins with its start.
func (s *Supervisor) timeline(first *loaded) *timeline.Store {
	o := timeline.Options{Node: first.self.Name, Boot: s.started, Dir: s.o.stateDir(first.config), Changed: s.changed, Log: s.o.Log}
	for _, n := range first.others() {
		o.Others = append(o.Others, n.Name)
	}
	t := timeline.New(o)
	t.Add(admin.Event{At: s.started, Kind: admin.NodeEvent, What: "started, version " + s.o.Version})
	return t
}

// Timeline tells what happened on the nodes.
func (s *Supervisor) Timeline() admin.Timeline { return s.history }

// stateDir returns the directory for what outlives the process.
func (o Options) stateDir(cfg *config.Config) string {
	if o.StateDir != "" && cfg.State == config.DefaultState {
		return o.StateDir
	}
	return cfg.State
}

// receive takes in the events that a peer tells.
func (s *Supervisor) receive(body []byte) {
	if err := s.history.Receive(time.Now(), body); err != nil {
		s.o.Log.Warn("ignored events of the peer", zap.Error(err))
	}
}

// note puts what is new into the timeline, and logs what is not logged elsewhere.
func (c *coordinator) note(now time.Time, sc scene, out outcome) {
	seen := notes.Scene{
		Hash: sc.loaded.hash, Fitness: out.fit, Agent: process(sc.agent.pid, sc.agent.ends), Worker: process(sc.worker.pid, sc.worker.ends), Pools: sc.worker.state,
		Routers: sc.agent.routers(), Slept: sc.agent.slept(),
	}
	for _, r := range sc.loaded.routers {
		seen.VIPs = append(seen.VIPs, r.VIP)
	}
	for _, v := range sc.views {
		seen.Peers = append(seen.Peers, notes.Peer{View: v, Verdict: string(c.doubts[v.Name].Verdict), Drifts: v.Drifts(sc.loaded.hash)})
	}
	for _, e := range c.notes.Take(now, seen) {
		c.history.Add(e)
		switch {
		case e.Kind != admin.DriftEvent:
		case e.What == notes.DriftOver:
			c.o.Log.Info("config drift is over: the nodes run the same config", zap.String("peer", e.Subject))
		default:
			c.o.Log.Warn("config drift: the nodes run different configs", zap.String("peer", e.Subject), zap.String("drift", e.What))
		}
	}
	c.mu.Lock()
	c.activations = c.notes.Activations()
	c.mu.Unlock()
}

func process(pid int, e ends) notes.Process {
	return notes.Process{PID: pid, Ends: e.count, Last: e.last}
}
