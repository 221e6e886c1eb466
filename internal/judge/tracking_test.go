package judge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
)

func lost(what ...string) []ipc.Lost {
	var all []ipc.Lost
	for _, w := range what {
		all = append(all, ipc.Lost{What: w, Since: epoch})
	}
	return all
}

func TestHearReturnsTheBestPeersWord(t *testing.T) {
	says := func(n int) *peer.State {
		return &peer.State{Lost: map[string][]peer.Lost{"front": make([]peer.Lost, n)}}
	}
	for name, tc := range map[string]struct {
		views []peer.View
		want  Word
	}{
		"no peer":                    {nil, Word{}},
		"never heard":                {[]peer.View{{Name: "lb2"}}, Word{Node: "lb2"}},
		"silent":                     {[]peer.View{{Name: "lb2", State: says(0)}}, Word{Node: "lb2"}},
		"does not know of the group": {[]peer.View{{Name: "lb2", Alive: true, State: &peer.State{}}}, Word{Node: "lb2"}},
		"misses nothing":             {[]peer.View{{Name: "lb2", Alive: true, State: says(0)}}, Word{Known: true, Node: "lb2"}},
		"the best of two": {[]peer.View{{Name: "lb2", Alive: true, State: says(2)}, {Name: "lb3", Alive: true, State: says(1)}},
			Word{Known: true, Node: "lb3", Missing: 1}},
		"one is silent": {[]peer.View{{Name: "lb2", State: says(0)}, {Name: "lb3", Alive: true, State: says(1)}}, Word{Known: true, Node: "lb3", Missing: 1}},
	} {
		if got := Hear("front", tc.views); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestWhoMissesMoreIsLowered(t *testing.T) {
	const eth1, gw = "interface eth1", "gateway 192.0.2.1"
	misses := func(n int) Word { return Word{Known: true, Node: "lb2", Missing: n} }
	for name, tc := range map[string]struct {
		lost   []ipc.Lost
		active bool
		word   Word
		want   string // reason after the time to hear of the peer; empty: not lowered
	}{
		"nothing":                       {nil, true, misses(0), ""},
		"more than the peer":            {lost(gw), true, misses(0), "gateway 192.0.2.1 does not answer; lb2 misses nothing"},
		"more, and both miss something": {lost(gw, eth1), true, misses(1), "gateway 192.0.2.1 does not answer, interface eth1 is down; lb2 misses less"},
		"as much, and it is active":     {lost(gw), true, misses(1), ""},
		"as much, and it is backup":     {lost(gw), false, misses(1), "gateway 192.0.2.1 does not answer; lb2 misses as much, and nobody moves"},
		"less, active":                  {lost(gw), true, misses(2), ""},
		"less, backup":                  {lost(gw), false, misses(2), ""},
		"no word":                       {lost(eth1), true, Word{Node: "lb2"}, "interface eth1 is down; lb2 does not say what it misses"},
		"no peer":                       {lost(eth1), true, Word{}, "interface eth1 is down"},
		"the same thing of two routers": {lost(eth1, eth1), true, misses(1), ""},
	} {
		var k Tracking
		k.Look(epoch, tc.lost, tc.active, tc.word)
		k.Look(at(hearsayAfter), tc.lost, tc.active, tc.word)
		if k.Reason != tc.want || k.Lowered != (tc.want != "") {
			t.Errorf("%s: lowered %v, %q; want %q", name, k.Lowered, k.Reason, tc.want)
		}
	}
}

func TestGatewayWaitsForThePeersWordAndAnInterfaceDoesNot(t *testing.T) {
	good := Word{Known: true, Node: "lb2"}
	for _, tc := range []struct {
		what   string
		active bool
		after  time.Duration
	}{
		{"interface eth1", true, 0},
		{"interface eth1", false, 0},
		{"gateway 192.0.2.1", true, time.Second},
		{"gateway 192.0.2.1", false, 0}, // a Backup moves nothing
	} {
		var k Tracking
		for d := time.Duration(0); d <= 2*time.Second; d += 100 * time.Millisecond {
			k.Look(at(d), lost(tc.what), tc.active, good)
			if want := d >= tc.after; k.Lowered != want {
				t.Errorf("%s, active %v, after %v: lowered %v", tc.what, tc.active, d, k.Lowered)
			}
		}
	}
}

func TestRecoveryMustLast(t *testing.T) {
	const eth1 = "interface eth1"
	var k Tracking
	for _, step := range []struct {
		at      time.Duration
		lost    []ipc.Lost
		lowered bool
		says    int
	}{
		{0, lost(eth1), true, 1},
		{time.Second, nil, true, 1},
		{5900 * time.Millisecond, nil, true, 1},
		{5950 * time.Millisecond, lost(eth1), true, 1}, // a blip begins the wait anew
		{6 * time.Second, nil, true, 1},
		{10900 * time.Millisecond, nil, true, 1},
		{11 * time.Second, nil, false, 0},
	} {
		k.Look(at(step.at), step.lost, true, Word{Known: true, Node: "lb2"})
		if k.Lowered != step.lowered || len(k.Missing()) != step.says {
			t.Errorf("at %v: lowered %v, says %v; want %v, %d", step.at, k.Lowered, k.Missing(), step.lowered, step.says)
		}
	}
	k.Look(at(20*time.Second), lost(eth1), true, Word{})
	k.Look(at(21*time.Second), nil, true, Word{})
	if want := "interface eth1 was down a moment ago"; k.Reason != want {
		t.Errorf("%q, want %q", k.Reason, want)
	}
	if diff := cmp.Diff([]peer.Lost{{What: eth1, Since: epoch}}, k.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

// pair is two nodes that judge themselves, gossip, and elect: the first one is
// preferred, and who has been better for a down interval takes over.
type pair struct {
	now    time.Duration
	nodes  [2]Tracking
	lost   [2][]ipc.Lost
	silent bool    // gossip is cut
	words  [2]Word // on their way, and from the next step on there
	owner  int
	better time.Duration // for how long the Backup has been better
	moves  int
}

const (
	stepOf     = 20 * time.Millisecond // in which gossip arrives
	downOf     = 340 * time.Millisecond
	high, low  = 200, 150
	penaltyOf  = high - low + 1
	settleTime = SteadyFor + hearsayAfter + 2*downOf
)

func (p *pair) priority(node int) int {
	base := [2]int{high, low}[node]
	if p.nodes[node].Lowered {
		return base - penaltyOf
	}
	return base
}

func (p *pair) step() {
	words := p.words
	for i := range p.nodes {
		w := words[1-i]
		w.Known = !p.silent
		p.nodes[i].Look(at(p.now), p.lost[i], p.owner == i, w)
		p.words[i] = Word{Node: "the other", Missing: len(p.nodes[i].Missing())}
	}
	p.better += stepOf
	if p.priority(1-p.owner) <= p.priority(p.owner) {
		p.better = 0
	}
	if p.better > downOf {
		p.owner, p.better = 1-p.owner, 0
		p.moves++
	}
	p.now += stepOf
}

func (p *pair) run(until time.Duration) {
	for p.now < until {
		p.step()
	}
}

// Both nodes lose what they track, and get it back, with any delay between them.
// The VIP moves when the Active node alone has missed it for longer than an
// election takes, and back when both are well. Without gossip it also moves when
// the Backup alone has recovered for as long.
func TestLossAtBothMovesNothing(t *testing.T) {
	const begin, end, longest, margin = 3 * time.Second, 20 * time.Second, 3 * time.Second, 3 * stepOf
	for what, window := range map[string]time.Duration{"interface eth1": downOf, "gateway 192.0.2.1": hearsayAfter + downOf} {
		for later := -longest; later <= longest; later += 100 * time.Millisecond {
			for back := -longest; back <= longest; back += 500 * time.Millisecond {
				for _, silent := range []bool{false, true} {
					p := pair{silent: silent}
					lossAt := [2]time.Duration{begin, begin + later}
					backAt := [2]time.Duration{end, end + back}
					for p.now < end+longest+settleTime {
						for i := range p.lost {
							p.lost[i] = nil
							if p.now >= lossAt[i] && p.now < backAt[i] {
								p.lost[i] = lost(what)
							}
						}
						p.step()
					}
					want := 0
					if later > window {
						want += 2
					}
					if silent && -back > downOf {
						want += 2
					}
					close := (later-window).Abs() < margin || silent && (-back-downOf).Abs() < margin
					if p.owner != 0 || p.moves != want && !close {
						t.Fatalf("%s, silent %v, the second loses it %v later and gets it back %v later: %d moves, want %d; owner %d",
							what, silent, later, back, p.moves, want, p.owner)
					}
				}
			}
		}
	}
}

// Whatever happens, the VIP comes to rest where less is missed, and no event moves
// it twice.
func TestVIPComesToRestWhereLessIsMissed(t *testing.T) {
	things := []string{"interface eth1", "interface eth2", "gateway 192.0.2.1"}
	rapid.Check(t, func(t *rapid.T) {
		var p pair
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			events := rapid.IntRange(1, 5).Draw(t, "events")
			before := p.moves
			for range events {
				if rapid.IntRange(0, 5).Draw(t, "kind") == 0 {
					p.silent = !p.silent
				} else {
					node := rapid.IntRange(0, 1).Draw(t, "node")
					what := rapid.SampledFrom(things).Draw(t, "what")
					p.lost[node] = toggled(p.lost[node], what)
				}
				p.run(p.now + time.Duration(rapid.IntRange(0, 8000).Draw(t, "ms"))*time.Millisecond)
			}
			p.run(p.now + settleTime)
			if p.moves-before > events+1 {
				t.Fatalf("%d moves after %d events", p.moves-before, events)
			}
			if a, b := len(p.lost[p.owner]), len(p.lost[1-p.owner]); !p.silent && a > b {
				t.Fatalf("the owner misses %d, the other %d", a, b)
			}
			if len(p.lost[0]) == 0 && p.owner != 0 {
				t.Fatal("the preferred node misses nothing, and does not lead")
			}
			rest := p.moves
			p.run(p.now + 3*settleTime)
			if p.moves != rest {
				t.Fatal("the VIP moves although nothing happens")
			}
		}
	})
}

func toggled(all []ipc.Lost, what string) []ipc.Lost {
	var next []ipc.Lost
	for _, l := range all {
		if l.What != what {
			next = append(next, l)
		}
	}
	if len(next) == len(all) {
		next = append(next, ipc.Lost{What: what, Since: epoch})
	}
	return next
}
