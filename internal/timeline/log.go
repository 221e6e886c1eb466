// Package timeline keeps what happened on both nodes: in the memory of each, in a
// file of each, and exchanged between them, so that either can tell all of it.
package timeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/peer"
)

// Event is something that happened on a node.
type Event = admin.Event

// Mark is a place in the sequence of the events of one node.
type Mark = peer.Mark

func markOf(e Event) Mark { return Mark{Boot: e.Boot, Seq: e.Seq} }

// maxPerNode is how many events of one node are kept: the newest. It is by node, so
// that one of which much is to be told does not push the other out, and both nodes
// keep the same.
const maxPerNode = 1000

// Log is the events of some nodes, bounded. The zero value is empty. It is pure.
type Log struct {
	nodes map[string][]Event // of each node in the order of their marks
}

// Add takes an event in, and reports whether it was not there. One that is older
// than all that may be kept is not taken.
func (l *Log) Add(e Event) bool {
	if l.nodes == nil {
		l.nodes = map[string][]Event{}
	}
	all := l.nodes[e.Node]
	i, there := slices.BinarySearchFunc(all, markOf(e), func(a Event, m Mark) int { return markOf(a).Compare(m) })
	if there || i == 0 && len(all) >= maxPerNode {
		return false
	}
	all = slices.Insert(all, i, e)
	if len(all) > maxPerNode {
		all = slices.Delete(all, 0, len(all)-maxPerNode)
	}
	l.nodes[e.Node] = all
	return true
}

// Newest returns the mark behind the newest event of a node.
func (l *Log) Newest(node string) Mark {
	all := l.nodes[node]
	if len(all) == 0 {
		return Mark{}
	}
	return markOf(all[len(all)-1])
}

// After returns the oldest events of a node behind m, at most limit.
func (l *Log) After(node string, m Mark, limit int) []Event {
	all := l.nodes[node]
	i, there := slices.BinarySearchFunc(all, m, func(a Event, m Mark) int { return markOf(a).Compare(m) })
	if there {
		i++
	}
	return slices.Clone(all[i:min(len(all), i+limit)])
}

// Merged returns the events of all nodes since a time, of which the newest, at most
// limit, in one order: that of their times, which each node took from its own clock.
// Whoever has the same events has them in the same order.
func (l *Log) Merged(since time.Time, limit int) []Event {
	all := []Event{}
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		for _, e := range l.nodes[name] {
			if !e.At.Before(since) {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, order)
	return all[max(0, len(all)-limit):]
}

// order is total: no two events of a log are equal in it.
func order(a, b Event) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Node, b.Node), markOf(a).Compare(markOf(b)))
}

// Len returns how many events are kept.
func (l *Log) Len() int {
	n := 0
	for _, all := range l.nodes {
		n += len(all)
	}
	return n
}
