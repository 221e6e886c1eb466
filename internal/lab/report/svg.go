package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The picture's measures, in pixels of its own coordinates.
const (
	pictureWidth = 1000
	margin       = 36
	plotWidth    = pictureWidth - 2*margin
	headHeight   = 56
	wholeHeight  = 90 // plot of the whole run
	panelHeight  = 60 // plot of one event
	panelGap     = 50 // from one plot to the next, for the label and the axis
)

const (
	slice       = 10 * time.Millisecond // one bar
	panelBefore = 200 * time.Millisecond
	panelAfter  = 1000 * time.Millisecond
)

// The colours suit a light and a dark page, and the page decides. They are
// written out because some viewers know no variables.
const pictureStyle = `
  .page { fill: #ffffff; }
  .good { fill: #2da44e; }
  .bad { fill: #cf222e; }
  .axis { stroke: #8c959f; stroke-width: 1; fill: none; }
  .mark { stroke: #24292f; stroke-width: 1; fill: none; stroke-dasharray: 3 3; }
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 17px; font-weight: 600; }
  .small { font-size: 11px; fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    .good { fill: #3fb950; }
    .bad { fill: #f85149; }
    .axis { stroke: #7d8590; }
    .mark { stroke: #e6edf3; }
    text { fill: #e6edf3; }
    .small { fill: #7d8590; }
  }
`

// SVG draws the timeline as a picture: the whole run, then a closer look at
// each mark. Bars are slices of 10 ms; answered requests point up, failed ones
// down. The picture stands alone and suits light and dark pages.
func (t Timeline) SVG(title string) string {
	height := headHeight + wholeHeight + panelGap + len(t.Marks)*(panelHeight+panelGap)
	p := &picture{}
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`, pictureWidth, height)
	p.printf(`<title>%s</title>`, escape(title))
	p.printf(`<style>%s</style>`, pictureStyle)
	p.printf(`<rect class="page" width="%d" height="%d"/>`, pictureWidth, height)
	p.printf(`<text class="title" x="%d" y="26">%s</text>`, margin, escape(title))
	p.printf(`<text class="small" x="%d" y="26" text-anchor="end">up: answered, down: failed, in 10 ms</text>`, pictureWidth-margin)
	if t.To > t.From {
		p.plot(t, headHeight, wholeHeight, true)
		y := headHeight + wholeHeight + panelGap
		for i, m := range t.Marks {
			p.printf(`<text x="%d" y="%d">%d. %s</text>`, margin, y-8, i+1, escape(m.Label))
			near := Timeline{Samples: t.Samples, Marks: []Mark{m}, From: m.At - panelBefore, To: m.At + panelAfter}
			p.plot(near, y, panelHeight, false)
			y += panelHeight + panelGap
		}
	}
	p.printf(`</svg>`)
	return p.String()
}

type picture struct{ strings.Builder }

func (p *picture) printf(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

// plot draws the bars, the marks and the axis of t, with its top at y.
func (p *picture) plot(t Timeline, y, height int, numbered bool) {
	sliced := buckets(t.Samples, t.From, t.To, max(1, int((t.To-t.From)/slice)))
	// The height is for half as many again as are usual: what a client that
	// stalled sends at once must not flatten all the rest.
	all := 0
	for _, b := range sliced {
		all += b.answered + b.failed
	}
	most := max(1, 1.5*float64(all)/float64(len(sliced)))
	zero := float64(y) + float64(height)*0.75 // a quarter is left for the failures
	good := bars(sliced, zero, -float64(height)*0.75, func(b bucket) float64 { return min(1, float64(b.answered)/most) })
	bad := bars(sliced, zero, float64(height)*0.25, func(b bucket) float64 {
		if b.failed == 0 {
			return 0
		}
		return max(0.3, min(1, float64(b.failed)/most)) // a single one must not escape the eye
	})
	p.printf(`<path class="good" d="%s"/>`, good)
	p.printf(`<path class="bad" d="%s"/>`, bad)
	p.printf(`<path class="axis" d="M%d %.1fh%d"/>`, margin, zero, plotWidth)
	for i, m := range t.Marks {
		x := t.x(m.At)
		p.printf(`<path class="mark" d="M%.1f %dv%d"/>`, x, y-4, height+8)
		if numbered {
			p.printf(`<text x="%.1f" y="%d" text-anchor="middle">%d</text>`, x, y-8, i+1)
		}
	}
	p.axis(t, y+height+16)
}

// axis labels the beginning, the end and the seconds or tenths between, in
// milliseconds from the mark where there is only one.
func (p *picture) axis(t Timeline, y int) {
	step, origin, unit := 5*time.Second, t.From, time.Second
	if t.To-t.From <= 15*time.Second {
		step = time.Second
	}
	if t.To-t.From <= panelBefore+panelAfter {
		step, origin, unit = 200*time.Millisecond, t.From+panelBefore, time.Millisecond
	}
	name := map[time.Duration]string{time.Second: "s", time.Millisecond: "ms"}[unit]
	for at := t.From; at <= t.To; at += step {
		p.printf(`<text class="small" x="%.1f" y="%d" text-anchor="middle">%d %s</text>`, t.x(at), y, (at-origin)/unit, name)
	}
}

// x is where a time lies on the picture.
func (t Timeline) x(at time.Duration) float64 {
	return margin + plotWidth*float64(at-t.From)/float64(t.To-t.From)
}

// bars draws one rectangle a slice, from zero by its share of height, and joins
// neighbours of one share.
func bars(sliced []bucket, zero, height float64, share func(bucket) float64) string {
	width := float64(plotWidth) / float64(len(sliced))
	var path strings.Builder
	for i := 0; i < len(sliced); {
		n, first := share(sliced[i]), i
		for i < len(sliced) && share(sliced[i]) == n {
			i++
		}
		if n > 0 {
			fmt.Fprintf(&path, "M%.2f %.1fv%.1fh%.2fv%.1fz", margin+width*float64(first), zero,
				height*n, width*float64(i-first), -height*n)
		}
	}
	return path.String()
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
