package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Judge has seen everything up to an event. Its methods are for one goroutine.
type Judge struct {
	bounds Bounds
	now    time.Duration
	nodes  [2]node
	late   delays

	bad    map[string]int // parts of what the nodes say that get lost, by how many faults
	heard  since          // all the heartbeat gets through
	told   since          // and all the gossip
	faults map[int]string // that go on and are not harmless
	all    map[int]string // harmless ones with them
	calm   since          // no fault goes on that is not harmless

	owner     int // who alone has the address; Nobody when none or both
	moved     time.Duration
	orphans   time.Duration // until when the last of them may live
	neighbour int
	announcer int // whose announcement was the last
	answerer  int
	answered  time.Duration

	two, none, disagree spell
	doubt               *doubt
	failed              map[string]time.Duration // by class: when its failure in a calm was told

	found   []Violation
	Figures Figures
	// Excused is what would be violations of a calm, had the machine not been late.
	Excused []Violation
}

// Figures are the worst that was seen, whether promised or not.
type Figures struct {
	Two      time.Duration // both owned the address while they could hear each other
	None     time.Duration // nobody did, though a node could have all the time
	Held     time.Duration // a node that did not run had it
	Disagree time.Duration // the network believed what was not so, when nothing was wrong any more
	Gap      time.Duration // between two samples
	Lock     time.Duration
	Ordinary time.Duration
	Announce int // frames of a node in a second
	Adverts  int
	Owners   int // how often the owner changed
	Outcomes map[string]Tally
}

// A Tally counts requests.
type Tally struct{ Sent, Failed, Calm int } // Calm: sent while nothing was wrong

// node is what is known of one of the pair.
type node struct {
	holds    bool
	held     time.Duration // since when
	down     map[string]bool
	agent    since // it runs
	off      int   // faults that cut the node off
	link     since
	ready    since // it said so, and nothing was done to it since
	servers  bool
	priority int
	role     string
	lease    bool // that it outlived its lease was told
	announce window
	adverts  window
}

// New returns a judge at the beginning, when both nodes run and nothing is wrong.
func New(b Bounds) *Judge {
	j := &Judge{
		bounds: b, bad: map[string]int{}, faults: map[int]string{}, all: map[int]string{}, failed: map[string]time.Duration{},
		owner: Nobody, neighbour: Nobody, announcer: Nobody, answerer: Nobody,
		heard: since{is: true}, told: since{is: true}, calm: since{is: true},
	}
	j.Figures.Outcomes = map[string]Tally{}
	for i := range j.nodes {
		j.nodes[i] = node{down: map[string]bool{}, agent: since{is: true}, link: since{is: true}, priority: b.Priority[i]}
	}
	return j
}

// Feed takes the next event. Its time is not before that of the one before; if it
// is, it is taken for as late as that. It returns what is wrong since.
func (j *Judge) Feed(e Event) []Violation {
	j.now = max(j.now, e.At)
	e.At = j.now
	j.found = nil
	if e.Node < Nobody || e.Node > 1 {
		return nil
	}
	switch e.What {
	case Late:
		j.lateness(e)
	case Bad, Good, Begin, End:
		j.faulty(e)
	case Check:
		j.check(e)
	case Outcome:
		j.outcome(e)
	case Sample:
		j.sample(e)
	case Neighbour:
		j.neighbour = e.Node
	default:
		if e.Node != Nobody {
			j.ofNode(e, &j.nodes[e.Node])
		}
	}
	return j.found
}

// ofNode takes an event that is about a node.
func (j *Judge) ofNode(e Event, n *node) {
	switch e.What {
	case Answer:
		if n.link.is {
			j.answerer, j.answered = e.Node, e.At
		}
	case Announce:
		if n.link.is { // else nobody hears it
			j.announcer = e.Node
		}
		j.rate(&n.announce, &j.Figures.Announce, j.bounds.Announcements, e.Node, "announcements")
	case Advert:
		j.rate(&n.adverts, &j.Figures.Adverts, j.bounds.Adverts, e.Node, "advertisements")
	case State:
		j.state(e, n)
	case Down:
		n.down[e.Part] = true
		if e.OK {
			j.orphans = e.At + j.bounds.Orphan
		}
		if e.Part == Agent {
			n.agent.set(e.At, false)
		}
		n.ready.set(e.At, false)
	case Up:
		delete(n.down, e.Part)
		if e.Part == Agent {
			n.agent.set(e.At, true)
		}
		n.ready.set(e.At, false)
	case LinkOff:
		n.off++
		n.link.set(e.At, false)
		n.ready.set(e.At, false)
	case LinkOn:
		n.off--
		n.link.set(e.At, n.off == 0)
		n.ready.set(e.At, false)
	}
}

func (j *Judge) lateness(e Event) {
	j.late.add(e)
	for figure, whose := range map[*time.Duration]string{&j.Figures.Gap: Harness, &j.Figures.Lock: Lock, &j.Figures.Ordinary: Ordinary} {
		if e.Text == whose {
			*figure = max(*figure, e.Span)
		}
	}
}

// faulty takes the beginning or the end of a fault.
func (j *Judge) faulty(e Event) {
	switch e.What {
	case Bad:
		j.bad[e.Part]++
	case Good:
		j.bad[e.Part]--
	case Begin:
		j.all[e.N] = e.Text
		if !e.OK {
			j.faults[e.N] = e.Text
		}
	case End:
		delete(j.all, e.N)
		delete(j.faults, e.N)
	}
	j.heard.set(e.At, j.bad[Heartbeat] == 0)
	j.told.set(e.At, j.bad[Gossip] == 0)
	j.calm.set(e.At, len(j.faults) == 0)
}

// check takes something that was to be so. If it took a time, nothing may have been
// done to the node in that time: it owes nothing otherwise.
func (j *Judge) check(e Event) {
	if e.OK {
		return
	}
	if e.Span > 0 && e.Node != Nobody {
		if able := j.nodes[e.Node].ready; !able.is || able.at > e.At-e.Span {
			return
		}
	}
	j.violate(e.Reason, "%s", e.Text)
}

// state takes what a node says of itself.
func (j *Judge) state(e Event, n *node) {
	s := e.Status
	if s.Panics > 0 {
		j.violate("I5", "%s recovered from %d panics", name(e.Node), s.Panics)
	}
	was := j.calmSince()
	n.priority, n.role, n.servers = s.Priority, s.Role, s.ServersUp
	able := s.Ready && len(n.down) == 0 && n.off == 0
	n.ready.set(e.At, able)
	if was.is && !able {
		j.blame(e.At-j.bounds.Settle, "%s is not fit, or takes no part, though nothing is wrong", name(e.Node))
	}
	j.confirm(e, able)
}

// rate counts frames of a node.
func (j *Judge) rate(w *window, worst *int, most, n int, what string) {
	count := w.add(j.now)
	*worst = max(*worst, count)
	if count > most && !w.told {
		w.told = true
		j.violate("I7", "%s sent %d %s in a second, more than %d", name(n), count, what, most)
	}
	if count <= most {
		w.told = false
	}
}

func (j *Judge) violate(invariant, format string, args ...any) {
	j.found = append(j.found, j.violation(invariant, format, args...))
}

// violation is one of this moment, which is not told yet.
func (j *Judge) violation(invariant, format string, args ...any) Violation {
	return Violation{At: j.now, Invariant: invariant, What: fmt.Sprintf(format, args...), Evidence: j.evidence()}
}

// evidence describes the moment.
func (j *Judge) evidence() string {
	var b strings.Builder
	for i := range j.nodes {
		n := &j.nodes[i]
		fmt.Fprintf(&b, "%s: holds %t for %v, role %s, priority %d, ready %v, agent %v, link %v", name(i), n.holds,
			ms(j.now-n.held), n.role, n.priority, n.ready.text(j.now), n.agent.text(j.now), n.link.text(j.now))
		if len(n.down) > 0 {
			fmt.Fprintf(&b, ", down %v", slices.Sorted(maps.Keys(n.down)))
		}
		b.WriteString("; ")
	}
	fmt.Fprintf(&b, "neighbour entry %s, last announcement %s, last answer %s; heartbeat %v, gossip %v; late %v, ordinary processes %v", name(j.neighbour),
		name(j.announcer), name(j.answerer), j.heard.text(j.now), j.told.text(j.now), ms(j.late.slack(j.now-time.Second)), ms(j.late.ordinary(j.now-3*time.Second)))
	for _, id := range slices.Sorted(maps.Keys(j.all)) {
		fmt.Fprintf(&b, "; #%d %s", id, j.all[id])
	}
	return b.String()
}

// name names a node.
func name(n int) string {
	switch n {
	case 0:
		return "lb1"
	case 1:
		return "lb2"
	}
	return "nobody"
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
