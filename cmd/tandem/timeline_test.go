package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// timeline asks a node what happened.
func (n *node) timeline() []admin.Event {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, err := admin.NewClient(n.socket).Events(ctx, time.Time{}, allEvents)
	if err != nil {
		return nil // it is starting
	}
	return all
}

// tells reports whether an event of a node is in a timeline.
func tells(all []admin.Event, node string, kind admin.Kind, what string) bool {
	return slices.ContainsFunc(all, func(e admin.Event) bool {
		return e.Node == node && e.Kind == kind && strings.Contains(e.What, what)
	})
}

// waitTimeline waits until each of the nodes tells what is wanted.
func waitTimeline(what string, ok func([]admin.Event) bool, nodes ...*node) {
	for _, n := range nodes {
		n.t.Helper()
		n.eventually(patience, n.name+" tells "+what, func() (bool, string) {
			all := n.timeline()
			return ok(all), fmt.Sprintf("%+v", all)
		})
	}
}

// sameTimeline waits until both nodes tell the same.
func (p *pair) sameTimeline() {
	p.t.Helper()
	p.lb1.eventually(patience, "both nodes tell the same", func() (bool, string) {
		one, two := p.lb1.timeline(), p.lb2.timeline()
		return len(one) > 0 && slices.Equal(one, two), fmt.Sprintf("lb1: %d events, lb2: %d\n%+v\n%+v", len(one), len(two), one, two)
	})
}

// ticketIDs returns the names of the keys of session tickets on a node.
func ticketIDs(s *admin.Status) []string {
	var ids []string
	for _, k := range s.Tickets.Keys {
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	return ids
}

// sameTickets waits until both nodes know the same keys, among them those of before.
func (p *pair) sameTickets(before []string) (ids []string) {
	p.t.Helper()
	p.lb2.waitStatus("has the ticket keys of lb1", func(s *admin.Status) bool {
		other, err := p.lb1.status()
		if err != nil || !s.Tickets.Shared {
			return false
		}
		ids = ticketIDs(s)
		return len(ids) > 0 && slices.Equal(ids, ticketIDs(other)) &&
			!slices.ContainsFunc(before, func(id string) bool { return !slices.Contains(ids, id) })
	})
	return ids
}

func TestBothNodesTellWhatHappenedOnEither(t *testing.T) {
	key := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(key, []byte(peer.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPair(t, quickConfig()+"cluster: {key_file: "+key+"}\n")
	p.sameTimeline()
	keys := p.sameTickets(nil)
	for _, node := range []string{lb1, lb2} {
		if !tells(p.lb1.timeline(), node, admin.NodeEvent, "started") || !tells(p.lb1.timeline(), node, admin.RoleEvent, "init -> backup") {
			t.Errorf("no start of %s in %+v", node, p.lb1.timeline())
		}
	}

	t.Log("# a worker dies: the change of roles that follows is told by both, in one order")
	p.lb1.signal("worker", syscall.SIGKILL)
	p.settle()
	waitTimeline("that lb2 took over", func(all []admin.Event) bool {
		return tells(all, lb1, admin.WorkerEvent, "ended") && tells(all, lb2, admin.RoleEvent, "backup -> active") && tells(all, lb1, admin.RoleEvent, "backup -> active")
	}, p.lb1, p.lb2)
	p.sameTimeline()

	t.Log("# the supervisor of lb1 is killed: the other tells all of it, and lb1 again when it is back")
	before := p.lb1.timeline()
	if err := p.lb1.proc.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitTimeline("that lb1 is silent", func(all []admin.Event) bool { return tells(all, lb2, admin.GossipEvent, "silent") }, p.lb2)
	there := func(all []admin.Event) bool {
		return !slices.ContainsFunc(before, func(e admin.Event) bool { return !slices.Contains(all, e) })
	}
	waitTimeline("what lb1 did", there, p.lb2)
	p.lb1.start()
	p.settle()
	waitTimeline("what was before", func(all []admin.Event) bool {
		return there(all) && tells(all, lb2, admin.GossipEvent, "silent")
	}, p.lb1)
	p.sameTimeline()
	p.sameTickets(keys)

	t.Log("# both are killed: what happened is in their files")
	before = p.lb2.timeline()
	for _, n := range []*node{p.lb1, p.lb2} {
		if err := lab.Kill(n.proc); err != nil {
			t.Fatal(err)
		}
	}
	p.lb1.waitGone(leaseEnds)
	p.lb1.start()
	waitTimeline("what was before", there, p.lb1)
	p.lb1.waitStatus("is active, with a ticket key", func(s *admin.Status) bool {
		return s.VIPs[0].Role == vrrp.Active && len(s.Tickets.Keys) > 0 && s.Timeline == ""
	})

	out, err := p.lb1.ask("events", "--since", "1h")
	if err != nil || !strings.Contains(out, "lb2  role") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("for people:\n%s", out)
}

func TestKeysOfTicketsStayHomeWithoutAClusterKey(t *testing.T) {
	p := newPair(t)
	p.sameTimeline()
	one := p.lb1.waitStatus("has a ticket key", func(s *admin.Status) bool { return len(s.Tickets.Keys) == 1 })
	two := p.lb2.waitStatus("has a ticket key", func(s *admin.Status) bool { return len(s.Tickets.Keys) == 1 })
	if slices.Equal(ticketIDs(one), ticketIDs(two)) || one.Tickets.Shared || !strings.Contains(one.Tickets.Unshared, "cluster.key_file") {
		t.Errorf("%+v and %+v", one.Tickets, two.Tickets)
	}
}
