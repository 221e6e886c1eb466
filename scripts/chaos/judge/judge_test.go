package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms1 = time.Millisecond

// story feeds a judge with what is seen each 5 ms, and between it what is done.
type story struct {
	j     *Judge
	now   time.Duration
	holds [2]bool
	quiet [2]bool // the node gives no status
	state [2]Status
	found []Violation
}

// begin is a pair at peace: lb1 owns the address.
func begin() *story {
	s := &story{j: New(Promised(100*ms1, 2*time.Second)), holds: [2]bool{true, false}}
	for i, role := range []string{"active", "backup"} {
		s.state[i] = Status{Ready: true, Role: role, Priority: []int{200, 150}[i], ServersUp: true}
	}
	s.do(Event{What: Announce, Node: 0}, Event{What: Neighbour, Node: 0})
	return s.last(5 * time.Second)
}

// do has events happen now.
func (s *story) do(events ...Event) *story {
	for _, e := range events {
		e.At = s.now
		s.found = append(s.found, s.j.Feed(e)...)
	}
	return s
}

// last has time pass.
func (s *story) last(d time.Duration) *story {
	for end := s.now + d; s.now < end; s.now += 5 * ms1 {
		for i := range s.state {
			if !s.quiet[i] && s.now%(100*ms1) == 0 {
				s.do(Event{What: State, Node: i, Status: s.state[i]})
			}
		}
		s.do(Event{What: Sample, Holds: s.holds})
	}
	return s
}

// own changes who has the address, and has the network know it.
func (s *story) own(lb1, lb2 bool) *story {
	s.holds = [2]bool{lb1, lb2}
	if lb1 != lb2 {
		n := 0
		if lb2 {
			n = 1
		}
		s.do(Event{What: Announce, Node: n}, Event{What: Neighbour, Node: n}, Event{What: Answer, Node: n})
	}
	return s
}

func (s *story) invariants() string {
	var all []string
	for _, v := range s.found {
		all = append(all, v.Invariant)
	}
	return strings.Join(slices.Compact(all), " ")
}

func TestStories(t *testing.T) {
	down := func(n int, part string) Event { return Event{What: Down, Node: n, Part: part} }
	up := func(n int, part string) Event { return Event{What: Up, Node: n, Part: part} }
	harm, over := Event{What: Begin, N: 1, Text: "harm"}, Event{What: End, N: 1}
	for _, test := range []struct {
		name string
		tell func(s *story)
		want string // the invariants that are violated
	}{
		{"peace", func(s *story) { s.last(20 * time.Second) }, ""},
		{"the agent dies and the peer takes over in time", func(s *story) {
			s.do(harm, down(0, Agent)).last(300*ms1).own(false, false).last(80*ms1).own(false, true).last(5 * time.Second)
		}, ""},
		{"the peer takes over too late", func(s *story) {
			s.do(harm, down(0, Agent)).last(300*ms1).own(false, false).last(110*ms1).own(false, true).last(5 * time.Second)
		}, "I2"},
		{"the peer is late, and was not fit all the time", func(s *story) {
			s.do(harm, down(0, Agent)).own(false, false).last(300 * ms1)
			s.state[1].Ready = false
			s.last(200 * ms1)
			s.state[1].Ready = true
			s.last(300*ms1).own(false, true).last(5 * time.Second)
		}, ""},
		{"the peer is late, and its kernel's lock was held meanwhile", func(s *story) {
			s.do(harm, down(0, Agent)).last(300*ms1).own(false, false).last(80 * ms1)
			s.do(Event{What: Late, Text: Lock, Span: 400 * ms1}).last(380*ms1).own(false, true).last(5 * time.Second)
		}, ""},
		{"the peer is late, and cannot be reached", func(s *story) {
			s.do(harm, down(0, Agent), Event{What: LinkOff, Node: 1}).own(false, false).last(5 * time.Second)
		}, ""},
		{"the peer is late, and silent ever since", func(s *story) {
			s.quiet[1] = true
			s.do(harm, down(0, Agent)).own(false, false).last(5 * time.Second)
		}, ""},
		{"of two that could take it, one proves unfit, and the other did not", func(s *story) {
			s.do(harm).own(false, false).last(380 * ms1)
			s.state[0].Ready = false
			s.last(time.Second)
		}, "I2"},
		{"a frozen agent keeps the address for the lease", func(s *story) {
			s.do(harm, down(0, Agent)).last(350*ms1).own(true, true).last(2800*ms1).own(false, true).last(time.Second)
		}, ""},
		{"a frozen agent keeps the address for longer", func(s *story) {
			s.do(harm, down(0, Agent)).last(350*ms1).own(true, true).last(3000*ms1).own(false, true).last(time.Second)
		}, "I3"},
		{"two own it and cannot hear each other", func(s *story) {
			s.do(harm, Event{What: Bad, Part: Heartbeat}).last(350*ms1).own(true, true).last(5*time.Second).
				do(Event{What: Good, Part: Heartbeat}).last(300*ms1).own(true, false).last(5 * time.Second)
		}, ""},
		{"two own it and can", func(s *story) {
			s.do(harm, Event{What: Bad, Part: Heartbeat}).last(350*ms1).own(true, true).last(5*time.Second).
				do(Event{What: Good, Part: Heartbeat}).last(350*ms1).own(true, false).last(5 * time.Second)
		}, "I1"},
		{"after a cut the loser announced last", func(s *story) {
			s.do(harm, Event{What: Bad, Part: Heartbeat}, Event{What: Good, Part: Heartbeat}, Event{What: Announce, Node: 1}).last(2 * time.Second)
		}, "I1"},
		{"the loser announced last where nobody heard it", func(s *story) {
			s.do(harm, Event{What: LinkOff, Node: 1}, Event{What: Announce, Node: 1}, Event{What: LinkOn, Node: 1}).last(5 * time.Second)
		}, ""},
		{"after a cut the third host believes the loser", func(s *story) {
			s.do(harm, Event{What: Neighbour, Node: 1}).last(time.Second).do(over, Event{What: Neighbour, Node: 0}).last(time.Second).
				do(Event{What: Neighbour, Node: 1}).last(2 * time.Second)
		}, "I1"},
		{"it believes nobody", func(s *story) { s.do(Event{What: Neighbour, Node: Nobody}).last(5 * time.Second) }, ""},
		{"the address moves to the backup for no reason", func(s *story) { s.own(false, true).last(time.Second) }, "calm"},
		{"it comes back to the preferred node", func(s *story) {
			s.do(harm).own(false, true).last(time.Second).do(over).last(4*time.Second).own(true, false).last(time.Second)
		}, ""},
		{"a node is unfit for no reason", func(s *story) { s.state[1].Ready = false; s.last(time.Second) }, "calm"},
		{"a client fails in peace", func(s *story) {
			s.do(Event{What: Outcome, Text: "http", Span: ms1, Reason: "reset"}).do(Event{What: Outcome, Text: "http", Span: ms1, Reason: "reset"})
		}, "calm"},
		{"a connection ends with the worker that lost its supervisor", func(s *story) {
			s.do(harm, Event{What: Down, Node: 0, Part: Supervisor, OK: true}).last(time.Second).do(up(0, Supervisor), over).last(9 * time.Second)
			s.do(Event{What: Outcome, Text: "tcp-kept", Reason: "reset"}).last(5 * time.Second)
		}, ""},
		{"a connection ends long after it", func(s *story) {
			s.do(harm, Event{What: Down, Node: 0, Part: Supervisor, OK: true}).last(time.Second).do(up(0, Supervisor), over).last(12 * time.Second)
			s.do(Event{What: Outcome, Text: "tcp-kept", Reason: "reset"})
		}, "calm"},
		{"a client fails beside a reload", func(s *story) {
			s.do(Event{What: Begin, N: 1, OK: true}, Event{What: Outcome, Text: "http", Span: ms1, Reason: "reset"})
		}, "calm"},
		{"a client fails beside a fault", func(s *story) { s.do(harm, Event{What: Outcome, Text: "http", Span: ms1, Reason: "reset"}) }, ""},
		{"a client fails that asked before the peace", func(s *story) {
			s.do(harm).last(time.Second).do(over).last(2100 * ms1).do(Event{What: Outcome, Text: "http", Span: time.Second, Reason: Timeout})
		}, ""},
		{"a client waits in vain, and the machine was late", func(s *story) {
			s.do(Event{What: Late, Text: Ordinary, Span: time.Second}, Event{What: Outcome, Text: "http", Span: time.Second, Reason: Timeout})
		}, ""},
		{"a server's answer is too late, and the machine was", func(s *story) {
			s.do(Event{What: Late, Text: Ordinary, Span: time.Second}, Event{What: Outcome, Text: "http", Span: time.Second, Reason: GatewayTimeout})
		}, ""},
		{"a connection breaks, and the machine was late", func(s *story) {
			s.do(Event{What: Late, Text: Ordinary, Span: time.Second}, Event{What: Outcome, Text: "http", Span: time.Second, Reason: "reset"})
		}, "calm"},
		{"a storm of announcements", func(s *story) {
			for range 41 {
				s.do(Event{What: Announce, Node: 0})
			}
		}, "I7"},
		{"many announcements", func(s *story) {
			for range 10 {
				for range 39 {
					s.do(Event{What: Announce, Node: 0})
				}
				s.last(1005 * ms1)
			}
		}, ""},
		{"a storm of advertisements", func(s *story) {
			for range 200 {
				s.do(Event{What: Advert, Node: 1})
			}
		}, "I7"},
		{"a panic", func(s *story) { s.state[0].Panics = 1; s.last(50 * ms1) }, "I5"},
		{"a check fails", func(s *story) { s.do(Event{What: Check, Reason: "I6", Text: "x"}) }, "I6"},
		{"a check fails that took its time", func(s *story) { s.do(Event{What: Check, Reason: "I5", Span: 2 * time.Second}) }, "I5"},
		{"a check fails that was disturbed", func(s *story) {
			s.do(harm, Event{What: LinkOff, Node: 0}, Event{What: LinkOn, Node: 0}).last(time.Second).do(Event{What: Check, Reason: "I5", Span: 2 * time.Second})
		}, ""},
		{"a check holds", func(s *story) { s.do(Event{What: Check, Reason: "I6", OK: true}) }, ""},
		{"it comes back by itself after a stop", func(s *story) {
			s.do(harm, down(0, Agent)).last(350*ms1).own(true, true).last(500*ms1).do(up(0, Agent)).last(200*ms1).own(false, true).
				last(time.Second).do(over).own(true, false).last(3 * time.Second)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := begin()
			test.tell(s)
			if got := s.invariants(); got != test.want {
				t.Errorf("violated: %q, want %q\n%v", got, test.want, s.found)
			}
		})
	}
}

func TestViolationsAreToldOnce(t *testing.T) {
	s := begin().do(Event{What: Begin, N: 3, Text: "kill agent of lb1"}, Event{What: Down, Node: 0, Part: Agent}).own(true, true).last(10 * time.Second)
	if len(s.found) != 1 {
		t.Fatalf("%d violations: %v", len(s.found), s.found)
	}
	for _, part := range []string{"lb1: holds true", "down [agent]", "#3 kill agent of lb1", "lb2: holds true"} {
		if !strings.Contains(s.found[0].Evidence, part) {
			t.Errorf("the evidence does not name %q: %s", part, s.found[0].Evidence)
		}
	}
}

func TestFigures(t *testing.T) {
	s := begin().do(Event{What: Begin, N: 1}, Event{What: Down, Node: 0, Part: Agent}).own(false, false).last(200*ms1).own(false, true).last(time.Second)
	s.do(Event{What: Late, Text: Harness, Span: 30 * ms1}, Event{What: Outcome, Text: "udp", OK: true}, Event{What: Outcome, Text: "udp"})
	f := s.j.Figures
	if got := fmt.Sprint(f.None, f.Owners, f.Gap, f.Outcomes["udp"]); got != "195ms 1 30ms {2 1 0}" {
		t.Errorf("figures %q", got)
	}
}

// Whatever comes, in whatever order, a judge goes on, and time does not go back.
func FuzzFeed(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, story []byte) {
		whats := []What{Sample, Neighbour, Answer, Announce, Advert, State, Outcome, Late, Check, Down, Up, LinkOff, LinkOn, Bad, Good, Begin, End, "?"}
		j := New(Promised(100*ms1, 2*time.Second))
		for len(story) >= 3 {
			a, b, c := story[0], story[1], story[2]
			story = story[3:]
			e := Event{
				At: time.Duration(c) * 50 * ms1, What: whats[int(a)%len(whats)], Node: int(b%4) - 1, OK: b&4 != 0, N: int(b), Holds: [2]bool{b&8 != 0, b&16 != 0},
				Part: []string{Agent, Worker, Heartbeat, Gossip}[b>>6], Text: []string{Harness, Lock, Ordinary, "http"}[b>>6], Span: time.Duration(c) * ms1,
				Status: Status{Ready: b&32 != 0, Priority: int(b), ServersUp: b&4 != 0},
			}
			for _, v := range j.Feed(e) {
				if v.At < e.At || v.Invariant == "" && e.What != Check || v.Evidence == "" {
					t.Errorf("%+v brings %+v", e, v)
				}
			}
		}
	})
}
