package agent

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	simTrouble = 40 * time.Second // in which the operations of a schedule happen
	simEnd     = 60 * time.Second // when everything must have come to rest
	simGossip  = time.Second
	simNetlink = 200 * time.Millisecond // the longest that netlink takes
	simLease   = 2 * time.Second
)

// simStart has a monotonic reading, as the times of a running node have.
var simStart = time.Now()

// operation is one thing that happens to the world.
type operation struct {
	at   time.Duration
	kind string
	node int
	to   int           // another node
	for_ time.Duration // of a stall
	x    float64       // of a loss
}

func (o operation) String() string {
	return fmt.Sprintf("%v %s node=%d to=%d for=%v x=%.2f", o.at, o.kind, o.node, o.to, o.for_, o.x)
}

// story is a schedule: the nodes' configs, and what happens to them.
type story struct {
	seed    uint64
	routers [][]ipc.Router
	ops     []operation
}

// simIntervals has the default most often; one of 10 ms takes as long to simulate as
// ten of those.
var simIntervals = slices.Concat(
	[]time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond},
	slices.Repeat([]time.Duration{100 * time.Millisecond}, 21),
	slices.Repeat([]time.Duration{250 * time.Millisecond, time.Second}, 8),
)

var simKinds = []string{"stall", "stall", "crash", "die", "start", "start", "partition", "one-way", "gossip cut", "heal", "heal", "loss", "link down", "link up", "removed", "unfit", "fit", "fit", "lowered", "leave", "clock"}

// newStory makes up a story. The same seed makes the same.
func newStory(seed uint64) story {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := story{seed: seed}
	interval := simIntervals[rng.IntN(len(simIntervals))]
	preempt := rng.IntN(3) > 0
	delay := []time.Duration{0, 0, 3 * time.Second, 300 * time.Millisecond}[rng.IntN(4)]
	both := rng.IntN(5) == 0
	drift := rng.IntN(6) == 0
	for i := range 2 + rng.IntN(2) {
		p := vrrp.Params{VRID: 51, Priority: []uint8{200, 150, 150, 100, 254}[rng.IntN(5)], Interval: interval, Preempt: preempt, PreemptDelay: delay,
			Self: netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}), Addresses: []netip.Addr{vipPrefix.Addr()}}
		if !preempt {
			p.PreemptDelay = 0
		}
		if drift && i > 0 {
			p.Interval = []time.Duration{100, 250, 1000}[rng.IntN(3)] * time.Millisecond
			p.Addresses = append(p.Addresses, netip.MustParseAddr("192.0.2.101"))
		}
		lease := simLease
		for lease <= 4*max(interval, p.Interval) {
			lease += time.Second
		}
		r := ipc.Router{Name: "main", VIP: "main", Group: "main", Interface: "eth0", Params: p, Prefixes: []netip.Prefix{vipPrefix}, Lease: lease}
		routers := []ipc.Router{r}
		if both {
			r6 := r
			r6.Name, r6.Params.Self = "main/6", netip.MustParseAddr(fmt.Sprintf("fe80::%d", 11+i))
			r6.Params.Addresses = []netip.Addr{netip.MustParseAddr("fe80::100")}
			r6.Prefixes = []netip.Prefix{netip.MustParsePrefix("fe80::100/64")}
			routers = append(routers, r6)
		}
		s.routers = append(s.routers, routers)
	}
	for range rng.IntN(16) {
		n := len(s.routers)
		s.ops = append(s.ops, operation{
			at: time.Duration(rng.Int64N(int64(simTrouble))), kind: simKinds[rng.IntN(len(simKinds))], node: rng.IntN(n), to: rng.IntN(n),
			for_: time.Duration(rng.Int64N(int64(200 * time.Millisecond << rng.IntN(7)))), x: 0.4 * rng.Float64(),
		})
	}
	slices.SortStableFunc(s.ops, func(a, b operation) int { return int(a.at - b.at) })
	return s
}

func (s story) String() string {
	var b strings.Builder
	for i, r := range s.routers {
		p := r[0].Params
		fmt.Fprintf(&b, "node %d: priority %d, interval %v, preempt %v after %v, %d routers\n", i, p.Priority, p.Interval, p.Preempt, p.PreemptDelay, len(r))
	}
	for _, o := range s.ops {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// intervals returns the shortest and the longest of any node.
func (s story) intervals() (shortest, longest time.Duration) {
	shortest = vrrp.MaxInterval
	for _, r := range s.routers {
		shortest, longest = min(shortest, r[0].Params.Interval), max(longest, r[0].Params.Interval)
	}
	return shortest, longest
}

// tell tells the story, and returns what was wrong with it.
func (s story) tell(b bug, logging bool) (*world, error) {
	w := &world{now: simStart, rng: rand.New(rand.NewPCG(s.seed, 2)), believed: -1, bug: b, logging: logging}
	w.delay = time.Duration(w.rng.Int64N(int64(3 * time.Millisecond)))
	w.dup = 0.1 * w.rng.Float64()
	shortest, longest := s.intervals()
	w.judge.quickest, w.judge.down = shortest, 4*longest // above every Active_Down_Interval
	for _, r := range s.routers {
		w.add(r)
	}
	w.after(0, w.gossip)
	for _, n := range w.nodes {
		w.after(w.upTo(time.Second), n.start)
	}
	for _, o := range s.ops {
		w.after(o.at, func() { w.operate(o) })
	}
	w.after(simTrouble, w.heal)
	w.run(simEnd)
	if w.judge.err == nil {
		w.judge.err = w.rest()
	}
	return w, w.judge.err
}

func (w *world) operate(o operation) {
	w.judge.disturbed = w.now
	n := w.nodes[o.node]
	w.logf("# %v", o)
	switch o.kind {
	case "stall":
		if n.alive && !n.stalled {
			n.stall()
			w.after(o.for_, func() { w.judge.disturbed = w.now; n.resume() })
		}
	case "crash", "die":
		n.end(o.kind == "die")
		if o.kind == "die" {
			n.forget()
		}
	case "start":
		n.start()
	case "partition", "one-way":
		w.cut[o.node][o.to] = true
		if o.kind == "partition" {
			w.cut[o.to][o.node] = true
		}
	case "gossip cut":
		w.gossipCut = true
	case "heal":
		w.cut = [3][3]bool{}
		w.gossipCut, w.loss = false, 0
	case "loss":
		w.loss = o.x
	case "link down", "link up":
		n.linkDown = o.kind == "link down" && n.alive
		up := !n.linkDown
		n.tell(func(now time.Time) { n.core.link(now, Link{Name: "eth0", Index: 2, Up: up}) })
	case "removed":
		n.address(vipPrefix).expires = time.Time{}
		n.tell(func(now time.Time) { n.core.gone(now, gone{"eth0", vipPrefix}) })
	case "unfit", "fit", "lowered":
		n.fit = o.kind != "unfit"
		f := ipc.Fitness{Fit: n.fit, Reason: "unfit"}
		if o.kind == "lowered" {
			f = ipc.Fitness{Fit: true, Lowered: map[string]ipc.Lowered{"main": {By: 60, Reason: "lowered"}}}
		}
		n.tell(func(now time.Time) { n.core.fitness(now, f) })
	case "clock":
		n.wall += time.Duration((o.x - 0.2) * float64(time.Hour))
	case "leave":
		n.tell(func(now time.Time) { n.core.leave(now, "leaving", lingerAtMost) })
	}
}

// heal makes everything work, for good.
func (w *world) heal() {
	w.judge.disturbed = w.now
	w.logf("# everything works again")
	w.cut = [3][3]bool{}
	w.gossipCut, w.loss = false, 0
	for _, n := range w.nodes {
		n.resume()
		n.start()
		n.linkDown, n.fit = false, true
		n.tell(func(now time.Time) { n.core.link(now, Link{Name: "eth0", Index: 2, Up: true}) })
		n.tell(func(now time.Time) { n.core.fitness(now, ipc.Fitness{Fit: true}) })
		w.after(2*lingerAtMost, n.start) // if it was just leaving
	}
}

// rest judges a world that has had time to come to rest.
func (w *world) rest() error {
	var owners []string
	for _, n := range w.nodes {
		if n.has() {
			owners = append(owners, n.String())
		}
	}
	if len(owners) != 1 {
		return fmt.Errorf("at the end %v have the addresses, want one", owners)
	}
	if w.believed < 0 || w.nodes[w.believed].String() != owners[0] {
		return fmt.Errorf("the third host believes %d at the end, and %s has the addresses", w.believed, owners[0])
	}
	return nil
}

// shrink returns the shortest story that it finds to go wrong in the same world.
func (s story) shrink(b bug) story {
	for again := true; again; {
		again = false
		for i := range s.ops {
			t := s
			t.ops = slices.Delete(slices.Clone(s.ops), i, i+1)
			if _, err := t.tell(b, false); err != nil {
				s, again = t, true
				break
			}
		}
	}
	return s
}

// fail shows the shortest form of a story that went wrong, and its end.
func (s story) fail(t *testing.T, err error) {
	t.Helper()
	short := s.shrink(sound)
	w, why := short.tell(sound, true)
	t.Fatalf("seed %d: %v\nshortened to %d operations: %v\n%v\n%s\nagain: go test ./internal/agent -run TestSimulation -sim.seed %d", s.seed, err, len(short.ops), why, short, w.tail(), s.seed)
}
