package timeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/peer"
)

const (
	// maxLetter and maxLetterBytes are how many events, and bytes, one letter has at
	// most. One event is far smaller.
	maxLetter      = 100
	maxLetterBytes = 1 << 20
	// resendAfter is how long a letter has to be answered by what its reader says that
	// it has.
	resendAfter = 3 * time.Second
	// ahead is how far the clock of another node may be ahead to be believed.
	ahead = 24 * time.Hour
)

// letter is what a node tells another of the events of a node: all that come next
// behind After, so that who has all up to there has no gap.
type letter struct {
	Of     string
	After  Mark
	Events []Event
}

// Letter is something to tell another node.
type Letter struct {
	To   string
	Body []byte
}

// exchange is what a node knows of what the others have. It is pure, and owned by the
// mutex of its Store.
type exchange struct {
	self string
	boot uint64          // of the events that are added from now on
	have map[string]Mark // as peer.Events has it
	sent map[[2]string]sent
}

// sent is how far a node was told the events of another, by their names.
type sent struct {
	mark Mark
	at   time.Time
}

func newExchange(self string, boot uint64) exchange {
	return exchange{self: self, boot: boot, have: map[string]Mark{}, sent: map[[2]string]sent{}}
}

// restore takes in what earlier processes kept, and reports whether the own events
// are to be numbered anew for it.
func (x *exchange) restore(kept []Event) bool {
	for _, e := range kept {
		if m := markOf(e); m.Compare(x.have[e.Node]) > 0 {
			x.have[e.Node] = m
		}
	}
	return x.after(x.have[x.self])
}

// after has the own events come after m, which is of an earlier process: it is, when a
// clock was set back and the file is lost, later than this one. A mark that no process
// gets to is none of an earlier one.
func (x *exchange) after(m Mark) (later bool) {
	if m.Boot < x.boot || m.Boot >= maxNumber {
		return false
	}
	x.boot = m.Boot + 1
	return true
}

// says is what the others are told of what this node has.
func (x *exchange) says() *peer.Events {
	e := peer.Events{Boot: x.boot, Have: map[string]Mark{x.self: x.have[x.self]}}
	for name, m := range x.have {
		e.Have[name] = m
	}
	return &e
}

// letters returns what the others are to be told now.
func (x *exchange) letters(now time.Time, l *Log, views []peer.View) []Letter {
	var all []Letter
	for _, v := range views {
		if !v.Alive || v.State == nil || v.State.Events == nil || v.Name == x.self {
			continue
		}
		for _, of := range []string{x.self, v.Name} {
			if body := x.next(now, l, v, of); body != nil {
				all = append(all, Letter{v.Name, body})
			}
		}
	}
	return all
}

// next is the next letter for v with the events of a node; nil: there is none.
func (x *exchange) next(now time.Time, l *Log, v peer.View, of string) []byte {
	has := v.State.Events.Have[of]
	key := [2]string{v.Name, of}
	from := has
	if s := x.sent[key]; s.mark.Compare(has) > 0 && now.Sub(s.at) < resendAfter && !now.Before(s.at) {
		from = s.mark
	}
	events := l.After(of, from, maxLetter)
	if of == v.Name { // it knows best what it has seen itself
		events = slices.DeleteFunc(events, func(e Event) bool { return e.Boot >= v.State.Events.Boot })
	}
	for len(events) > 0 {
		body, err := json.Marshal(letter{of, from, events})
		if err != nil {
			panic(fmt.Sprintf("timeline: encode events: %v", err))
		}
		if len(body) <= maxLetterBytes {
			x.sent[key] = sent{markOf(events[len(events)-1]), now}
			return body
		}
		events = events[:len(events)/2]
	}
	return nil
}

// open reads a letter. What follows a gap is not taken, nor what the node itself must
// know; then it has no events.
func (x *exchange) open(now time.Time, body []byte, known []string) ([]Event, error) {
	var k letter
	if len(body) > maxLetterBytes {
		return nil, fmt.Errorf("decode events: %d bytes exceed the limit of %d", len(body), maxLetterBytes)
	}
	if err := json.Unmarshal(body, &k); err != nil {
		return nil, fmt.Errorf("decode events: %w", err)
	}
	if len(k.Events) > maxLetter {
		return nil, fmt.Errorf("decode events: %d of them exceed the limit of %d", len(k.Events), maxLetter)
	}
	if k.Of != x.self && !slices.Contains(known, k.Of) {
		return nil, fmt.Errorf("decode events: they are of the unknown node %q", k.Of)
	}
	before := k.After
	for i, e := range k.Events {
		if err := valid(e); err != nil {
			return nil, fmt.Errorf("decode events: number %d: %w", i+1, err)
		}
		if e.Node != k.Of || markOf(e).Compare(before) <= 0 {
			return nil, fmt.Errorf("decode events: number %d is out of order", i+1)
		}
		if e.At.Sub(now) > ahead {
			k.Events[i].At = now.Round(0).UTC()
		}
		before = markOf(e)
	}
	has := x.have[k.Of]
	if k.After.Compare(has) > 0 {
		return nil, nil
	}
	events := slices.DeleteFunc(k.Events, func(e Event) bool {
		return markOf(e).Compare(has) <= 0 || k.Of == x.self && e.Boot >= x.boot
	})
	if n := len(events); n > 0 {
		x.have[k.Of] = markOf(events[n-1])
	}
	return events, nil
}
