package main

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/vrrp"
)

// lines returns the log of the node, each line of which must be JSON with the keys that
// every line has, but for those of the access log.
func (n *node) lines() (all []map[string]any) {
	n.t.Helper()
	text, err := os.ReadFile(n.log)
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			n.t.Errorf("%s: %v: %q", n.name, err, line)
			continue
		}
		if m["client"] != nil {
			continue
		}
		for _, key := range []string{"time", "level", "msg", "process", "node", "pid"} {
			if m[key] == nil {
				n.t.Errorf("%s: without %s: %s", n.name, key, line)
			}
		}
		all = append(all, m)
	}
	return all
}

// waitLine waits until the node has logged a line that is like it should be.
func (n *node) waitLine(what string, ok func(map[string]any) bool) (found map[string]any) {
	n.t.Helper()
	n.eventually(patience, what, func() (bool, string) {
		for _, l := range n.lines() {
			if ok(l) {
				found = l
				return true, ""
			}
		}
		return false, "it is not logged"
	})
	return found
}

func TestLogTellsOfATakeoverWithAllEvidence(t *testing.T) {
	p := newPair(t)
	p.lb2.waitStatus("hears lb1", func(s *admin.Status) bool { return s.Peers[0].Alive })
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	p.expectOwner(p.lb2, patience)
	line := p.lb2.waitLine("lb2 logs that it is active", func(l map[string]any) bool {
		return l["msg"] == "role changed" && l["to"] == vrrp.Active.String()
	})
	for _, key := range []string{
		"vip", "group", "interface", "from", "reason", "priority", "basePriority", "peer", "peerPriority", "peerHeardAgo",
		"gossip", "since", "lasted", "epoch", "lateness", "hash",
	} {
		if line[key] == nil {
			t.Errorf("the line has no %s: %v", key, line)
		}
	}
	if line["process"] != "agent" || line["node"] != "lb2" || line["peer"] != "10.77.0.1" || line["hash"] == "" {
		t.Errorf("the line says %v", line)
	}
	p.lb1.lines()
}

// A crash is told in lines of JSON by the name of who crashed; and a worker whose
// supervisor has died goes on logging.
func TestLogOfCrashes(t *testing.T) {
	p := newPair(t)
	for _, child := range []string{"agent", "worker"} {
		pid := p.lb1.signal(child, syscall.SIGABRT)
		p.lb1.waitLine("the trace of the "+child, func(l map[string]any) bool {
			text, _ := l["text"].(string)
			return l["msg"] == "crashed" && l["process"] == child && l["pid"] == float64(pid) && strings.Contains(text, "goroutine")
		})
	}
	worker := p.lb2.children()["worker"]
	if err := p.lb2.proc.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitLine("the worker whose supervisor has died drains", func(l map[string]any) bool {
		return l["msg"] == "draining" && l["pid"] == float64(worker)
	})
}
