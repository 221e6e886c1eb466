package supervisor

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/internal/report"
	"github.com/tandemlb/tandem/internal/sdnotify"
	"github.com/tandemlb/tandem/internal/tickets"
	"github.com/tandemlb/tandem/internal/timeline/notes"
	"github.com/tandemlb/tandem/vrrp"
)

// starting is the fitness of a node before anything is known.
var starting = ipc.Fitness{Reason: "the proxy is starting"}

// lookEvery is how often the node looks at itself when nothing changes: some
// things matter by lasting.
const lookEvery = 250 * time.Millisecond

// coordinator tells the agent what the node is fit for, and the peer what the
// node is, whenever either may have changed. It is owned by the goroutine of run.
type coordinator struct {
	*Supervisor
	reach   judge.Reach
	tracks  map[string]*judge.Tracking // by group
	doubts  map[string]*judge.Doubt    // by peer
	notes   notes.Notes
	tickets tickets.Keeper
	told    peer.State
	line    string // told to the service manager
}

func newCoordinator(s *Supervisor) *coordinator {
	return &coordinator{Supervisor: s, tracks: map[string]*judge.Tracking{}, doubts: map[string]*judge.Doubt{}}
}

// changed has the coordinator look at the node again. It never blocks.
func (s *Supervisor) changed() {
	select {
	case s.changedC <- struct{}{}:
	default:
	}
}

func (c *coordinator) run(ctx context.Context) {
	ticker := time.NewTicker(sdnotify.Interval(lookEvery))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.live()
		case <-c.changedC:
		}
		c.look(time.Now())
	}
}

// live tells the service manager that the node lives: that this loop turns, and that
// what is to run runs. A child that has ended is back before anybody is missed.
func (c *coordinator) live() {
	if c.worker.view().pid != 0 && (c.agent == nil || c.agent.view().pid != 0) {
		sdnotify.Alive()
	}
}

// scene is all that the node knows at one moment.
type scene struct {
	loaded *loaded
	worker workerView
	agent  agentView
	views  []peer.View
}

// scene looks around.
func (s *Supervisor) scene() scene {
	sc := scene{loaded: s.current(), worker: s.worker.view()}
	if s.agent != nil {
		sc.agent = s.agent.view()
	}
	if s.cluster != nil {
		sc.views = s.cluster.Views()
	}
	return sc
}

// outcome is what follows from a scene.
type outcome struct {
	fit      ipc.Fitness
	facts    vrrp.Facts
	announce []ipc.Announce
	says     peer.State // what the node says of itself
}

func (c *coordinator) look(now time.Time) {
	sc := c.scene()
	out := c.decide(now, sc)
	c.mu.Lock()
	c.fit, c.verdicts = out.fit, c.judged()
	c.mu.Unlock()
	if c.agent != nil {
		c.agent.setFitness(out.fit)
		c.agent.setFacts(out.facts)
		for _, a := range out.announce {
			c.agent.announce(a)
		}
	}
	c.note(now, sc, out)
	if line := report.Line(out.fit, sc.agent.routers()); line != c.line {
		c.line = line
		sdnotify.Status(line)
	}
	out.says.Tickets, out.says.Events = c.rotate(now, sc), c.history.Says()
	if c.cluster != nil {
		c.publish(out.says)
		for _, l := range c.history.Letters(now, sc.views) {
			c.cluster.Tell(l.To, l.Body)
		}
	}
	c.servers.hint(sc.worker.state)
}

// decide says what follows from a scene. Time and again that is the same.
func (c *coordinator) decide(now time.Time, sc scene) outcome {
	own := sc.agent.routers()
	out := outcome{fit: c.fitness(now, sc), facts: judge.Facts(sc.views)}
	out.fit.Lowered = c.track(now, sc)
	for _, v := range sc.views {
		c.judge(now, sc, v)
		if v.State != nil {
			out.announce = append(out.announce, judge.Foreign(own, *v.State)...)
		}
	}
	servers := sc.worker.servers()
	out.says = peer.State{
		Version: c.o.Version, ConfigHash: sc.loaded.hash, Fit: out.fit.Fit, Demoted: out.fit.Demoted, Reason: out.fit.Reason,
		VIPs: publicVIPs(own, sc.loaded.routers), Servers: servers.Checked, Reachable: servers.Reachable,
		Lost: c.missing(), Slept: peer.Sleep(sc.agent.slept()),
	}
	return out
}

// fitness judges whether this node is the one to serve.
func (c *coordinator) fitness(now time.Time, sc scene) ipc.Fitness {
	switch w := sc.worker; {
	case !w.ready && w.err != nil:
		return ipc.Fitness{Reason: "the proxy does not serve: " + w.err.Error()}
	case !w.ready:
		return starting
	case !sc.loaded.tracksServers():
		c.reach = judge.Reach{}
		return ipc.Fitness{Fit: true}
	}
	var peers []peer.State
	for _, v := range sc.views {
		if v.Alive && v.State != nil {
			peers = append(peers, *v.State)
		}
	}
	why := c.reach.Look(now, sc.worker.servers(), peers)
	return ipc.Fitness{Fit: true, Demoted: why != "", Reason: why}
}

// judge names what the silence or the claim of a peer means.
func (c *coordinator) judge(now time.Time, sc scene, v peer.View) {
	d := c.doubts[v.Name]
	if d == nil {
		d = &judge.Doubt{}
		c.doubts[v.Name] = d
	}
	if !d.Look(now, judge.Assess(now, sc.agent.routers(), sc.agent.peerDied(), v)) {
		return
	}
	if d.Verdict == judge.NoDoubt {
		c.o.Log.Info("peer: no doubt any more", zap.String("peer", v.Name))
	} else {
		c.o.Log.Warn("peer: "+d.Verdict.Explain(), zap.String("peer", v.Name), zap.String("verdict", string(d.Verdict)))
	}
}

// judged returns the doubts as they are now.
func (c *coordinator) judged() map[string]judge.Doubt {
	all := map[string]judge.Doubt{}
	for name, d := range c.doubts {
		all[name] = *d
	}
	return all
}

// publish tells the peers what this node is, when that has changed.
func (c *coordinator) publish(says peer.State) {
	if reflect.DeepEqual(says, c.told) {
		return
	}
	c.told = says
	c.cluster.Publish(func(p *peer.State) {
		says.Node, says.Started, says.Seq = p.Node, p.Started, p.Seq
		*p = says
	})
}

func publicVIPs(own []ipc.RouterState, routers []ipc.Router) map[string]peer.VIP {
	vips := map[string]peer.VIP{}
	for _, r := range own {
		var source netip.Addr
		if i := slices.IndexFunc(routers, func(k ipc.Router) bool { return k.Name == r.Name }); i >= 0 {
			source = routers[i].Params.Self.WithZone("")
		}
		vips[r.Name] = peer.VIP{
			Role: r.Status.Role, Priority: r.Status.Priority, Epoch: r.Epoch, Source: source,
			Since: r.Status.Since.Round(0).UTC(), Reason: string(r.Status.Reason),
		}
	}
	return vips
}
