package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// The picture's measures, in pixels of its own coordinates.
const (
	width      = 1200
	left       = 90 // for the names of the lanes
	right      = 10
	head       = 60
	laneHeight = 13
	rowGap     = 34
	rowSpan    = 2 * time.Minute // a row of the picture
)

const style = `
  .page { fill: #ffffff; }
  .active { fill: #2da44e; }
  .backup { fill: #9be3b0; }
  .unfit { fill: #d0d7de; }
  .holds { fill: #0969da; }
  .fault { fill: #bf8700; }
  .harmless { fill: #e3c77a; }
  .failed { fill: #cf222e; }
  .answered { fill: #c8e6cf; }
  .violation { stroke: #cf222e; stroke-width: 2; }
  .axis { stroke: #8c959f; stroke-width: 1; }
  text { font: 11px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .small { font-size: 9px; fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    .active { fill: #3fb950; }
    .backup { fill: #1f5e2e; }
    .unfit { fill: #484f58; }
    .holds { fill: #58a6ff; }
    .harmless { fill: #6e5a20; }
    .failed { fill: #f85149; }
    .answered { fill: #17351f; }
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
  }
`

// lanes of faults.
var faultLanes = []string{"lb1", "lb2", "between", "servers", "machine", "reloads"}

// laneOf returns the lane of a fault.
func laneOf(f plan.Fault) string {
	switch f.Kind {
	case plan.Kill, plan.Stop, plan.LinkDown, plan.LinkSilent, plan.NetLoss, plan.Memory, plan.Descriptors:
		return f.Node
	case plan.Loss, plan.OneWay:
		return "between"
	case plan.ServerCrash, plan.ServerSlow:
		return "servers"
	case plan.Reload, plan.ReloadBad, plan.Malformed:
		return "reloads"
	}
	return "machine"
}

// SVG draws the run: what was done, what role each node had and who had the address,
// and what the clients saw, two minutes a row. It stands alone and suits light and
// dark pages.
func (r *Record) SVG() string {
	rows := max(1, int((r.Lasted+rowSpan-1)/rowSpan))
	lanes := len(faultLanes) + 4 + len(r.classes())
	rowHeight := lanes*laneHeight + rowGap
	p := &picture{}
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`, width, head+rows*rowHeight)
	title := fmt.Sprintf("Chaos, seed %d: %d faults in %v, %d violations", r.Plan.Seed, len(r.done()), r.Lasted.Round(time.Second), len(r.Violations))
	p.printf(`<title>%s</title><style>%s</style>`, escape(title), style)
	p.printf(`<rect class="page" width="%d" height="%d"/>`, width, head+rows*rowHeight)
	p.printf(`<text class="title" x="10" y="24">%s</text>`, escape(title))
	p.printf(`<text class="small" x="10" y="42">role: green active, pale backup, grey unfit, none silent; blue: has the address; clients: red failed; red line: violation</text>`)
	for i := range rows {
		p.from = time.Duration(i) * rowSpan
		r.row(p, head+i*rowHeight)
	}
	p.printf(`</svg>`)
	return p.String()
}

// row draws one row with its top at y.
func (r *Record) row(p *picture, y int) {
	top := y
	for _, lane := range faultLanes {
		p.name(lane, y)
		for _, f := range r.done() {
			if laneOf(f) == lane {
				class := map[bool]string{true: "harmless", false: "fault"}[f.Harmless()]
				p.bar(class, f.At, max(f.End(), f.At+200*time.Millisecond), y, fmt.Sprintf("#%d %v at %v", f.ID, f, f.At))
			}
		}
		y += laneHeight
	}
	for i := range r.roles {
		p.name(fmt.Sprintf("role of lb%d", i+1), y)
		for _, s := range r.roles[i] {
			p.bar(s.what, s.from, s.to, y, s.what)
		}
		y += laneHeight
		p.name(fmt.Sprintf("address, lb%d", i+1), y)
		for _, s := range r.holds[i] {
			if s.what != "" {
				p.bar(s.what, s.from, s.to, y, "")
			}
		}
		y += laneHeight
	}
	for _, class := range r.classes() {
		p.name(class, y)
		r.outcomes(p, class, y)
		y += laneHeight
	}
	for _, v := range r.Violations {
		if x, ok := p.x(v.At); ok {
			p.printf(`<path class="violation" d="M%.1f %dV%d"><title>%s</title></path>`, x, top-4, y, escape(v.Invariant+": "+v.What))
		}
	}
	p.axis(y)
}

// outcomes draws what the clients of a class saw: neighbours that are alike are one
// bar.
func (r *Record) outcomes(p *picture, class string, y int) {
	buckets := r.clients[class]
	kind := func(t tally) string {
		switch {
		case t.failed > 0:
			return "failed"
		case t.answered > 0:
			return "answered"
		}
		return ""
	}
	for i := 0; i < len(buckets); {
		first, what := i, kind(buckets[i])
		for i < len(buckets) && kind(buckets[i]) == what {
			i++
		}
		if what != "" {
			p.bar(what, time.Duration(first)*bucket, time.Duration(i)*bucket, y, "")
		}
	}
}

// picture is a drawing of a row at a time.
type picture struct {
	strings.Builder
	from time.Duration // of the row
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// x is where a time lies, and whether it is in the row.
func (p *picture) x(at time.Duration) (float64, bool) {
	return left + float64(width-left-right)*float64(at-p.from)/float64(rowSpan), at >= p.from && at < p.from+rowSpan
}

func (p *picture) name(name string, y int) {
	p.printf(`<text class="small" x="%d" y="%d" text-anchor="end">%s</text>`, left-6, y+laneHeight-4, escape(name))
}

// bar draws what lies in the row of a time.
func (p *picture) bar(class string, from, to time.Duration, y int, title string) {
	from, to = max(from, p.from), min(to, p.from+rowSpan)
	if to <= from {
		return
	}
	x, _ := p.x(from)
	end, _ := p.x(to)
	if title != "" {
		title = "<title>" + escape(title) + "</title>"
	}
	p.printf(`<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d">%s</rect>`, class, x, y+1, max(0.5, end-x), laneHeight-2, title)
}

// axis labels the tens of seconds.
func (p *picture) axis(y int) {
	p.printf(`<path class="axis" d="M%d %dH%d"/>`, left, y+1, width-right)
	for at := p.from; at < p.from+rowSpan; at += 10 * time.Second {
		x, _ := p.x(at)
		p.printf(`<text class="small" x="%.1f" y="%d" text-anchor="middle">%d s</text>`, x, y+12, at/time.Second)
	}
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
