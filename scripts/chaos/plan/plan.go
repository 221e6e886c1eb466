package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	lead   = 3 * time.Second // before the first fault
	settle = 7 * time.Second // from the last fault of an episode to the next episode
	tail   = 8 * time.Second // after the last episode
	// restart is how long the processes of a node are left alone after a fault to
	// them within one episode.
	restart = 700 * time.Millisecond
	step    = 10 * time.Millisecond // of all times
	// stormy is one of how many episodes is a storm: both nodes at once.
	stormy = 6
)

// An Episode is faults that come together. The time to the next one is for the
// pair to recover.
type Episode struct {
	At     time.Duration
	End    time.Duration // of its last fault
	Storm  bool          // both nodes are hit; else only Victim
	Victim string
	Faults []Fault // by time
}

// Plan is a schedule.
type Plan struct {
	Seed     uint64
	Length   time.Duration
	Episodes []Episode // by time
}

// New draws the schedule of a seed. What does not end within the length is left out.
func New(seed uint64, length time.Duration) Plan {
	p := Plan{Seed: seed, Length: length}
	rng := rand.New(rand.NewPCG(seed, 0x7a4d))
	id := 0
	for at := lead; ; {
		e := draw(rng, at)
		if e.End+tail > length {
			return p
		}
		for i := range e.Faults {
			id++
			e.Faults[i].ID = id
		}
		p.Episodes = append(p.Episodes, e)
		at = e.End + settle + span(rng, 0, 2*time.Second)
	}
}

// Faults returns the faults of all episodes by time.
func (p Plan) Faults() []Fault {
	var all []Fault
	for _, e := range p.Episodes {
		all = append(all, e.Faults...)
	}
	return all
}

// Only returns the plan without faults of other kinds.
func (p Plan) Only(kinds ...Kind) Plan {
	only := Plan{Seed: p.Seed, Length: p.Length}
	for _, e := range p.Episodes {
		e.Faults = slices.DeleteFunc(slices.Clone(e.Faults), func(f Fault) bool { return !slices.Contains(kinds, f.Kind) })
		if len(e.Faults) > 0 {
			only.Episodes = append(only.Episodes, e)
		}
	}
	return only
}

// String is the schedule, a line for each fault.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %v: %d faults in %d episodes\n", p.Seed, p.Length, len(p.Faults()), len(p.Episodes))
	for _, e := range p.Episodes {
		name := "on " + e.Victim
		if e.Storm {
			name = "storm"
		}
		fmt.Fprintf(&b, "%8.2fs  %s\n", e.At.Seconds(), name)
		for _, f := range e.Faults {
			fmt.Fprintf(&b, "%8.2fs    #%d %v\n", f.At.Seconds(), f.ID, f)
		}
	}
	return b.String()
}

// draw draws an episode. Outside of storms all that takes a node's work away is
// done to the same node: the other one is alive, fit and reachable, and owes its
// clients that somebody owns the address.
func draw(rng *rand.Rand, at time.Duration) Episode {
	e := Episode{At: at, Storm: rng.IntN(stormy) == 0, Victim: pick(rng, LB1, LB1, LB2)}
	n, within := 1+rng.IntN(3), 1500*time.Millisecond
	if e.Storm {
		n, within = 4+rng.IntN(4), 5*time.Second
	}
	for range n {
		f := one(rng, e.Victim)
		if e.Storm {
			f = one(rng, pick(rng, LB1, LB2))
		}
		f.At = at
		if len(e.Faults) > 0 {
			f.At += span(rng, 0, within)
		}
		if !slices.ContainsFunc(e.Faults, func(g Fault) bool { return collide(f, g) }) {
			e.Faults = append(e.Faults, f)
		}
	}
	slices.SortStableFunc(e.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	for _, f := range e.Faults {
		e.End = max(e.End, f.End())
	}
	return e
}

// collide reports whether two faults would undo each other.
func collide(f, g Fault) bool {
	return f.resource() == g.resource() && f.At < g.End()+restart && g.At < f.End()+restart
}

// one draws a fault; what is done to a node is done to the victim.
func one(rng *rand.Rand, victim string) Fault {
	f := Fault{Kind: kind(rng), Node: victim}
	switch f.Kind {
	case Kill:
		f.Part = pick(rng, Agent, Worker, Supervisor, Whole)
		if f.Part == Supervisor || f.Part == Whole {
			f.For = span(rng, 100*time.Millisecond, 3*time.Second)
		}
	case Stop:
		// As often shorter than the down interval as longer, up to beyond the lease.
		f.Part = pick(rng, Agent, Worker, Supervisor, Whole)
		f.For = pick(rng, span(rng, 30*time.Millisecond, 400*time.Millisecond), span(rng, 400*time.Millisecond, 5*time.Second))
	case LinkDown, LinkSilent:
		f.For = pick(rng, span(rng, 50*time.Millisecond, 500*time.Millisecond), span(rng, 500*time.Millisecond, 4*time.Second))
	case Loss:
		f.Node, f.Part, f.Amount = "", pick(rng, Heartbeat, Gossip, Everything), 5+rng.IntN(80)
		f.For = span(rng, 500*time.Millisecond, 4*time.Second)
	case OneWay:
		f.Node, f.Part = pick(rng, LB1, LB2), pick(rng, Heartbeat, Heartbeat, Gossip, Everything)
		f.For = span(rng, 200*time.Millisecond, 4*time.Second)
	case NetLoss:
		f.Amount, f.For = 2+rng.IntN(30), span(rng, 500*time.Millisecond, 4*time.Second)
	case ServerCrash, ServerSlow:
		f.Node, f.For = pick(rng, "s1", "s2", "s3"), span(rng, 300*time.Millisecond, 4*time.Second)
	case CPU:
		f.Node, f.Amount, f.For = "", 2+rng.IntN(6), span(rng, 500*time.Millisecond, 4*time.Second)
	case Memory:
		f.Amount, f.For = 1+rng.IntN(8), span(rng, 500*time.Millisecond, 3*time.Second)
	case Descriptors:
		f.Part, f.Amount = pick(rng, Worker, Worker, Agent, Supervisor), rng.IntN(12)
		f.For = span(rng, 500*time.Millisecond, 4*time.Second)
	case Malformed:
		f.Node, f.For = "", span(rng, 500*time.Millisecond, 3*time.Second)
	}
	return f
}

// kind draws a kind by its weight.
func kind(rng *rand.Rand) Kind {
	weights := []struct {
		Kind
		weight int
	}{
		{Kill, 20}, {Stop, 18}, {LinkDown, 8}, {LinkSilent, 8}, {Loss, 7}, {OneWay, 10}, {NetLoss, 4}, {ServerCrash, 5},
		{ServerSlow, 4}, {Reload, 7}, {ReloadBad, 5}, {CPU, 6}, {Memory, 3}, {Descriptors, 6}, {Malformed, 7},
	}
	all := 0
	for _, w := range weights {
		all += w.weight
	}
	n := rng.IntN(all)
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			return w.Kind
		}
	}
	return Kill
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// span draws a duration of [from, to).
func span(rng *rand.Rand, from, to time.Duration) time.Duration {
	return (from + time.Duration(rng.Int64N(int64(to-from)))).Truncate(step)
}
