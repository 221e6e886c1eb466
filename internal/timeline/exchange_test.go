package timeline

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/peer"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// couple is two stores between which letters go as a test says.
type couple struct {
	t      *testing.T
	now    time.Time
	stores map[string]*Store
	heard  map[string]*peer.State // by who said it
	lose   func(from string) bool // a letter or a state
	boots  int
}

func newCouple(t *testing.T) *couple {
	c := &couple{t: t, now: noon, stores: map[string]*Store{}, heard: map[string]*peer.State{}, lose: func(string) bool { return false }}
	c.boot("lb1", nil)
	c.boot("lb2", nil)
	return c
}

func other(node string) string { return map[string]string{"lb1": "lb2", "lb2": "lb1"}[node] }

// boot starts a node anew, with what it had kept.
func (c *couple) boot(node string, kept []Event) {
	c.boots++
	s := New(Options{Node: node, Others: []string{other(node)}, Boot: c.now.Add(time.Duration(c.boots) * time.Millisecond)})
	for _, e := range kept {
		s.log.Add(e)
	}
	s.talk.restore(kept)
	c.stores[node] = s
	delete(c.heard, node)
}

func (c *couple) add(node, what string) {
	c.stores[node].Add(Event{At: c.now, Kind: admin.ConfigEvent, What: what})
}

// turn lets a second pass: each says what it has, and sends what is due.
func (c *couple) turn() {
	c.now = c.now.Add(time.Second)
	for _, node := range []string{"lb1", "lb2"} {
		if !c.lose(node) {
			c.heard[node] = &peer.State{Node: node, Events: c.stores[node].Says()}
		}
	}
	for _, node := range []string{"lb1", "lb2"} {
		to := other(node)
		for _, l := range c.stores[node].Letters(c.now, []peer.View{{Name: to, Alive: true, State: c.heard[to]}}) {
			if c.lose(node) {
				continue
			}
			if err := c.stores[to].Receive(c.now, l.Body); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func (c *couple) all(node string) []string {
	return whats(c.stores[node].Events(time.Time{}, 10000))
}

// same checks that both have the same, and these many.
func (c *couple) same(n int) {
	c.t.Helper()
	if diff := cmp.Diff(c.all("lb1"), c.all("lb2")); diff != "" {
		c.t.Fatalf("lb1 and lb2 differ (-lb1 +lb2):\n%s", diff)
	}
	if got := len(c.all("lb1")); got != n {
		c.t.Fatalf("%d events, want %d: %q", got, n, c.all("lb1"))
	}
}

func TestBothNodesTellTheSame(t *testing.T) {
	c := newCouple(t)
	for i := range 250 { // more than one letter
		c.add("lb1", fmt.Sprint("one ", i))
	}
	c.add("lb2", "two")
	for range 4 {
		c.turn()
	}
	c.same(251)
	t.Log("# when all is told, nothing more is sent")
	c.turn()
	c.lose = func(string) bool { t.Error("something was sent"); return false }
	for _, node := range []string{"lb1", "lb2"} {
		to := other(node)
		if l := c.stores[node].Letters(c.now, []peer.View{{Name: to, Alive: true, State: c.heard[to]}}); len(l) > 0 {
			t.Errorf("%s sends %s", node, l[0].Body)
		}
	}
}

func TestLostLettersAndRestartsLeaveNoGap(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := newCouple(t)
		n := 0
		c.lose = func(string) bool { return r.IntN(3) == 0 }
		for range 60 {
			for _, node := range []string{"lb1", "lb2"} {
				for range r.IntN(3) {
					n++
					c.add(node, fmt.Sprint(n))
				}
				if r.IntN(20) == 0 {
					kept := c.stores[node].Events(time.Time{}, 10000)
					c.boot(node, kept)
				}
			}
			c.turn()
		}
		c.lose = func(string) bool { return false }
		for range 10 {
			c.turn()
		}
		c.same(n)
	}
}

func TestANodeThatForgotAsksItsPeer(t *testing.T) {
	c := newCouple(t)
	c.add("lb1", "before")
	c.turn()
	c.turn()
	c.boot("lb1", nil)
	c.add("lb1", "after")
	for range 3 {
		c.turn()
	}
	c.same(2)
	t.Log("# its clock was set back too: what it says from then on is news all the same")
	c.now = noon.Add(-time.Hour)
	c.boot("lb1", nil)
	for range 6 {
		c.turn()
	}
	c.add("lb1", "later")
	for range 6 {
		c.turn()
	}
	if got := c.all("lb2"); !slices.Contains(got, "later") {
		t.Errorf("lb2 has %q", got)
	}
}

// Whatever a peer says, a node numbers its events so that others take them.
func TestMarksThatNoNodeGetsTo(t *testing.T) {
	for _, far := range []uint64{maxNumber, maxNumber + 1, math.MaxUint64} {
		s := New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: noon})
		have := map[string]Mark{"lb1": {Boot: far, Seq: 1}}
		s.Letters(noon, []peer.View{{Name: "lb2", Alive: true, State: &peer.State{Events: &peer.Events{Boot: 5, Have: have}}}})
		s.Add(Event{At: noon, Kind: admin.ConfigEvent, What: "loaded"})
		if e := s.Events(time.Time{}, 1)[0]; valid(e) != nil {
			t.Errorf("a peer that has %d: %+v: %v", far, e, valid(e))
		}
	}
}

func TestAPeerThatTakesNoEventsIsSentNone(t *testing.T) {
	s := New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: noon})
	s.Add(Event{At: noon, Kind: admin.ConfigEvent, What: "loaded"})
	for name, v := range map[string]peer.View{
		"an older version": {Name: "lb2", Alive: true, State: &peer.State{}},
		"not heard yet":    {Name: "lb2", Alive: true},
		"dead":             {Name: "lb2", State: &peer.State{Events: &peer.Events{}}},
	} {
		if l := s.Letters(noon, []peer.View{v}); len(l) > 0 {
			t.Errorf("%s: %s", name, l[0].Body)
		}
	}
}

func TestLargeEventsFitALetter(t *testing.T) {
	c := newCouple(t)
	for range 200 {
		c.stores["lb1"].Add(Event{At: c.now, Kind: admin.ConfigEvent, What: "large", Evidence: strings.Repeat("<", maxEvidence)})
	}
	for range 30 {
		c.turn()
	}
	c.same(200)
}

func TestLettersThatNoNodeSends(t *testing.T) {
	good := at("lb2", 5, 1, 0)
	bad := func(change func(*Event)) []Event {
		e := good
		change(&e)
		return []Event{e}
	}
	for name, tc := range map[string]struct {
		letter any
		want   string
	}{
		"not JSON":         {json.RawMessage(`"x"`), "decode events"},
		"too many":         {letter{Of: "lb2", Events: make([]Event, maxLetter+1)}, "exceed the limit of 100"},
		"too large":        {letter{Of: strings.Repeat("x", maxLetterBytes)}, "exceed the limit of 1048576"},
		"of a stranger":    {letter{Of: "lb3"}, `unknown node "lb3"`},
		"of another":       {letter{Of: "lb2", Events: bad(func(e *Event) { e.Node = "lb1" })}, "out of order"},
		"out of order":     {letter{Of: "lb2", Events: []Event{at("lb2", 5, 2, 0), good}}, "number 2 is out of order"},
		"twice":            {letter{Of: "lb2", Events: []Event{good, good}}, "number 2 is out of order"},
		"no number":        {letter{Of: "lb2", Events: bad(func(e *Event) { e.Seq = 0 })}, "has no number"},
		"a wild number":    {letter{Of: "lb2", Events: bad(func(e *Event) { e.Boot = maxNumber + 1 })}, "its number is out of range"},
		"a wild sequence":  {letter{Of: "lb2", Events: bad(func(e *Event) { e.Seq = maxNumber + 1 })}, "its number is out of range"},
		"nothing said":     {letter{Of: "lb2", Events: bad(func(e *Event) { e.What = "" })}, "says nothing"},
		"terminal control": {letter{Of: "lb2", Events: bad(func(e *Event) { e.What = "\x1b[2J" })}, "is not a line"},
		"a long text":      {letter{Of: "lb2", Events: bad(func(e *Event) { e.Evidence = strings.Repeat("x", maxEvidence+1) })}, "is not a line"},
		"before all time":  {letter{Of: "lb2", Events: bad(func(e *Event) { e.At = time.Time{} })}, "out of range"},
	} {
		body, err := json.Marshal(tc.letter)
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: noon})
		if err := s.Receive(noon, body); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if n := len(s.Events(time.Time{}, 100)); n != 0 {
			t.Errorf("%s: %d events are taken", name, n)
		}
	}
}

func TestAnEventOfTheFutureCountsAsOfNow(t *testing.T) {
	s := New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: noon})
	e := at("lb2", 5, 1, 0)
	e.At = noon.Add(1000 * time.Hour)
	body, err := json.Marshal(letter{Of: "lb2", Events: []Event{e}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Receive(noon, body); err != nil {
		t.Fatal(err)
	}
	if got := s.Events(time.Time{}, 1)[0].At; !got.Equal(noon) {
		t.Errorf("it is of %v", got)
	}
}

func FuzzReceive(f *testing.F) {
	body, err := json.Marshal(letter{Of: "lb2", Events: []Event{at("lb2", 5, 1, 0)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"Of":"lb1","Events":[{"node":"lb1","boot":1,"seq":1,"at":"2026-01-01T00:00:00Z","kind":"role","what":"x"}]}`))
	f.Add([]byte(`{"Of":"lb2","After":{"Boot":18446744073709551615,"Seq":1},"Events":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: noon})
		err := s.Receive(noon, b)
		for _, e := range s.Events(time.Time{}, 1000) {
			if err != nil || valid(e) != nil || e.Node == "lb1" && e.Boot >= s.talk.boot {
				t.Errorf("%q: %+v was taken, with %v", b, e, err)
			}
		}
	})
}
