package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tandemlb/tandem/internal/child"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/place"
	"github.com/tandemlb/tandem/internal/telemetry"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// endTimeout is how long a child that has closed its control socket, or
	// whose time is over, has to end.
	endTimeout = time.Second
	// beginWithin is how long a child that has been started may take to say anything.
	beginWithin = 15 * time.Second
	// silentReports is how many seconds an agent may be silent, which reports
	// once a second, before it is ended. Its addresses go by their lease anyway.
	silentReports = 5
)

// agentLink keeps the agent running and tells it, anew after each start, what
// it has to do.
type agentLink struct {
	log     *zap.Logger
	family  child.Family
	changed func() // State has changed; must not block
	// sweep removes the addresses that a dead agent has left.
	sweep func([]netip.Prefix) (removed []string, err error)
	hash  func() string // of the config that the node runs

	mu      sync.Mutex
	conn    *ipc.Conn[ipc.FromAgent, ipc.ToAgent] // nil while it is not running
	proc    *child.Process
	config  ipc.AgentConfig
	fitness ipc.Fitness
	facts   vrrp.Facts
	state   *ipc.AgentState // newest of the running agent
	heard   int             // reports since the last look
	ends    ends
	leaving bool
}

// session runs one agent until it has ended.
func (a *agentLink) session(ctx context.Context) error {
	if a.left() {
		return child.ErrLeft
	}
	conn, theirs, err := ipc.Pair[ipc.FromAgent, ipc.ToAgent]("agent")
	if err != nil {
		return err
	}
	defer conn.Close()
	proc, err := a.family.Start("agent", theirs, nil)
	if err != nil {
		return a.ended(err)
	}
	if !a.greet(conn, proc) {
		proc.Kill() // nobody has told it what to do
		return child.ErrLeft
	}

	watched, stop := context.WithCancel(ctx)
	defer stop()
	go a.watch(watched, proc)
	err = a.receive(conn, proc.Log)
	select {
	case <-proc.Done:
	case <-time.After(endTimeout):
		proc.Kill() // it closed the socket and lives on
	}
	err = errors.Join(err, proc.Ending())
	a.cleanUp()
	return a.ended(err)
}

// left reports whether the node has left the election for good. An agent that
// started then would take the addresses back from the peer.
func (a *agentLink) left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}

// greet tells a new agent what it has to do, and reports whether it has anything
// to do: leave knows of no agent before.
func (a *agentLink) greet(conn *ipc.Conn[ipc.FromAgent, ipc.ToAgent], proc *child.Process) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		return false
	}
	a.conn, a.proc, a.heard = conn, proc, 1
	a.send(ipc.ToAgent{Config: &a.config})
	a.send(ipc.ToAgent{Fitness: &a.fitness})
	a.send(ipc.ToAgent{Facts: &a.facts})
	return true
}

// send sends m to the running agent, if any. The caller holds mu.
func (a *agentLink) send(m ipc.ToAgent) {
	if a.conn == nil {
		return
	}
	if err := a.conn.Send(m); err != nil {
		a.log.Warn("message to the agent", zap.Error(err))
	}
}

// cleanUp removes what the agent that has ended may have left, at once: its peer
// knows of its death as soon as this process does.
func (a *agentLink) cleanUp() {
	a.mu.Lock()
	var prefixes []netip.Prefix
	for _, r := range a.config.Routers {
		prefixes = append(prefixes, r.Prefixes...)
	}
	a.mu.Unlock()
	removed, err := a.sweep(prefixes)
	if len(removed) > 0 {
		a.log.Warn("removed what the dead agent left behind", zap.Strings("removed", removed))
	}
	if err != nil {
		a.log.Error("remove the addresses of the dead agent (their lease will end them)", zap.Error(err))
	}
}

// ended takes note that the agent has ended, and returns why session ends.
func (a *agentLink) ended(err error) error {
	defer a.changed()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn, a.proc, a.state = nil, nil, nil
	if a.leaving {
		return child.ErrLeft
	}
	a.ends.note(err)
	return err
}

// watch ends an agent that does not report, and any agent when ctx is done.
func (a *agentLink) watch(ctx context.Context, proc *child.Process) {
	// Seconds are counted, not measured: when this process was stopped too, the
	// agent is not to blame.
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	silent, allowed := 0, int(beginWithin/time.Second)
	for silent < allowed {
		select {
		case <-proc.Done:
			return
		case <-ctx.Done():
			proc.Kill()
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		silent++
		if a.heard > 0 {
			silent, allowed = 0, silentReports
		}
		a.heard = 0
		a.mu.Unlock()
	}
	a.log.Error("the agent does not report, ending it", zap.Int("seconds", silent), telemetry.Always())
	proc.Kill()
}

func (a *agentLink) receive(conn *ipc.Conn[ipc.FromAgent, ipc.ToAgent], voice *zap.Logger) error {
	first := true
	for {
		m, _, err := conn.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.Log != nil:
			a.relay(voice, m.Log)
		case m.State != nil:
			if first {
				a.warnOfLacks(m.State)
				first = false
			}
			a.mu.Lock()
			a.state = m.State
			a.heard++
			a.mu.Unlock()
			a.changed()
		}
	}
}

// warnOfLacks logs what the agent was not granted. It runs without, but a busy
// host can delay its heartbeat then.
func (a *agentLink) warnOfLacks(s *ipc.AgentState) {
	if s.Realtime != "" {
		a.log.Warn("the agent does not run under a real-time scheduler", zap.String("reason", s.Realtime))
	}
	if s.Locked != "" {
		a.log.Warn("the agent's memory is not locked", zap.String("reason", s.Locked))
	}
}

// relay logs what the agent has to say; it writes no log itself.
func (a *agentLink) relay(voice *zap.Logger, line *ipc.LogLine) {
	level, err := zapcore.ParseLevel(line.Level)
	if err != nil {
		level = zapcore.WarnLevel
	}
	entry := voice.Check(level, line.Message)
	if entry == nil {
		return
	}
	if !line.At.IsZero() {
		entry.Time = line.At
	}
	var fields []zap.Field
	for _, k := range slices.Sorted(maps.Keys(line.Fields)) {
		fields = append(fields, zap.Any(k, line.Fields[k]))
	}
	if line.Role {
		fields = append(fields, zap.String("hash", a.hash()), telemetry.Always())
	}
	entry.Write(fields...)
}

// configure replaces the virtual routers.
func (a *agentLink) configure(c ipc.AgentConfig) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.config = c
	a.send(ipc.ToAgent{Config: &c})
}

// setFitness tells the agent whether the node can serve, when that has changed.
func (a *agentLink) setFitness(f ipc.Fitness) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reflect.DeepEqual(a.fitness, f) {
		return
	}
	a.fitness = f
	fields := []zap.Field{zap.Bool("fit", f.Fit), zap.Bool("demoted", f.Demoted), zap.String("reason", f.Reason)}
	for _, name := range slices.Sorted(maps.Keys(f.Lowered)) {
		fields = append(fields, zap.String("lowered."+name, fmt.Sprintf("by %d: %s", f.Lowered[name].By, f.Lowered[name].Reason)))
	}
	a.log.Info("fitness", fields...)
	a.send(ipc.ToAgent{Fitness: &f})
}

// setFacts tells the agent what is known beside advertisements, when that has
// changed.
func (a *agentLink) setFacts(f vrrp.Facts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.facts == f {
		return
	}
	a.facts = f
	a.send(ipc.ToAgent{Facts: &f})
}

// announce tells the agent of an announcement of another node.
func (a *agentLink) announce(m ipc.Announce) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(ipc.ToAgent{Announce: &m})
}

// leave has the agent hand its addresses over, and waits until it has ended.
func (a *agentLink) leave(within time.Duration) {
	a.mu.Lock()
	a.leaving = true
	proc := a.proc
	a.send(ipc.ToAgent{Leave: &ipc.Leave{}})
	a.mu.Unlock()
	if proc == nil {
		return
	}
	select {
	case <-proc.Done:
	case <-time.After(within):
		a.log.Error("the agent does not leave, ending it", telemetry.Always())
		proc.Kill()
	}
}

// agentView is what is known of the agent.
type agentView struct {
	pid   int
	ends  ends
	state *ipc.AgentState // nil until the running agent has reported
}

func (a *agentLink) view() agentView {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := agentView{ends: a.ends, state: a.state}
	if a.proc != nil {
		v.pid = a.proc.PID
	}
	return v
}

// why says why the agent has nothing to say.
func (a *agentLink) why() error {
	if last := a.view().ends.last; last != nil {
		return last
	}
	return errors.New("it has not reported")
}

// peerDied reports whether the peer's kernel has told of the death of its agent.
func (v agentView) peerDied() bool { return v.state != nil && v.state.PeerDied }

// routers returns the newest word of the agent about its virtual routers.
func (v agentView) routers() []ipc.RouterState {
	if v.state == nil {
		return nil
	}
	return v.state.Routers
}

// slept returns the newest stall of the agent.
func (v agentView) slept() ipc.Sleep {
	if v.state == nil {
		return ipc.Sleep{}
	}
	return v.state.Slept
}

// run keeps the agent running until it has been told to leave, or ctx is done.
func (a *agentLink) run(ctx context.Context) {
	child.Keep(ctx, "agent", a.log, a.session)
}

// placed returns the virtual routers as they run.
func (s *Supervisor) placed() place.Placed {
	l := s.current()
	return place.Placed{Config: l.config, Self: l.self, Routers: l.routers}
}

// move runs the virtual routers where p says, unless a reload was quicker.
func (s *Supervisor) move(p place.Placed) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next := *s.current()
	if next.config != p.Config || s.stopping {
		return
	}
	next.routers = p.Routers
	s.mu.Lock()
	s.now = &next
	s.mu.Unlock()
	s.o.Log.Warn("an interface has been replaced, or has another address: the VIPs follow it", zap.String("interface", p.Routers[0].Interface))
	s.agent.configure(ipc.AgentConfig{Routers: p.Routers, Notice: s.notice})
}
