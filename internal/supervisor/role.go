package supervisor

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
)

// starting is the fitness of a node before anything is known.
var starting = ipc.Fitness{Reason: "the proxy is starting"}

// coordinator tells the agent what the node is fit for, and the peer what the
// node is, whenever either may have changed. It is owned by the goroutine of run.
type coordinator struct {
	*Supervisor
	reach    judge.Reach
	doubts   map[string]*judge.Doubt
	told     peer.State
	drifting []string
}

func newCoordinator(s *Supervisor) *coordinator {
	return &coordinator{Supervisor: s, doubts: map[string]*judge.Doubt{}}
}

// changed has the coordinator look at the node again. It never blocks.
func (s *Supervisor) changed() {
	select {
	case s.changedC <- struct{}{}:
	default:
	}
}

func (c *coordinator) run(ctx context.Context) {
	ticker := time.NewTicker(watchdogInterval())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			notify(watchdog)
		case <-c.changedC:
		}
		c.look(time.Now())
	}
}

func (c *coordinator) look(now time.Time) {
	var views []peer.View
	if c.cluster != nil {
		views = c.cluster.Views()
	}
	worker := c.worker.view()
	fit := c.fitness(now, worker, views)
	c.mu.Lock()
	c.fit = fit
	c.mu.Unlock()
	var own []ipc.RouterState
	if c.agent != nil {
		c.agent.setFitness(fit)
		own = c.agent.view().routers()
	}
	if c.cluster == nil {
		return
	}
	for _, v := range views {
		c.judge(now, own, v)
	}
	c.noteDrift(views)
	c.publish(peer.State{Version: c.o.Version, ConfigHash: c.current().hash, Fit: fit.Fit, Demoted: fit.Demoted, Reason: fit.Reason, VIPs: publicVIPs(own, c.current().routers)}, worker)
}

// fitness judges whether this node is the one to serve.
func (c *coordinator) fitness(now time.Time, w workerView, views []peer.View) ipc.Fitness {
	switch {
	case !w.ready && w.err != nil:
		return ipc.Fitness{Reason: "the proxy does not serve: " + w.err.Error()}
	case !w.ready:
		return starting
	}
	var peers []peer.State
	for _, v := range views {
		if v.Alive && v.State != nil {
			peers = append(peers, *v.State)
		}
	}
	why := c.reach.Look(now, w.servers(), peers)
	return ipc.Fitness{Fit: true, Demoted: why != "", Reason: why}
}

// judge names what the silence or the claim of a peer means, and has the owner
// of a VIP announce it last.
func (c *coordinator) judge(now time.Time, own []ipc.RouterState, v peer.View) {
	d := c.doubts[v.Name]
	if d == nil {
		d = &judge.Doubt{}
		c.doubts[v.Name] = d
	}
	if d.Look(now, judge.Assess(now, own, v)) {
		c.mu.Lock()
		c.verdicts = maps.Clone(c.verdicts)
		if c.verdicts == nil {
			c.verdicts = map[string]judge.Verdict{}
		}
		c.verdicts[v.Name] = d.Verdict
		c.mu.Unlock()
		if d.Verdict == judge.NoDoubt {
			c.o.Log.Info("peer: no doubt any more", zap.String("node", v.Name))
		} else {
			c.o.Log.Warn("peer: "+d.Verdict.Explain(), zap.String("node", v.Name), zap.String("verdict", string(d.Verdict)))
		}
	}
	if v.State == nil || c.agent == nil {
		return
	}
	for _, a := range judge.Foreign(own, *v.State) {
		c.agent.announce(a)
	}
}

// noteDrift logs when a peer begins or ceases to run another config.
func (c *coordinator) noteDrift(views []peer.View) {
	own := c.current().hash
	var now []string
	for _, v := range views {
		if drifts(v, own) {
			now = append(now, v.Name+" runs "+v.State.ConfigHash)
		}
	}
	switch {
	case slices.Equal(c.drifting, now):
	case len(now) == 0:
		c.o.Log.Info("config drift is over: the nodes run the same config")
	default:
		c.o.Log.Warn("config drift: the nodes run different configs", zap.String("own", own), zap.Strings("peers", now))
	}
	c.drifting = now
}

// drifts reports whether a peer runs another config. One that has only just
// started has not said which.
func drifts(v peer.View, own string) bool {
	return v.State != nil && v.State.ConfigHash != "" && v.State.ConfigHash != own
}

// publish tells the peers what this node is, when that has changed.
func (c *coordinator) publish(now peer.State, w workerView) {
	servers := w.servers()
	now.Servers, now.Reachable = servers.Checked, servers.Reachable
	if sameState(now, c.told) {
		return
	}
	c.told = now
	c.cluster.Publish(func(p *peer.State) {
		now.Node, now.Started, now.Seq = p.Node, p.Started, p.Seq
		*p = now
	})
}

func sameState(a, b peer.State) bool {
	return maps.Equal(a.VIPs, b.VIPs) && a.Version == b.Version && a.ConfigHash == b.ConfigHash && a.Fit == b.Fit && a.Demoted == b.Demoted && a.Reason == b.Reason &&
		a.Servers == b.Servers && a.Reachable == b.Reachable
}

func publicVIPs(own []ipc.RouterState, routers []ipc.Router) map[string]peer.VIP {
	sources := map[string]netip.Addr{}
	for _, r := range routers {
		sources[r.Name] = r.Params.Self
	}
	vips := map[string]peer.VIP{}
	for _, r := range own {
		vips[r.Name] = peer.VIP{Role: r.Status.Role, Epoch: r.Epoch, Source: sources[r.Name].WithZone("")}
	}
	return vips
}
