package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// mostExcused bounds the list of what is put down to the machine.
const mostExcused = 50

// Markdown is the report in words; picture is the path of the picture.
func (r *Record) Markdown(picture string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	verdict := "every promise was kept"
	if n := len(r.Violations); n > 0 {
		verdict = fmt.Sprintf("%d violations", n)
	}
	p("# Chaos, seed %d: %s\n", r.Plan.Seed, verdict)
	p("%d faults, %v of %v.\n", len(r.done()), r.Lasted.Round(time.Second), r.Plan.Length)
	p("![timeline](%s)\n", picture)
	for _, v := range r.Violations {
		p("- **%s** at %.3fs: %s\n  %s", v.Invariant, v.At.Seconds(), v.What, v.Evidence)
	}
	f := r.Figures
	p("\n| Seen at worst | |\n|---|---|")
	p("| both nodes owned the address and could hear each other | %v |", ms(f.Two))
	p("| nobody owned it although a node could | %v |", ms(f.None))
	p("| a node whose agent did not run had it | %v |", ms(f.Held))
	p("| the network believed what was not so, when all was well again | %v |", ms(f.Disagree))
	p("| announcements of a node in a second | %d frames |", f.Announce)
	p("| advertisements of a node in a second | %d |", f.Adverts)
	p("| changes of the owner | %d |", f.Owners)
	p("\n| Lateness of the machine, at worst | |\n|---|---|")
	p("| the sampler (real time: %t) | %v |", r.Realtime, ms(f.Gap))
	p("| the kernel's lock of network configuration | %v |", ms(f.Lock))
	p("| an ordinary process | %v |", ms(f.Ordinary))
	p("| failures in a calm that are put down to it | %d |", len(r.Excused))
	for _, v := range r.Excused[:min(len(r.Excused), mostExcused)] {
		p("| put down to it, at %.1fs | %s |", v.At.Seconds(), v.What)
	}
	p("\n| Clients | sent | failed | of them while nothing was wrong: sent | longest without an answer |\n|---|---|---|---|---|")
	for _, class := range r.classes() {
		t, o := f.Outcomes[class], r.worst[class]
		p("| %s | %d | %d | %d | %v at %.1fs |", class, t.Sent, t.Failed, t.Calm, ms(o.longest), o.at.Seconds())
	}
	p("\n| Faults | |\n|---|---|")
	for _, kind := range plan.Kinds() {
		n := 0
		for _, f := range r.done() {
			if f.Kind == kind {
				n++
			}
		}
		p("| %s | %d |", kind, n)
	}
	return b.String()
}

// done returns the faults that the run lasted for.
func (r *Record) done() []plan.Fault {
	return slices.DeleteFunc(r.Plan.Faults(), func(f plan.Fault) bool { return f.At > r.Lasted })
}

// classes returns the classes of requests that were made.
func (r *Record) classes() []string {
	return slices.Sorted(maps.Keys(r.clients))
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
