package judge

import (
	"strings"
	"time"
)

// sample looks at who has the address, and at all that follows.
func (j *Judge) sample(e Event) {
	was := j.calmSince()
	for i := range j.nodes {
		if n := &j.nodes[i]; n.holds != e.Holds[i] {
			n.holds, n.held = e.Holds[i], e.At
		}
	}
	j.move(e, was)
	j.twoOwners(e)
	j.noOwner(e)
	for i := range j.nodes {
		j.outlived(e, i)
	}
	j.agreement(e)
}

// move takes note of another owner. When nothing is wrong the address may move to
// the preferred node alone.
func (j *Judge) move(e Event, calm since) {
	owner := Nobody
	for i, holds := range e.Holds {
		if holds && !e.Holds[1-i] {
			owner = i
		}
	}
	if owner == Nobody || owner == j.owner {
		return
	}
	if j.owner != Nobody {
		j.Figures.Owners++
		if calm.is && owner != 0 {
			j.blame(e.At-j.bounds.Settle, "the address moved from %s to %s though nothing was wrong for %v", name(j.owner), name(owner), ms(e.At-calm.at))
		}
	}
	j.owner, j.moved = owner, e.At
}

// twoOwners is I1: with the heartbeat working, two never own it for longer than a
// down interval.
func (j *Judge) twoOwners(e Event) {
	hear := j.heard
	for i := range j.nodes {
		hear = hear.both(j.nodes[i].agent).both(j.nodes[i].link)
	}
	lasts := j.two.look(e.At, hear.is && e.Holds[0] && e.Holds[1], hear.at)
	j.Figures.Two = max(j.Figures.Two, lasts)
	most := j.bounds.DownInterval(min(j.nodes[0].priority, j.nodes[1].priority)) + j.late.slack(e.At-lasts)
	if lasts > most && !j.two.told {
		j.two.told = true
		j.violate("I1", "both nodes own the address for %v, longer than %v, and can hear each other", ms(lasts), ms(most))
	}
}

// doubt is an absence of an owner that is a violation if the node proves to have
// been fit all the time.
type doubt struct {
	node  int
	at    time.Duration
	found Violation
}

// noOwner is I2: while a node is alive, fit and reachable, somebody alive and
// reachable owns the address.
func (j *Judge) noOwner(e Event) {
	owned := false
	for i := range j.nodes {
		owned = owned || e.Holds[i] && j.nodes[i].agent.is && j.nodes[i].link.is
	}
	if owned {
		j.none = spell{}
		return
	}
	for i := range j.nodes {
		n := &j.nodes[i]
		able := n.ready
		if !able.is {
			continue
		}
		lasts := j.none.look(e.At, true, able.at)
		j.Figures.None = max(j.Figures.None, lasts)
		most := j.bounds.DownInterval(n.priority) + j.bounds.Takeover + j.late.slack(e.At-lasts)
		if lasts <= most || j.none.told || j.doubt != nil {
			continue
		}
		j.none.told = true
		j.doubt = &doubt{node: i, at: e.At, found: j.violation("I2",
			"nobody who is alive and reachable owns the address for %v, longer than %v, and %s could", ms(lasts), ms(most), name(i))}
	}
	j.none.look(e.At, true, 0)
}

// confirm ends a doubt: by what the node says after it, or by what was done to it.
func (j *Judge) confirm(e Event, able bool) {
	d := j.doubt
	if d == nil || d.node != e.Node {
		return
	}
	j.doubt = nil
	if able && j.nodes[d.node].ready.at <= d.at {
		j.found = append(j.found, d.found)
		return
	}
	j.none.told = false // the other one may have been
}

// outlived is I3: an agent that does not run holds no address for longer than the
// lease.
func (j *Judge) outlived(e Event, i int) {
	n := &j.nodes[i]
	if !n.holds || n.agent.is {
		n.lease = false
		return
	}
	lasts := e.At - max(n.agent.at, n.held)
	j.Figures.Held = max(j.Figures.Held, lasts)
	most := j.bounds.Lease + j.bounds.Expiry + j.late.slack(e.At-j.bounds.Expiry)
	if lasts > most && !n.lease {
		n.lease = true
		j.violate("I3", "the agent of %s does not run, and the node has the address for %v, longer than %v", name(i), ms(lasts), ms(most))
	}
}

// cleanSince is the fact that both nodes are able and hear each other.
func (j *Judge) cleanSince() since {
	return j.heard.both(j.told).both(j.nodes[0].ready).both(j.nodes[1].ready)
}

// calmSince is the fact that nothing is wrong for so long that whatever happens is
// a consequence of nothing.
func (j *Judge) calmSince() since {
	c := j.cleanSince().both(j.calm)
	if !j.nodes[0].servers || !j.nodes[1].servers || j.owner == Nobody {
		return since{}
	}
	c.at = max(c.at, j.moved, j.orphans) + j.bounds.Settle
	if j.now < c.at {
		return since{}
	}
	return c
}

// patience is how late an ordinary process, or a request that no node has to do with,
// must have been for a time-out to be put down to the machine.
const patience = 300 * time.Millisecond

// blame tells what must not be in a calm; or puts it down to the machine, if that was
// so late since a time that a node, or a client, may have taken it for a failure.
func (j *Judge) blame(from time.Duration, format string, args ...any) {
	v := j.violation("calm", format, args...)
	if j.late.slack(from) < j.bounds.DownInterval(200)/2 && j.late.ordinary(from) < patience {
		j.found = append(j.found, v)
		return
	}
	j.Excused = append(j.Excused, v)
}

// agreement is the other half of I1: when all is well again there is one owner, its
// announcement was the last, it alone answers, and the third host believes it.
func (j *Judge) agreement(e Event) {
	clean := j.cleanSince()
	var wrong []string
	if e.Holds[0] == e.Holds[1] {
		wrong = append(wrong, map[bool]string{true: "both nodes own the address", false: "nobody owns the address"}[e.Holds[0]])
	} else {
		const fresh = 200 * time.Millisecond
		if j.neighbour != Nobody && j.neighbour != j.owner {
			wrong = append(wrong, "the third host believes "+name(j.neighbour))
		}
		if j.announcer != Nobody && j.announcer != j.owner {
			wrong = append(wrong, "the last announcement was of "+name(j.announcer))
		}
		if j.answerer != j.owner && j.answerer != Nobody && e.At-j.answered < fresh {
			wrong = append(wrong, name(j.answerer)+" answers for it")
		}
	}
	lasts := j.disagree.look(e.At, clean.is && len(wrong) > 0, clean.at)
	j.Figures.Disagree = max(j.Figures.Disagree, lasts)
	most := j.bounds.Heal + j.late.slack(e.At-lasts)
	if lasts > most && !j.disagree.told {
		j.disagree.told = true
		j.violate("I1", "nothing is wrong any more, and for %v, longer than %v: %s", ms(lasts), ms(most), strings.Join(wrong, ", "))
	}
}

// outcome takes what became of a request.
func (j *Judge) outcome(e Event) {
	t := j.Figures.Outcomes[e.Text]
	t.Sent++
	calm := j.calmSince()
	quiet := calm.is && calm.at <= e.At-e.Span
	if quiet {
		t.Calm++
	}
	if !e.OK {
		t.Failed++
		if told, ok := j.failed[e.Text]; quiet && (!ok || told < calm.at) {
			j.failed[e.Text] = e.At
			format, args := "a client of %s failed (%s, after %v) though nothing was wrong for %v", []any{e.Text, e.Reason, ms(e.Span), ms(e.At - calm.at + j.bounds.Settle)}
			if e.Reason == Timeout || e.Reason == GatewayTimeout {
				j.blame(e.At-e.Span-time.Second, format, args...)
			} else {
				j.violate("calm", format, args...)
			}
		}
	}
	j.Figures.Outcomes[e.Text] = t
}

// The reasons of requests that nobody answered in time: the node, or a server for it.
const (
	Timeout        = "timeout"
	GatewayTimeout = "status504"
)
