package demo

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/report"
)

// view is what the demo shows: lines, and under them, on a terminal, one
// that changes.
type view struct {
	live bool // the output is a terminal

	mu    sync.Mutex
	out   io.Writer
	state string // of the pair and the traffic
	event string // what is happening, if anything
}

func newView(out io.Writer) *view {
	f, ok := out.(*os.File)
	return &view{out: out, live: ok && term.IsTerminal(int(f.Fd()))}
}

// eraseLine returns to the beginning of the line and empties it.
const eraseLine = "\r\x1b[K"

// print shows a line above the live one.
func (v *view) print(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	fmt.Fprintf(v.out, format+"\n", args...)
	v.redraw()
}

// status replaces the state on the live line.
func (v *view) status(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.state = text
	v.redraw()
}

// happens shows on the live line what is happening.
func (v *view) happens(event string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.event = event
	v.redraw()
}

func (v *view) erase() {
	if v.live && v.state != "" {
		fmt.Fprint(v.out, eraseLine)
	}
}

func (v *view) redraw() {
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
func (v *view) width() int {
	if f, ok := v.out.(*os.File); ok && v.live {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

// outcome shows what an event came to; of a pair with several VIPs, for the one of
// that name.
func (v *view) outcome(at time.Duration, vip string, o failover.Outcome) {
	excuse := ""
	if stall := o.Window.Stall; stall > 10*time.Millisecond {
		excuse = fmt.Sprintf(" (the client itself was held up for %s ms)", report.Milliseconds(stall))
	}
	if vip != "" {
		vip = "VIP " + vip + ": "
	}
	v.print("%5.1f s  %-28s %s%s   %4s ms without an answer, %d failed%s", at.Seconds(), o.Event.Name, vip,
		o.Handover(), report.Milliseconds(o.Window.Outage), o.Window.Failed, excuse)
}

// report shows the table and the sparklines.
func (d *demo) report(end time.Time) {
	if len(d.outcomes) == 0 {
		return
	}
	var rows [][]report.Row
	var names []string
	requests, failed, inEvents := 0, 0, 0
	for i, f := range d.scene.Flows {
		rows, names = append(rows, rowsOf(d.of(i))), append(names, d.plot.vips[i].name)
		w := f.Traffic.Window(d.began, end)
		requests, failed = requests+w.Requests, failed+w.Failed
		for _, o := range d.of(i) {
			inEvents += o.Window.Failed
		}
	}
	d.view.print("\n%s", table(names, rows))
	d.view.print("%d requests in %.0f s, %d failed: %d around the events, %d at other times", requests,
		end.Sub(d.began).Seconds(), failed, inEvents, failed-inEvents)
	d.view.print("The outage is the longest distance between two answered requests.\n")
	for i := range d.scene.Flows {
		if len(names) > 1 {
			d.view.print("VIP %s", names[i])
		}
		d.view.print("%s", d.timeline(i, end).Sparkline(min(d.view.width()-1, 120)))
	}
}

// table lays out what the events came to, with the VIPs, whose rows are of the
// same events, beside each other.
func table(vips []string, rows [][]report.Row) string {
	if len(vips) == 1 {
		return report.Table(rows[0])
	}
	heading := []string{"event"}
	for _, vip := range vips {
		heading = append(heading, "VIP "+vip, "outage ms", "failed")
	}
	cells := [][]string{heading}
	for i, first := range rows[0] {
		line := []string{first.Event}
		for _, of := range rows {
			line = append(line, of[i].Owner, report.SpreadOf(of[i].Outage).Text(report.Milliseconds),
				report.SpreadOf(of[i].Failed).Text(strconv.Itoa))
		}
		cells = append(cells, line)
	}
	return report.Grid(cells, 2)
}

// rowsOf joins the outcomes of the same event, in the order in which they
// first came.
func rowsOf(outcomes []failover.Outcome) []report.Row {
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
