package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/report"
)

const demoIntro = `Two load balancers, three servers and a client, in network namespaces:

    client  10.77.0.50    a new connection and a request every millisecond
       │
    VIP     10.77.0.100   the address that must always answer
     ╱   ╲
   lb1   lb2              10.77.0.1, 10.77.0.2: one owns the VIP, both could
     ╲   ╱
  s1  s2  s3              10.77.0.11 to .13

The whole config, the same on both nodes:

%s`

// demoView is what the demo shows: lines, and under them, on a terminal, one
// that changes.
type demoView struct {
	live bool // the output is a terminal

	mu    sync.Mutex
	out   io.Writer
	state string // of the pair and the traffic
	event string // what is happening, if anything
}

func newDemoView(out io.Writer) *demoView {
	f, ok := out.(*os.File)
	return &demoView{out: out, live: ok && term.IsTerminal(int(f.Fd()))}
}

// eraseLine returns to the beginning of the line and empties it.
const eraseLine = "\r\x1b[K"

// print shows a line above the live one.
func (v *demoView) print(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	fmt.Fprintf(v.out, format+"\n", args...)
	v.redraw()
}

// status replaces the state on the live line.
func (v *demoView) status(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.state = text
	v.redraw()
}

// happens shows on the live line what is happening.
func (v *demoView) happens(event string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.event = event
	v.redraw()
}

func (v *demoView) erase() {
	if v.live && v.state != "" {
		fmt.Fprint(v.out, eraseLine)
	}
}

func (v *demoView) redraw() {
	if !v.live || v.state == "" {
		return
	}
	line := v.state
	if v.event != "" {
		line += "  · " + v.event
	}
	// A line that wraps could not be erased.
	if runes := []rune(line); len(runes) >= v.width() {
		line = string(runes[:v.width()-1])
	}
	fmt.Fprint(v.out, line)
}

// width is that of the terminal, or of a page.
func (v *demoView) width() int {
	if f, ok := v.out.(*os.File); ok && v.live {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

// outcome shows what an event came to.
func (v *demoView) outcome(at time.Duration, o failover.Outcome) {
	excuse := ""
	if stall := o.Window.Stall; stall > 10*time.Millisecond {
		excuse = fmt.Sprintf(" (the client itself was held up for %s ms)", report.Milliseconds(stall))
	}
	v.print("%5.1f s  %-28s %s   %4s ms without an answer, %d failed%s", at.Seconds(), o.Event.Name,
		o.Handover(), report.Milliseconds(o.Window.Outage), o.Window.Failed, excuse)
}

// report shows the table and the sparkline.
func (d *demo) report(end time.Time) {
	if len(d.outcomes) == 0 {
		return
	}
	d.view.print("\n%s", report.Table(demoRows(d.outcomes)))
	all := d.scene.Traffic.Window(d.began, end)
	inEvents := 0
	for _, o := range d.outcomes {
		inEvents += o.Window.Failed
	}
	d.view.print("%d requests in %.0f s, %d failed: %d around the events, %d at other times", all.Requests,
		end.Sub(d.began).Seconds(), all.Failed, inEvents, all.Failed-inEvents)
	d.view.print("The outage is the longest distance between two answered requests.\n")
	d.view.print("%s", d.timeline(end).Sparkline(min(d.view.width()-1, 120)))
}

// demoRows joins the outcomes of the same event, in the order in which they
// first came.
func demoRows(outcomes []failover.Outcome) []report.Row {
	var rows []report.Row
	index := make(map[string]int)
	for _, o := range outcomes {
		i, ok := index[o.Event.Name]
		if !ok {
			i = len(rows)
			index[o.Event.Name] = i
			rows = append(rows, report.Row{Event: o.Event.Name, Owner: o.Handover()})
		}
		rows[i].Outage = append(rows[i].Outage, o.Window.Outage)
		rows[i].Failed = append(rows[i].Failed, o.Window.Failed)
	}
	return rows
}
