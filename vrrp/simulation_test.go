package vrrp_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// A schedule is a random story of two or three routers. The same seed tells the
// same story, on every machine.
type schedule struct {
	*network
	kind    kind
	rng     *rand.Rand
	longest time.Duration // of the intervals
}

var (
	priorities = []uint8{1, 50, 100, 100, 150, 200, 254}
	intervals  = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond}
)

// A kind says what all routers of a schedule have in common.
type kind struct {
	version uint8
	unicast bool
	group   bool // each node has a router of each family
	opposed bool // the addresses of the second family are ordered the other way round
}

func newSchedule(seed uint64, k kind) *schedule {
	rng := rand.New(rand.NewPCG(seed, 9568))
	s := &schedule{network: newNetwork(rng), kind: k, rng: rng}
	same := rng.IntN(3) > 0 || k.version == 2
	shared := intervals[rng.IntN(len(intervals))]
	if k.version == 2 {
		shared = time.Duration(1+rng.IntN(3)) * time.Second
	}
	preempt := rng.IntN(2) == 0
	count := 2 + rng.IntN(2)
	for i := range count {
		p := vrrp.Params{
			Version: k.version, VRID: 51, Priority: priorities[rng.IntN(len(priorities))], Interval: shared,
			Preempt: preempt || rng.IntN(2) == 0, Addresses: []netip.Addr{vip}, Self: selfOf(i),
		}
		if i == 0 && rng.IntN(8) == 0 {
			p.Priority = 255
		}
		if !same {
			p.Interval = intervals[rng.IntN(len(intervals))]
		}
		s.longest = max(s.longest, p.Interval)
		s.logf("%c: priority %d, interval %v, preempt %v", 'a'+i, p.Priority, p.Interval, p.Preempt)
		s.add(string(rune('a'+i)), k.routers(p, i, count)...)
	}
	s.delay = time.Duration(rng.Int64N(int64(5 * time.Millisecond)))
	s.dup = 0.2 * rng.Float64()
	return s
}

// routers returns the parameters of the routers of one of count nodes.
func (k kind) routers(p vrrp.Params, number, count int) []vrrp.Params {
	all := []vrrp.Params{p}
	if k.group {
		p6 := p
		p6.Self, p6.Addresses = selfOf6(number), params6().Addresses
		if k.opposed {
			p6.Self = otherSelfOf6(number)
		}
		all = append(all, p6)
	}
	for i := range count {
		if k.unicast && i != number {
			all[0].Peers = append(all[0].Peers, selfOf(i))
		}
	}
	return all
}

// down is above every Active_Down_Interval of the schedule.
func (s *schedule) down() time.Duration { return 4 * s.longest }

// gap is the longest time without a holder. Equals that lose to each other, each
// in one family, have to begin again.
func (s *schedule) gap() time.Duration {
	if s.kind.opposed {
		return 2*s.down() + s.delay
	}
	return s.down() + s.delay
}

// settle is enough for every election of the schedule to come to its end.
func (s *schedule) settle() { s.run(s.down() + s.gap() + 10*s.delay) }

func (s *schedule) pause() { s.run(time.Duration(s.rng.Int64N(int64(6 * s.longest)))) }

func (s *schedule) pick() *node { return s.nodes[s.rng.IntN(len(s.nodes))] }

// step does something that the schedule has not forbidden.
func (s *schedule) step(freezes, partitions bool) {
	nd := s.pick()
	if len(nd.params) > 1 && s.rng.IntN(4) == 0 {
		s.stepOneChannel(nd, partitions)
		return
	}
	switch what := s.rng.IntN(10); {
	case nd.frozen && what < 8:
		s.thaw(nd, s.rng.IntN(2) == 0)
	case nd.frozen || len(nd.routers) > 0 && what == 0:
		s.crash(nd)
	case nd.role() == vrrp.Init:
		s.start(nd)
	case what < 3:
		s.stop(nd, time.Duration(s.rng.IntN(3))*s.longest)
	case what < 5:
		s.changePriority(nd)
	case what < 7 && freezes:
		s.freeze(nd)
	case what == 8 && partitions:
		if other := s.pick(); other != nd {
			s.separate(nd, other)
		}
	case what == 9 && partitions:
		s.heal()
	}
}

// stepOneChannel does something to a node on one of its channels alone.
func (s *schedule) stepOneChannel(nd *node, partitions bool) {
	channel := s.rng.IntN(len(nd.params))
	other := s.pick()
	switch {
	case nd.down[channel]:
		s.plug(nd, channel)
	case !partitions || other == nd:
		s.unplug(nd, channel)
	default:
		s.deafen(nd, other, channel)
		if s.rng.IntN(2) == 0 {
			s.deafen(other, nd, channel)
		}
	}
}

func (s *schedule) changePriority(nd *node) {
	p := uint8(1 + s.rng.IntN(254))
	s.logf("%s: set priority %d", nd.name, p)
	s.network.setPriority(nd, p)
}

// verdict is what must be true of a network that works and has come to rest.
func (s *schedule) verdict() error {
	active := s.active()
	if len(active) != 1 {
		return fmt.Errorf("%d routers are Active, want 1", len(active))
	}
	winner := active[0]
	for _, nd := range s.nodes {
		if len(nd.routers) == 0 || nd == winner {
			continue
		}
		st, best := nd.routers[0].Status(), winner.routers[0].Status()
		if nd.role() == vrrp.Backup && nd.params[0].Preempt && st.Priority > best.Priority {
			return fmt.Errorf("%s of priority %d is Backup beside %s of priority %d",
				nd.name, st.Priority, winner.name, best.Priority)
		}
		for i := range nd.params {
			if nd.holds(i) {
				return fmt.Errorf("%s is %v and holds the addresses beside %s", nd.on(i), nd.roleOn(i), winner.name)
			}
		}
	}
	sent := s.sentBeside(winner)
	s.run(s.down())
	if again := s.active(); len(again) != 1 || again[0] != winner || s.sentBeside(winner) != sent {
		return errors.New("it does not come to rest")
	}
	return s.judge.violation
}

// sentBy returns how many advertisements all but one node have sent.
func (s *schedule) sentBeside(but *node) (n uint64) {
	for _, nd := range s.nodes {
		for _, r := range nd.routers {
			if nd != but {
				n += r.Status().Counters.Sent
			}
		}
	}
	return n
}

func (s *schedule) ownerAnnouncedLast() error {
	if active := s.active(); len(active) == 1 && s.announced != active[0] {
		return fmt.Errorf("%s is Active, the last announcement was not its own", active[0].name)
	}
	return nil
}

// simulate tells many stories and shows the end of the first that goes wrong.
func simulate(t *testing.T, stories uint64, k kind, tell func(*schedule) error) {
	t.Helper()
	var two, none time.Duration
	for seed := range stories {
		s := newSchedule(seed, k)
		if err := tell(s); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, s.tail())
		}
		two, none = max(two, s.judge.worstTwo), max(none, s.judge.worstNone)
	}
	t.Logf("%d schedules; at worst two Active for %v, nobody for %v", stories, two, none)
}

// kinds are those of the schedules, with their numbers of stories.
var kinds = []struct {
	name    string
	kind    kind
	stories uint64
}{
	{"version 3", kind{version: 3}, 600},
	{"version 2", kind{version: 2}, 200},
	{"unicast", kind{unicast: true}, 200},
	{"group", kind{group: true}, 400},
	{"group, equals opposed", kind{group: true, opposed: true}, 400},
}

// While the channel works, whatever happens to the nodes, two are not Active
// together for longer than Active_Down_Interval, somebody holds the addresses
// after that time, and the last announcement is the owner's.
func TestSimulationWithWorkingChannel(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			simulate(t, k.stories, k.kind, func(s *schedule) error {
				s.judge.overlap, s.judge.gap = s.down(), s.gap()
				for range 20 {
					s.step(true, false)
					s.pause()
				}
				return s.end(true)
			})
		})
	}
}

// With loss, cuts, crashes and stalls at once, the addresses still find a holder
// in time, and when the channel works again there is one owner.
func TestSimulationOfChaos(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			simulate(t, k.stories, k.kind, func(s *schedule) error {
				s.judge.gap = s.gap()
				s.loss = 0.5 * s.rng.Float64()
				for range 20 {
					s.step(true, true)
					s.pause()
				}
				return s.end(false)
			})
		})
	}
}

// Through partitions that heal, of nodes that live, the last announcement is the
// owner's: no neighbour keeps sending to another.
func TestSimulationOfPartitions(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { simulate(t, k.stories/2, k.kind, partitions) })
	}
}

func partitions(s *schedule) error {
	s.judge.gap = s.gap()
	for _, nd := range s.nodes {
		s.start(nd)
		s.pause()
	}
	for range 3 {
		s.settle()
		s.step(false, false)
		s.settle()
		s.judge.overlap = 0 // both sides of a cut have their own
		for range 1 + s.rng.IntN(2) {
			if a, b := s.pick(), s.pick(); a != b {
				s.separate(a, b)
			}
		}
		s.pause()
		if nd := s.pick(); nd.role() != vrrp.Init {
			s.changePriority(nd)
		}
		s.pause()
		// Equals that lose to each other may leave no Active router on their side,
		// that could tell the owner of its announcements.
		if err := s.end(!s.kind.opposed); err != nil {
			return err
		}
	}
	return nil
}

// end makes everything work, gives it time, and judges.
func (s *schedule) end(announced bool) error {
	s.heal()
	s.loss = 0
	s.judge.workingSince, s.judge.overlap = s.now, s.down()
	for _, nd := range s.nodes {
		if nd.frozen {
			s.thaw(nd, false)
		}
		for i := range nd.params {
			if nd.down[i] {
				s.plug(nd, i)
			}
		}
	}
	if nd := s.pick(); nd.role() == vrrp.Init {
		s.start(nd)
	}
	s.settle()
	if err := s.verdict(); err != nil {
		return err
	}
	if announced {
		return s.ownerAnnouncedLast()
	}
	return nil
}

// Two that were Active apart settle it with four advertisements: one is heard,
// its sender is told, the loser says farewell, and is told in turn. None of them
// has an echo.
func TestHealedPartitionDoesNotPingPong(t *testing.T) {
	for _, first := range []string{"winner", "loser"} {
		t.Run("the "+first+" speaks first", func(t *testing.T) {
			n := newNetwork(nil)
			winner, loser := n.add("winner", params()), n.add("loser", params())
			loser.params[0].Self, loser.params[0].Priority = lower, 100
			n.separate(winner, loser)
			n.start(winner)
			n.start(loser)
			n.run(time.Second)
			if got := len(n.active()); got != 2 {
				t.Fatalf("%d are Active in the partition, want 2", got)
			}
			n.heal()
			for _, nd := range n.nodes {
				if nd.name == first {
					n.sent = 0
					n.act(nd, 0, nd.routers[0].Tick(nd.routers[0].Next()))
				}
			}
			n.run(time.Millisecond)
			if n.sent > 4 {
				t.Errorf("%d advertisements to settle it, want 4 at most\n%s", n.sent, n.tail())
			}
			if loser.role() != vrrp.Backup || n.announced != winner {
				t.Errorf("the loser is %v, last to announce was %q\n%s", loser.role(), n.announced.name, n.tail())
			}
		})
	}
}
