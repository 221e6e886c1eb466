// Package dashboard lays out what a node says of itself for somebody who looks at it
// for a while: what it is, what it does each second, and what has changed.
package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
)

// View is what is to be shown.
type View struct {
	Newest *admin.Explanation // nil: the node has not answered yet
	Before *admin.Explanation // the answer before; nil: there was none
	Clock  time.Time          // of the one who looks
	// Failure is why the node does not answer now, and Lost since when; nil when it does.
	Failure error
	Lost    time.Time
}

// Size is what there is room for.
type Size struct {
	Width, Height int  // in characters; 0: without bounds
	Styled        bool // with colours
}

// Frame returns the lines that show v in a room of that size.
func Frame(v View, size Size) []string {
	sections := []section{v.head()}
	if v.Newest != nil {
		s := v.sight()
		sections = append(sections, s.vips(), s.peers(), s.listeners(), s.pools(), s.servers(), s.events())
	}
	kept := sections[:0]
	for _, s := range sections {
		if len(s.rows) > 0 {
			kept = append(kept, s)
		}
	}
	shrink(kept, size.Height)
	var lines []string
	for i, s := range kept {
		if i > 0 {
			lines = append(lines, "")
		}
		widths := s.widths()
		if len(s.heading) > 0 {
			lines = append(lines, s.heading.line(widths, size.Width, size.Styled))
		}
		for _, r := range s.rows {
			lines = append(lines, r.line(widths, size.Width, size.Styled))
		}
	}
	if size.Height > 0 && len(lines) > size.Height {
		lines = lines[:size.Height]
	}
	return lines
}

// shrink takes rows out of the longest sections until all fit into height lines.
func shrink(sections []section, height int) {
	if height <= 0 {
		return
	}
	length := len(sections) - 1 // the lines between them
	for _, s := range sections {
		length += len(s.rows) + min(1, len(s.heading))
	}
	cut := make([]int, len(sections))
	for ; length > height; length-- {
		longest := -1
		for i, s := range sections {
			if rows := len(s.rows) - cut[i]; rows > s.least && (longest < 0 || rows > len(sections[longest].rows)-cut[longest]) {
				longest = i
			}
		}
		if longest < 0 {
			return
		}
		cut[longest]++
	}
	for i := range sections {
		if s := &sections[i]; cut[i] > 0 {
			left := max(0, len(s.rows)-cut[i]-1) // the last line tells of the others
			more := row{{text: fmt.Sprintf("… and %d more", len(s.rows)-left)}}
			s.rows = append(append([]row{}, s.rows[:left]...), more)
		}
	}
}

// head tells who is looked at, and what is wrong with it.
func (v View) head() section {
	clock := v.Clock.Format(time.TimeOnly)
	if v.Newest == nil {
		text := "waiting for the node"
		if v.Failure != nil {
			text = v.Failure.Error()
		}
		return section{rows: []row{{{text: "NO ANSWER", mood: alarm}, {text: text}}, {{text: clock}}}, least: 2}
	}
	s := &v.Newest.Status
	name := s.Node
	if name == "" {
		name = "proxy"
	}
	rows := []row{{
		{text: name, mood: title}, fitness(s.Fit, s.Demoted),
		{text: fmt.Sprintf("up %s, config %s, version %s, %s", age(v.Newest.At, s.Started), s.Config.Hash, s.Version, clock)},
	}}
	wrong := func(what, why string) {
		rows = append(rows, row{{text: "", mood: plain}, {text: what, mood: alarm}, {text: why}})
	}
	if v.Failure != nil {
		wrong("NO ANSWER", fmt.Sprintf("for %s, this is what it said last: %v", age(v.Clock, v.Lost), v.Failure))
	}
	if s.Unfit != "" {
		wrong("because", s.Unfit)
	}
	if s.Config.Refused != "" {
		first, _, _ := strings.Cut(s.Config.Refused, "\n")
		wrong("REFUSED", "the newest config, the old one runs: "+first)
	}
	if s.Cluster != "" {
		wrong("ALONE", "not a member of the cluster: "+s.Cluster)
	}
	if s.Agent != nil && s.Agent.PID == 0 {
		wrong("NO AGENT", s.Agent.Error)
	}
	if s.Worker.PID == 0 {
		wrong("NO WORKER", s.Worker.Error)
	}
	if s.Overload.Reason != "" {
		wrong("OVERLOAD", "new work is turned away: "+s.Overload.Reason)
	}
	if s.Panics > 0 {
		wrong("PANICS", fmt.Sprintf("%d, each is a bug: see the log", s.Panics))
	}
	return section{rows: rows, least: len(rows)}
}

func fitness(fit, demoted bool) cell {
	switch {
	case demoted:
		return cell{text: "DEMOTED", mood: warning}
	case fit:
		return cell{text: "fit", mood: good}
	}
	return cell{text: "NOT FIT", mood: alarm}
}

// age says how long ago t was, in two digits or so.
func age(now, t time.Time) string {
	d := max(0, now.Sub(t))
	switch {
	case t.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
