// Package notes finds what is new: it compares what a node knows now with what it
// knew before, and says the difference as events. It is pure.
package notes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// conflictOver is how long after its last sight a conflict is another one.
const conflictOver = time.Minute

// Scene is what a node knows at one moment.
type Scene struct {
	Hash          string // of the config
	Fitness       ipc.Fitness
	Agent, Worker Process
	Pools         *ipc.WorkerState // nil: the worker has not reported
	VIPs          []string         // of the config, by name
	Routers       []ipc.RouterState
	Slept         ipc.Sleep // of the agent
	Peers         []Peer
}

// Process is a child of the node.
type Process struct {
	PID  int    // 0 while it is not running
	Ends uint64 // how many of the kind have ended
	Last error  // how the newest of them did; nil: none has
}

// Peer is what a node knows of another.
type Peer struct {
	peer.View
	Verdict string // on it; empty: there is no doubt
	Drifts  bool   // it runs another config
}

// Notes remembers what has been said. The zero value has said nothing.
type Notes struct {
	since    time.Time // of the first Take
	last     map[topic]string
	roles    map[string]vrrp.Change // newest known, by router
	sighted  map[string]time.Time   // newest conflict, by router
	seldomAt map[topic]time.Time
	counts   map[string]map[vrrp.NewActiveReason]uint64
	pools    map[string]*pool
	news     []admin.Event // of the Take that is under way
}

// topic is what an event is about.
type topic struct {
	kind    admin.Kind
	subject string
}

// Take returns what is new in a scene. They are events of the node itself: neither
// their node nor their number is set.
func (n *Notes) Take(now time.Time, sc Scene) []admin.Event {
	if n.last == nil {
		n.last, n.roles, n.sighted = map[topic]string{}, map[string]vrrp.Change{}, map[string]time.Time{}
		n.since = now
		n.seldomAt, n.counts = map[topic]time.Time{}, map[string]map[vrrp.NewActiveReason]uint64{}
	}
	n.news = nil
	n.process(now, admin.AgentEvent, sc.Agent)
	n.process(now, admin.WorkerEvent, sc.Worker)
	n.fitness(now, sc.Fitness)
	for _, name := range sc.VIPs {
		e := admin.Event{At: now, Kind: admin.PriorityEvent, Subject: name}
		if low, is := sc.Fitness.Lowered[name]; is {
			e.What, e.Evidence = fmt.Sprintf("lowered by %d", low.By), low.Reason
		}
		n.lasting(e, "as configured again")
	}
	for _, r := range sc.Routers {
		n.router(now, r)
	}
	if s := sc.Slept; s.Count > 0 {
		n.says(admin.Event{At: s.At, Kind: admin.StallEvent, What: stallText(s)})
	}
	n.ofPools(now, sc.Pools)
	for _, p := range sc.Peers {
		n.peer(now, sc, p)
	}
	return n.news
}

// Activations returns how often each router became Active, by reason.
func (n *Notes) Activations() map[string]map[vrrp.NewActiveReason]uint64 {
	all := make(map[string]map[vrrp.NewActiveReason]uint64, len(n.counts))
	for router, counts := range n.counts {
		all[router] = make(map[vrrp.NewActiveReason]uint64, len(counts))
		for why, count := range counts {
			all[router][why] = count
		}
	}
	return all
}

// says notes an event, unless it is what was said of its topic last.
func (n *Notes) says(e admin.Event) {
	about := topic{e.Kind, e.Subject}
	if n.last[about] == e.What {
		return
	}
	n.last[about] = e.What
	n.news = append(n.news, e)
}

// seldomEvery is how often at most what others do again and again is said.
const seldomEvery = time.Minute

// seldom is says for what others cause, who may go on for ever.
func (n *Notes) seldom(e admin.Event) {
	about := topic{e.Kind, e.Subject}
	if n.last[about] == e.What || e.At.Sub(n.seldomAt[about]).Abs() < seldomEvery {
		return
	}
	n.seldomAt[about] = e.At
	n.says(e)
}

// lasting is says for a state that comes and goes: with nothing to say it is over.
func (n *Notes) lasting(e admin.Event, over string) {
	if e.What == "" {
		if n.last[topic{e.Kind, e.Subject}] == "" {
			return
		}
		e.What = over
	}
	n.says(e)
}

func (n *Notes) process(now time.Time, kind admin.Kind, p Process) {
	e := admin.Event{At: now, Kind: kind}
	switch {
	case p.PID != 0:
		e.What = fmt.Sprintf("started, pid %d", p.PID)
		if p.Last != nil {
			e.Evidence = "the one before: " + p.Last.Error()
		}
	case p.Ends > 0:
		e.What = fmt.Sprintf("ended, %d times by now", p.Ends)
		if p.Last != nil {
			e.Evidence = p.Last.Error()
		}
	default:
		return
	}
	n.says(e)
}

// startsWithin is how long a node may take to be fit without a word about it.
const startsWithin = 3 * time.Second

// fitness notes when a node becomes fit, demoted or neither. That it is not fit for yet
// another reason is none: the events about its worker tell more.
func (n *Notes) fitness(now time.Time, f ipc.Fitness) {
	e := admin.Event{At: now, Kind: admin.FitnessEvent, What: "not fit"}
	switch {
	case f.Demoted:
		e.What = "demoted"
	case f.Fit:
		e.What = "fit"
	case n.last[topic{kind: e.Kind}] == "" && now.Sub(n.since) < startsWithin && !now.Before(n.since):
		return
	}
	e.Evidence = f.Reason
	n.says(e)
}

func stallText(s ipc.Sleep) string {
	return fmt.Sprintf("asleep for %v", s.For.Round(time.Millisecond))
}

// router notes what is new of one virtual router.
func (n *Notes) router(now time.Time, r ipc.RouterState) {
	known := n.roles[r.Name]
	// What is not in the list any more, or was never, is older than all of it.
	i := slices.IndexFunc(r.Changes, func(c vrrp.Change) bool { return c.At.Equal(known.At) && c.To == known.To })
	for _, c := range r.Changes[i+1:] {
		n.news = append(n.news, admin.Event{At: c.At, Kind: admin.RoleEvent, Subject: r.Name, What: fmt.Sprintf("%v -> %v: %s", c.From, c.To, c.Reason), Evidence: roleEvidence(c)})
		if c.To == vrrp.Active {
			if n.counts[r.Name] == nil {
				n.counts[r.Name] = map[vrrp.NewActiveReason]uint64{}
			}
			n.counts[r.Name][c.NewActive]++
		}
		n.roles[r.Name] = c
	}
	if k := r.Conflict; k != nil {
		about := topic{admin.ConflictEvent, r.Name}
		if k.At.Sub(n.sighted[r.Name]).Abs() > conflictOver {
			delete(n.last, about)
		}
		n.sighted[r.Name] = k.At
		n.seldom(admin.Event{At: k.At, Kind: admin.ConflictEvent, Subject: r.Name, What: fmt.Sprintf("%s answers for %s", k.MAC, k.Address)})
	}
	if r.Removals > 0 {
		n.seldom(admin.Event{At: now, Kind: admin.RemovalEvent, Subject: r.Name, What: fmt.Sprintf("someone else removed an address, %d times by now", r.Removals)})
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
func (n *Notes) peer(now time.Time, sc Scene, p Peer) {
	if p.State != nil && (p.Alive || n.last[topic{admin.GossipEvent, p.Name}] != "") {
		life := "silent"
		if p.Alive {
			life = "alive"
		}
		n.says(admin.Event{At: now, Kind: admin.GossipEvent, Subject: p.Name, What: life})
	}
	n.lasting(admin.Event{At: now, Kind: admin.VerdictEvent, Subject: p.Name, What: p.Verdict, Evidence: verdictEvidence(now, sc, p)}, "no doubt any more")
	if p.State == nil || p.State.ConfigHash == "" {
		return // which config it runs it has yet to say
	}
	e := admin.Event{At: now, Kind: admin.DriftEvent, Subject: p.Name}
	if p.Drifts {
		e.What = fmt.Sprintf("runs %s, this node %s", p.State.ConfigHash, sc.Hash)
	}
	n.lasting(e, DriftOver)
}

// DriftOver is what is said of a peer whose config is the same again.
const DriftOver = "runs the same config again"

// verdictEvidence says what was known of both channels.
func verdictEvidence(now time.Time, sc Scene, p Peer) string {
	var parts []string
	for _, r := range sc.Routers {
		s := r.Status
		heard := "nothing heard"
		if s.Peer.IsValid() {
			heard = fmt.Sprintf("heard %s %v ago", s.Peer, now.Sub(s.PeerHeard).Round(time.Millisecond))
		}
		parts = append(parts, fmt.Sprintf("%s here %v, %s", r.Name, s.Role, heard))
	}
	life := "silent"
	if p.Alive {
		life = "alive"
	}
	return strings.Join(append(parts, fmt.Sprintf("gossip %s for %v", life, now.Sub(p.Since).Round(time.Millisecond))), "; ")
}
