package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// conflictOver is how long after its last sight a conflict is another one.
const conflictOver = time.Minute

// notes compares each scene with those before, and remembers in the history what
// is new.
type notes struct {
	*Supervisor
	last    map[topic]string
	roles   map[string]vrrp.Change // newest known, by router
	sighted map[string]time.Time   // newest conflict, by router
}

// topic is what an event is about.
type topic struct {
	kind    admin.Kind
	subject string
}

func newNotes(s *Supervisor) notes {
	return notes{Supervisor: s, last: map[topic]string{}, roles: map[string]vrrp.Change{}, sighted: map[string]time.Time{}}
}

// take notes what is new in a scene and what follows from it.
func (n *notes) take(now time.Time, sc scene, out outcome) {
	n.process(now, admin.AgentEvent, sc.agent.pid, sc.agent.ends)
	n.process(now, admin.WorkerEvent, sc.worker.pid, sc.worker.ends)
	n.says(admin.Event{At: now, Kind: admin.FitnessEvent, What: fitnessText(out.fit)})
	for _, r := range sc.loaded.routers {
		e := admin.Event{At: now, Kind: admin.PriorityEvent, Subject: r.VIP}
		if low, is := out.fit.Lowered[r.VIP]; is {
			e.What, e.Evidence = fmt.Sprintf("lowered by %d", low.By), low.Reason
		}
		n.lasting(e, "as configured again")
	}
	for _, r := range sc.agent.routers() {
		n.router(now, r)
	}
	if s := sc.agent.slept(); s.Count > 0 {
		n.says(admin.Event{At: s.At, Kind: admin.StallEvent, What: stallText(s)})
	}
	for _, v := range sc.views {
		n.peer(now, sc, v)
	}
}

// says remembers an event, unless it is what was said of its topic last.
func (n *notes) says(e admin.Event) {
	about := topic{e.Kind, e.Subject}
	if n.last[about] == e.What {
		return
	}
	n.last[about] = e.What
	n.history.add(e)
}

// lasting is says for a state that comes and goes: with nothing to say it is over.
func (n *notes) lasting(e admin.Event, over string) {
	if e.What == "" {
		if before := n.last[topic{e.Kind, e.Subject}]; before == "" {
			return
		}
		e.What = over
	}
	n.says(e)
}

func (n *notes) process(now time.Time, kind admin.Kind, pid int, past ends) {
	e := admin.Event{At: now, Kind: kind}
	switch {
	case pid != 0:
		e.What = fmt.Sprintf("started, pid %d", pid)
		if past.last != nil {
			e.Evidence = "the one before: " + past.last.Error()
		}
	case past.count > 0:
		e.What, e.Evidence = fmt.Sprintf("ended, %d times by now", past.count), text(past.last)
	default:
		return
	}
	n.says(e)
}

func fitnessText(f ipc.Fitness) string {
	switch {
	case f.Demoted:
		return "demoted: " + f.Reason
	case f.Fit:
		return "fit"
	}
	return "not fit: " + f.Reason
}

func stallText(s ipc.Sleep) string {
	return fmt.Sprintf("asleep for %v", s.For.Round(time.Millisecond))
}

// router notes what is new of one virtual router.
func (n *notes) router(now time.Time, r ipc.RouterState) {
	known := n.roles[r.Name]
	// What is not in the list any more, or was never, is older than all of it.
	i := slices.IndexFunc(r.Changes, func(c vrrp.Change) bool { return c.At.Equal(known.At) && c.To == known.To })
	for _, c := range r.Changes[i+1:] {
		n.history.add(admin.Event{At: c.At, Kind: admin.RoleEvent, Subject: r.Name, What: fmt.Sprintf("%v -> %v: %s", c.From, c.To, c.Reason), Evidence: roleEvidence(c)})
		if c.To == vrrp.Active {
			n.history.became(r.Name, c.NewActive)
		}
		n.roles[r.Name] = c
	}
	if k := r.Conflict; k != nil {
		about := topic{admin.ConflictEvent, r.Name}
		if k.At.Sub(n.sighted[r.Name]) > conflictOver {
			delete(n.last, about)
		}
		n.sighted[r.Name] = k.At
		n.says(admin.Event{At: k.At, Kind: admin.ConflictEvent, Subject: r.Name, What: fmt.Sprintf("%s answers for %s", k.MAC, k.Address)})
	}
	if r.Removals > 0 {
		n.says(admin.Event{At: now, Kind: admin.RemovalEvent, Subject: r.Name, What: fmt.Sprintf("someone else removed an address, %d times by now", r.Removals)})
	}
}

func roleEvidence(c vrrp.Change) string {
	parts := []string{fmt.Sprintf("priority %d", c.Priority)}
	if c.Peer.IsValid() {
		parts = append(parts, fmt.Sprintf("%s was heard with %d", c.Peer, c.PeerPriority))
	}
	switch c.Facts.PeerAlive {
	case vrrp.Yes:
		parts = append(parts, "the peer was alive by gossip")
	case vrrp.No:
		parts = append(parts, "the peer was silent by gossip")
	}
	return strings.Join(parts, ", ")
}

// peer notes what is new of a peer.
func (n *notes) peer(now time.Time, sc scene, v peer.View) {
	if v.State != nil {
		life := "silent"
		if v.Alive {
			life = "alive"
		}
		n.says(admin.Event{At: now, Kind: admin.GossipEvent, Subject: v.Name, What: life})
		if s := v.State.Slept; s.Count > 0 {
			n.says(admin.Event{At: now, Kind: admin.StallEvent, Subject: v.Name, What: stallText(ipc.Sleep(s))})
		}
	}
	n.mu.Lock()
	verdict := n.verdicts[v.Name].Verdict
	n.mu.Unlock()
	n.lasting(admin.Event{At: now, Kind: admin.VerdictEvent, Subject: v.Name, What: string(verdict), Evidence: verdictEvidence(now, sc, v)}, "no doubt any more")
	n.drift(now, sc, v)
}

// verdictEvidence says what was known of both channels.
func verdictEvidence(now time.Time, sc scene, v peer.View) string {
	var parts []string
	for _, r := range sc.agent.routers() {
		s := r.Status
		heard := "nothing heard"
		if s.Peer.IsValid() {
			heard = fmt.Sprintf("heard %s %v ago", s.Peer, now.Sub(s.PeerHeard).Round(time.Millisecond))
		}
		parts = append(parts, fmt.Sprintf("%s here %v, %s", r.Name, s.Role, heard))
	}
	life := "silent"
	if v.Alive {
		life = "alive"
	}
	return strings.Join(append(parts, fmt.Sprintf("gossip %s for %v", life, now.Sub(v.Since).Round(time.Millisecond))), "; ")
}

// drift notes, and logs, when a peer begins or ceases to run another config.
func (n *notes) drift(now time.Time, sc scene, v peer.View) {
	e := admin.Event{At: now, Kind: admin.DriftEvent, Subject: v.Name}
	if drifts(v, sc.loaded.hash) {
		e.What = fmt.Sprintf("runs %s, this node %s", v.State.ConfigHash, sc.loaded.hash)
	}
	about := topic{e.Kind, e.Subject}
	before := n.last[about]
	n.lasting(e, "runs the same config again")
	switch {
	case n.last[about] == before:
	case e.What == "":
		n.o.Log.Info("config drift is over: the nodes run the same config", zap.String("node", v.Name))
	default:
		n.o.Log.Warn("config drift: the nodes run different configs", zap.String("node", v.Name), zap.String("own", sc.loaded.hash), zap.String("peer", v.State.ConfigHash))
	}
}
