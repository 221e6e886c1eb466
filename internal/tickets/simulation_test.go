package tickets

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// step is the time between two looks of the simulation; gossip takes one.
const step = 20 * time.Second

// simNode is one of the two nodes. Its clock is off by skew.
type simNode struct {
	name  string
	skew  time.Duration
	ring  Ring
	heard []Key // of the other, newest word
	// alone: it was started while it did not hear the other, and has not since.
	alone bool
	// waited: it has had its time to hear the other before it makes a first key.
	waited bool

	makes  Secret               // tickets with this one now
	issued map[Secret]time.Time // when it made the last ticket with a secret
}

// simulation is two nodes under faults.
type simulation struct {
	*rand.Rand
	now   time.Time
	nodes [2]*simNode
	made  int // keys
	cut   bool
	met   int // looks since the nodes hear each other, and neither was started
}

func (s *simulation) restart(n *simNode) {
	*n = simNode{name: n.name, skew: n.skew, alone: s.cut, issued: n.issued}
	s.met = 0
}

// look is what both nodes do at a time.
func (s *simulation) look() {
	for _, n := range s.nodes {
		now := s.now.Add(n.skew)
		n.ring.Expire(now)
		if n.ring.Due(now, n.name) && (n.waited || len(n.ring.keys) > 0) {
			s.made++
			n.ring.Merge(now, []Key{{Secret: s.secret(), Born: now}})
		}
		n.waited = true
		if order := n.ring.Order(now, n.heard); len(order) > 0 {
			n.makes = order[0]
			n.issued[n.makes] = s.now
		}
	}
	if s.cut {
		return
	}
	a, b := s.nodes[0], s.nodes[1]
	a.heard, b.heard = b.ring.Keys(), a.ring.Keys()
	a.ring.Merge(s.now.Add(a.skew), a.heard)
	b.ring.Merge(s.now.Add(b.skew), b.heard)
	a.alone, b.alone = false, false
	s.met++
}

func (s *simulation) secret() (k Secret) {
	binary.BigEndian.PutUint64(k[:], s.Uint64())
	binary.BigEndian.PutUint64(k[8:], s.Uint64())
	return k
}

// check says which ticket is good for nothing at the other node.
func (s *simulation) check() error {
	for i, n := range s.nodes {
		other := s.nodes[1-i]
		for secret, at := range n.issued {
			switch {
			case s.now.Sub(at) > Rotation-time.Hour || n.alone:
				// It is old; or nobody but the node, which was started alone, can know of it.
				delete(n.issued, secret)
			case slices.ContainsFunc(other.ring.keys, func(have Key) bool { return have.Secret == secret }):
			case s.met >= 2 || s.cut && !other.alone && secret == n.makes:
				// While they are cut off from each other a failover may follow now.
				return fmt.Errorf("%s does not accept the ticket that %s made %v ago (cut %v)", other.name, n.name, s.now.Sub(at), s.cut)
			}
		}
	}
	return nil
}

// A ticket of either node is good at the other at any time: across rotations, while
// their clocks differ, while they do not hear each other for less than a day, and
// after either was started anew.
func TestTicketsOfOneNodeAreGoodAtTheOther(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		skew := func() time.Duration { return time.Duration(r.Int64N(int64(20*time.Minute))) - 10*time.Minute }
		s := &simulation{Rand: r, now: noon, nodes: [2]*simNode{
			{name: "lb1", skew: skew(), issued: map[Secret]time.Time{}}, {name: "lb2", skew: skew(), issued: map[Secret]time.Time{}},
		}}
		var healAt time.Time
		for s.now.Before(noon.Add(4 * 24 * time.Hour)) {
			s.now = s.now.Add(step)
			switch {
			case s.cut && s.now.After(healAt):
				s.cut, s.met = false, 0
			case !s.cut && r.IntN(3000) == 0:
				s.cut, healAt = true, s.now.Add(time.Duration(r.Int64N(int64(10*time.Hour))))
			case r.IntN(3000) == 0 && s.met > 2:
				s.restart(s.nodes[r.IntN(2)])
			case s.cut && r.IntN(6000) == 0:
				s.restart(s.nodes[r.IntN(2)])
			}
			s.look()
			if err := s.check(); err != nil {
				t.Fatalf("seed %d, after %v: %v", seed, s.now.Sub(noon), err)
			}
		}
		if s.made < 8 || s.made > 40 {
			t.Errorf("seed %d: %d keys were made in four days", seed, s.made)
		}
	}
}
