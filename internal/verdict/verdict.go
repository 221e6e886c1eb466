// Package verdict says of a node's status what a person wants to know first: whether
// all is well, who is active, and what there is to look at.
package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// Level says how bad something is.
type Level string

// The levels.
const (
	OK    Level = "ok"
	Note  Level = "note"  // as somebody wants it, or too small to act upon
	Warn  Level = "warn"  // clients are served, but something that should help is not there
	Alarm Level = "alarm" // clients may not be served
)

// rank orders the levels, the worst first.
var rank = map[Level]int{Alarm: 0, Warn: 1, Note: 2, OK: 3}

// Verdict is what is to be said of a node and its peer.
type Verdict struct {
	Level    Level  `json:"level"` // of the worst point
	Headline string `json:"headline"`
	// Lines say who is active for what.
	Lines []string `json:"lines"`
	// Points are what there is to look at, the worst first.
	Points []Point `json:"points"`
}

// Point is one thing to look at.
type Point struct {
	Level   Level  `json:"level"` // but OK
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// recently is how long something that is over is worth a look.
const recently = 10 * time.Minute

// Judge judges the status of a node, as of now.
func Judge(now time.Time, s *admin.Status) Verdict {
	j := judge{now: now, s: s, points: []Point{}}
	j.node()
	for _, v := range s.VIPs {
		j.vip(v)
	}
	for _, p := range s.Peers {
		j.peer(p)
	}
	for _, p := range s.Pools {
		j.pool(p)
	}
	j.rest()
	slices.SortStableFunc(j.points, func(a, b Point) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	v := Verdict{Level: OK, Lines: holders(s), Points: j.points}
	if len(v.Points) > 0 {
		v.Level = v.Points[0].Level
	}
	v.Headline = headline(v)
	return v
}

func headline(v Verdict) string {
	switch warned := count(v.Points, Warn); {
	case v.Level == Alarm:
		return "Something is wrong"
	case warned == 1:
		return "One thing to look at"
	case warned > 1:
		return fmt.Sprintf("%d things to look at", warned)
	}
	return "All is well"
}

func count(points []Point, l Level) (n int) {
	for _, p := range points {
		if p.Level == l {
			n++
		}
	}
	return n
}

// judge collects points.
type judge struct {
	now    time.Time
	s      *admin.Status
	points []Point
}

func (j *judge) say(l Level, subject, format string, args ...any) {
	j.points = append(j.points, Point{l, subject, fmt.Sprintf(format, args...)})
}

func (j *judge) node() {
	s, who := j.s, j.s.Node
	if who == "" {
		who = "this node"
	}
	alone := !slices.ContainsFunc(s.Peers, func(p admin.Peer) bool { return p.Alive && p.Fit })
	switch {
	case !s.Fit && alone:
		j.say(Alarm, who, "not fit: %s", s.Unfit)
	case !s.Fit:
		j.say(Warn, who, "not fit: %s", s.Unfit)
	case s.Demoted:
		j.say(Warn, who, "stands back: %s", s.Unfit)
	}
	if s.Overload.Reason != "" {
		j.say(Alarm, who, "overloaded, new work is turned away: %s", s.Overload.Reason)
	}
	if s.Config.Refused != "" {
		first, _, _ := strings.Cut(s.Config.Refused, "\n")
		j.say(Warn, "config", "the newest was refused, the old one runs: %s", first)
	}
	if s.Cluster != "" {
		j.say(Warn, who, "not a member of the cluster: %s", s.Cluster)
	}
	if a := s.Agent; a != nil {
		if a.Slept != nil && j.now.Sub(a.Slept.At) < recently {
			j.say(Warn, who, "its heartbeat was not run for %v", a.Slept.For.Round(time.Millisecond))
		}
		if a.Realtime != "" && a.Realtime != "yes" {
			j.say(Note, who, "the heartbeat runs without a real-time scheduler: %s", a.Realtime)
		}
	}
	if s.Panics > 0 {
		j.say(Note, who, "%d connections ended in a panic, each is a bug: see the log", s.Panics)
	}
	if s.LogDropped > 0 {
		j.say(Note, who, "%d lines of the access log were lost: it is not read fast enough", s.LogDropped)
	}
}

// settling is how long an election may take before nobody being active is news.
const settling = 5 * time.Second

func (j *judge) vip(v admin.VIP) {
	who := v.Name
	switch other := j.activePeer(v.Name); {
	case v.Error != "":
		j.say(Alarm, who, "%s", v.Error)
	case v.Role == vrrp.Active && other != "":
		j.say(Alarm, who, "both nodes are active")
	case v.Role == vrrp.Active && !v.Holds:
		j.say(Alarm, who, "active, but the addresses are not set yet")
	case v.Role == vrrp.Init:
		j.say(Alarm, who, "this node takes no part in the election: %s", v.Reason)
	case v.Role == vrrp.Backup && other == "" && j.now.Sub(v.ActiveHeard) > settling && j.now.Sub(v.Since) > settling:
		j.say(Alarm, who, "nobody is active")
	}
	if k := v.Conflict; k != nil {
		j.say(Alarm, who, "another host, %s, answers for %s", k.MAC, k.Address)
	}
	if v.AddressMismatch {
		j.say(Warn, who, "another router advertises other addresses")
	}
	if v.Flapping > 0 {
		j.say(Warn, who, "flapping: %d changes of role of late", v.Flapping)
	}
	if v.Lowered != nil {
		j.say(Warn, who, "priority lowered from %d to %d: %s", v.Base, v.Priority, v.Lowered.Reason)
	}
	if v.Removals > 0 {
		j.say(Note, who, "someone else removed an address, %d times", v.Removals)
	}
}

// activePeer returns the name of a peer that says it is Active; "" when none does.
func (j *judge) activePeer(router string) string {
	for _, p := range j.s.Peers {
		if p.Alive && p.Roles[router] == vrrp.Active {
			return p.Name
		}
	}
	return ""
}

func (j *judge) peer(p admin.Peer) {
	switch {
	case p.Hash == "" && !p.Alive:
		j.say(Warn, p.Name, "not heard yet: nobody would take over from this node")
		return
	case p.Verdict != "":
		j.say(Warn, p.Name, "%s", p.Explained)
	case !p.Alive:
		j.say(Warn, p.Name, "silent by gossip")
	}
	if !p.Alive {
		return
	}
	switch {
	case !p.Fit:
		j.say(Warn, p.Name, "not fit, it would not take over: %s", p.Unfit)
	case p.Demoted:
		j.say(Warn, p.Name, "stands back: %s", p.Unfit)
	}
	if p.Drift {
		j.say(Warn, p.Name, "runs another config: %s, this node %s", p.Hash, j.s.Config.Hash)
	}
	for _, group := range slices.Sorted(maps.Keys(p.Lost)) {
		for _, l := range p.Lost[group] {
			j.say(Warn, p.Name, "misses %s (group %s)", l.What, group)
		}
	}
	if p.Slept != nil && j.now.Sub(p.Slept.At) < recently {
		j.say(Warn, p.Name, "its heartbeat was not run for %v", p.Slept.For.Round(time.Millisecond))
	}
}
