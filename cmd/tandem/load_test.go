package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// TestBusyMachine has twice as many loops as cores beside a pair that advertises
// every 10 ms. TANDEM_LOAD_FOR is how long, for those who have more patience.
func TestBusyMachine(t *testing.T) {
	length := 10 * time.Second
	if text := os.Getenv("TANDEM_LOAD_FOR"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("TANDEM_LOAD_FOR: %v", err)
		}
	}
	p := startPair(t, strings.Replace(failover.Config(10*time.Millisecond), "advertise:", "preempt: 300ms, advertise:", 1))
	p.expectOwner(p.lb1, patience)
	s, err := p.lb1.status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Agent.Realtime != "yes" {
		t.Skipf("needs real-time priority: %s", s.Agent.Realtime)
	}
	since := map[*node]time.Time{}
	takeovers := map[*node]uint64{}
	for _, n := range []*node{p.lb1, p.lb2} {
		takeovers[n] = n.takeovers()
		s, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		since[n] = s.VIPs[0].Since
	}

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	for range 2 * runtime.NumCPU() {
		loop := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			t.Fatal(err)
		}
		defer loop.Wait()
	}
	lateness := map[string]time.Duration{}
	for ctx.Err() == nil {
		for _, n := range []*node{p.lb1, p.lb2} {
			if s, err := n.status(); err == nil && s.Agent != nil {
				lateness[n.name] = max(lateness[n.name], s.Agent.Lateness)
			}
		}
		pause(t, 100*time.Millisecond)
	}
	t.Logf("%d busy loops for %v: the heartbeat was late by at most %v on lb1, %v on lb2", 2*runtime.NumCPU(), length, lateness[lb1], lateness[lb2])
	for _, n := range []*node{p.lb1, p.lb2} {
		s, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		if v := s.VIPs[0]; !v.Since.Equal(since[n]) || v.Counters.Transitions != takeovers[n] {
			t.Errorf("%s changed its role: %v since %v, %s", n.name, v.Role, v.Since, v.Reason)
		}
	}
	p.expectOwner(p.lb1, patience)
}
