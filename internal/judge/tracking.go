package judge

import (
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
)

// hearsayAfter is how long an Active node waits after it lost a gateway, which is
// mostly lost to its peer at about the same time, for the word of that.
const hearsayAfter = time.Second

// Tracking judges whether this node has to rank below its peer for a group of
// VIPs, because it misses more of what they track. When both miss as much, whoever
// is Active stays: the Backup ranks below it then, whenever each of them notices,
// and in whatever order they recover. Its zero value misses nothing.
type Tracking struct {
	Lowered bool
	Reason  string // why it is lowered; else empty
	things  []thing
}

// thing is something that is missed, or was until a moment ago.
type thing struct {
	ipc.Lost
	seen time.Time // when the loss was first reported, by the clock of Look
	back time.Time // when it was seen again; zero while it is missed
}

// Word is what is known of how much a peer misses.
type Word struct {
	Known   bool   // it is alive by gossip, and says so
	Node    string // empty: there is no peer
	Missing int
}

// Hear returns the word of that peer who misses least in a group.
func Hear(group string, views []peer.View) Word {
	var best Word
	for _, v := range views {
		w := Word{Node: v.Name}
		if v.Alive && v.State != nil {
			lost, known := v.State.Lost[group]
			w.Known, w.Missing = known, len(lost)
		}
		if best.Node == "" || w.Known && (!best.Known || w.Missing < best.Missing) {
			best = w
		}
	}
	return best
}

// Look takes in what the routers of the group miss on this node as of now, in
// which the same thing may occur several times, whether this node is Active for
// any of them, and the word of the peer.
func (t *Tracking) Look(now time.Time, lost []ipc.Lost, active bool, w Word) {
	t.note(now, lost)
	missed := t.due(now, active)
	held := len(t.things)
	switch {
	case !t.Lowered:
		t.Lowered = missed > 0 && (!w.Known || missed > w.Missing || missed == w.Missing && !active)
	case held == 0, w.Known && held < w.Missing, w.Known && held == w.Missing && active:
		t.Lowered = false
	}
	t.Reason = ""
	if t.Lowered {
		t.Reason = t.reason(w)
	}
}

// note keeps what is missed, and for SteadyFor what was.
func (t *Tracking) note(now time.Time, lost []ipc.Lost) {
	for i := range t.things {
		if k := &t.things[i]; k.back.IsZero() && !misses(lost, k.What) {
			k.back = now
		}
	}
	for _, l := range lost {
		i := slices.IndexFunc(t.things, func(k thing) bool { return k.What == l.What })
		switch {
		case i < 0:
			t.things = append(t.things, thing{Lost: l, seen: now})
		case !t.things[i].back.IsZero():
			t.things[i] = thing{Lost: l, seen: now}
		}
	}
	t.things = slices.DeleteFunc(t.things, func(k thing) bool { return !k.back.IsZero() && now.Sub(k.back) >= SteadyFor })
	slices.SortFunc(t.things, func(a, b thing) int { return strings.Compare(a.What, b.What) })
}

func misses(lost []ipc.Lost, what string) bool {
	return slices.ContainsFunc(lost, func(l ipc.Lost) bool { return l.What == what })
}

// due counts the losses to act on. A Backup acts at once: that moves nothing, and
// when the Active node acts too, their order is as it was.
func (t *Tracking) due(now time.Time, active bool) int {
	n := 0
	for _, k := range t.things {
		waits := active && k.gateway() && now.Sub(k.seen) < hearsayAfter
		if k.back.IsZero() && !waits {
			n++
		}
	}
	return n
}

func (k thing) gateway() bool { return strings.HasPrefix(k.What, "gateway ") }

// Missing lists what this node is to say that it misses: until it has been there
// for SteadyFor again, so that the peer does not follow each of its comings and
// goings either.
func (t *Tracking) Missing() []peer.Lost {
	all := []peer.Lost{}
	for _, k := range t.things {
		all = append(all, peer.Lost{What: k.What, Since: k.Since})
	}
	return all
}

func (t *Tracking) reason(w Word) string {
	var parts []string
	for _, k := range t.things {
		parts = append(parts, k.words())
	}
	why := strings.Join(parts, ", ")
	switch {
	case w.Node == "":
		return why
	case !w.Known:
		return why + "; " + w.Node + " does not say what it misses"
	case w.Missing == 0:
		return why + "; " + w.Node + " misses nothing"
	case w.Missing < len(t.things):
		return why + "; " + w.Node + " misses less"
	}
	return why + "; " + w.Node + " misses as much, and nobody moves"
}

// words says what is wrong with the thing, or was a moment ago.
func (k thing) words() string {
	switch gone := k.back.IsZero(); {
	case k.gateway() && gone:
		return k.What + " does not answer"
	case k.gateway():
		return k.What + " did not answer a moment ago"
	case gone:
		return k.What + " is down"
	}
	return k.What + " was down a moment ago"
}
