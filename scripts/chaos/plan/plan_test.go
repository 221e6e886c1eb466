package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestASeedReproducesThePlan(t *testing.T) {
	a, b := New(7, 10*time.Minute), New(7, 10*time.Minute)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two plans of one seed differ (-first +second):\n%s", diff)
	}
	if a.String() == New(8, 10*time.Minute).String() {
		t.Error("two seeds give one plan")
	}
}

func TestPlansAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second
		p := New(rapid.Uint64().Draw(t, "seed"), length)
		id, free := 0, time.Duration(0)
		for _, e := range p.Episodes {
			if e.At < free || len(e.Faults) == 0 || e.End+tail > length {
				t.Fatalf("episode %+v begins before %v, is empty, or ends too late", e, free)
			}
			free = e.End + settle
			at := e.At
			for i, f := range e.Faults {
				id++
				if f.ID != id || f.At < at || f.End() > e.End || f.For < 0 {
					t.Fatalf("fault %+v is out of order", f)
				}
				at = f.At
				if !e.Storm && takesWork(f) && f.Node != e.Victim {
					t.Errorf("fault %+v hits another node than %s", f, e.Victim)
				}
				for _, g := range e.Faults[:i] {
					if collide(f, g) {
						t.Errorf("%+v and %+v collide", f, g)
					}
				}
			}
		}
	})
}

// takesWork reports whether a fault takes the work of a node away.
func takesWork(f Fault) bool {
	switch f.Kind {
	case Kill, Stop, LinkDown, LinkSilent, NetLoss, Memory, Descriptors:
		return true
	}
	return false
}

func TestEveryKindIsDrawn(t *testing.T) {
	seen := map[Kind]int{}
	storms := 0
	p := New(1, 2*time.Hour)
	for _, f := range p.Faults() {
		seen[f.Kind]++
	}
	for _, k := range Kinds() {
		if seen[k] == 0 {
			t.Errorf("two hours have no %q", k)
		}
	}
	for _, e := range p.Episodes {
		if e.Storm {
			storms++
		}
	}
	if storms == 0 || storms > len(p.Episodes)/3 {
		t.Errorf("%d of %d episodes are storms", storms, len(p.Episodes))
	}
}

func TestOnlyKeepsTheKindsAskedFor(t *testing.T) {
	p := New(3, 20*time.Minute).Only(Kill, Reload)
	if len(p.Episodes) == 0 {
		t.Fatal("nothing is left")
	}
	for _, f := range p.Faults() {
		if f.Kind != Kill && f.Kind != Reload {
			t.Errorf("%v is left", f)
		}
	}
}

func TestFaultsReadWell(t *testing.T) {
	for _, test := range []struct {
		fault    Fault
		want     string
		harmless bool
	}{
		{Fault{Kind: Kill, Node: LB1, Part: Agent}, "kill agent of lb1", false},
		{Fault{Kind: Stop, Node: LB2, Part: Whole, For: 90 * time.Millisecond}, "stop node of lb2, 90ms", false},
		{Fault{Kind: Loss, Part: Gossip, Amount: 30, For: time.Second}, "loss of 30% of gossip, 1s", true},
		{Fault{Kind: Loss, Part: Heartbeat, Amount: 30, For: time.Second}, "loss of 30% of vrrp, 1s", false},
		{Fault{Kind: OneWay, Node: LB1, Part: Heartbeat, For: time.Second}, "one-way cut of vrrp from lb1, 1s", false},
		{Fault{Kind: NetLoss, Node: LB1, Amount: 3, For: time.Second}, "network loss of 3% at lb1, 1s", false},
		{Fault{Kind: Reload, Node: LB1}, "reload of lb1", true},
		{Fault{Kind: CPU, Amount: 3, For: time.Second}, "cpu, 3 processes, 1s", false},
		{Fault{Kind: Memory, Node: LB1, Amount: 4, For: time.Second}, "memory, 4 MiB more for the worker of lb1, 1s", false},
		{Fault{Kind: Descriptors, Node: LB1, Part: Agent, For: time.Second}, "descriptors, 0 more for the agent of lb1, 1s", false},
		{Fault{Kind: Malformed, For: time.Second}, "malformed, 1s", true},
	} {
		if got := test.fault.String(); got != test.want || test.fault.Harmless() != test.harmless {
			t.Errorf("%+v: %q, harmless %t; want %q, %t", test.fault, got, test.fault.Harmless(), test.want, test.harmless)
		}
	}
	if text := New(1, time.Minute).String(); !strings.HasPrefix(text, "seed 1, 1m0s: ") {
		t.Errorf("the plan reads %q", text)
	}
}
