// Package chart draws lines as pictures that stand alone and suit light and dark pages.
// It is pure: values in, text out.
package chart

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// A Chart is some lines over one axis.
type Chart struct {
	Title      string
	X, Y       string // what the axes mean
	LogX, LogY bool   // their scales; of such an axis, points that are not above 0 are left out
	Lines      []Line
	Marks      []Mark
	Limit      float64 // a line across, at this height; 0: none
}

// A Line joins its points in their order. There are four colors. One without a name is
// the same as another, that has one.
type Line struct {
	Name   string
	Color  int
	Dashed bool
	Bare   bool // without its points
	Points []Point
}

// A Point is a value. A hollow one is drawn so.
type Point struct {
	X, Y   float64
	Hollow bool
}

// A Mark is something that happened at a place of the axis.
type Mark struct {
	X     float64
	Color int
}

// The measures of a chart, in pixels of the picture's own coordinates.
const (
	width, height               = 500, 300
	left, right, above, beneath = 62, 14, 52, 44
	titleHeight                 = 40
)

const style = `
  .page { fill: #ffffff; }
  .axis { stroke: #8c959f; stroke-width: 1; fill: none; }
  .grid { stroke: #d0d7de; stroke-width: 0.5; fill: none; }
  .limit { stroke: #cf222e; stroke-width: 1; fill: none; stroke-dasharray: 2 3; }
  .line { stroke-width: 1.8; fill: none; }
  .dashed { stroke-dasharray: 5 4; }
  .c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #2da44e; } .c3 { stroke: #8250df; }
  .f0 { fill: #0969da; } .f1 { fill: #bc4c00; } .f2 { fill: #2da44e; } .f3 { fill: #8250df; }
  .hollow { stroke-width: 1.5; fill: #ffffff; }
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 17px; font-weight: 600; }
  .name { font-weight: 600; }
  .small { font-size: 11px; fill: #6e7781; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    .axis { stroke: #7d8590; }
    .grid { stroke: #30363d; }
    .limit { stroke: #f85149; }
    .c0 { stroke: #58a6ff; } .c1 { stroke: #f0883e; } .c2 { stroke: #3fb950; } .c3 { stroke: #bc8cff; }
    .f0 { fill: #58a6ff; } .f1 { fill: #f0883e; } .f2 { fill: #3fb950; } .f3 { fill: #bc8cff; }
    .hollow { fill: #0d1117; }
    text { fill: #e6edf3; }
    .small { fill: #7d8590; }
  }
`

type picture struct{ strings.Builder }

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// SVG draws the charts in so many columns under a title.
func SVG(title string, charts []Chart, columns int) string {
	rows := (len(charts) + columns - 1) / columns
	p := &picture{}
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`, width*columns, titleHeight+height*rows)
	p.printf(`<title>%s</title>`, escape(title))
	p.printf(`<style>%s</style>`, style)
	p.printf(`<rect class="page" width="%d" height="%d"/>`, width*columns, titleHeight+height*rows)
	p.printf(`<text class="title" x="20" y="26">%s</text>`, escape(title))
	for i, c := range charts {
		p.printf(`<g transform="translate(%d %d)">`, width*(i%columns), titleHeight+height*(i/columns))
		c.draw(p)
		p.printf(`</g>`)
	}
	p.printf(`</svg>`)
	return p.String()
}

func (c Chart) draw(p *picture) {
	x, y := c.scales()
	p.printf(`<text class="name" x="%d" y="18">%s</text>`, left, escape(c.Title))
	at := left
	for _, l := range c.Lines {
		if l.Name == "" {
			continue
		}
		p.printf(`<path class="%s" d="M%d 32h18"/><text class="small" x="%d" y="36">%s</text>`, l.class(), at, at+22, escape(l.Name))
		at += 36 + 6*len(l.Name)
	}
	for _, v := range y.ticks() {
		p.printf(`<path class="grid" d="M%d %.1fH%d"/><text class="small" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, y.at(v), width-right, left-6, y.at(v)+4, number(v))
	}
	for _, v := range x.ticks() {
		p.printf(`<path class="axis" d="M%.1f %dv4"/><text class="small" x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			x.at(v), height-beneath, x.at(v), height-beneath+17, number(v))
	}
	p.printf(`<path class="axis" d="M%d %dV%dH%d"/>`, left, above, height-beneath, width-right)
	p.printf(`<text class="small" x="%d" y="%d" text-anchor="end">%s</text>`, width-right, height-8, escape(c.X))
	p.printf(`<text class="small" x="%d" y="%d">%s</text>`, 4, above-6, escape(c.Y))
	for _, m := range c.Marks {
		p.printf(`<path class="c%d" d="M%.1f %dv6"/>`, m.Color, x.at(m.X), height-beneath-6)
	}
	if c.Limit > 0 && c.Limit >= y.low && c.Limit <= y.high {
		p.printf(`<path class="limit" d="M%d %.1fH%d"/>`, left, y.at(c.Limit), width-right)
	}
	for _, l := range c.Lines {
		l.draw(p, x, y)
	}
}

// class is that of the path of a line, in the chart and beside its name.
func (l Line) class() string {
	if l.Dashed {
		return fmt.Sprintf("line c%d dashed", l.Color)
	}
	return fmt.Sprintf("line c%d", l.Color)
}

func (l Line) draw(p *picture, x, y scale) {
	path := ""
	for _, v := range l.Points {
		if !x.shows(v.X) || !y.shows(v.Y) {
			continue
		}
		verb := "L"
		if path == "" {
			verb = "M"
		}
		path += fmt.Sprintf("%s%.1f %.1f", verb, x.at(v.X), y.at(v.Y))
	}
	if path == "" {
		return
	}
	p.printf(`<path class="%s" d="%s"/>`, l.class(), path)
	for _, v := range l.Points {
		if l.Bare || !x.shows(v.X) || !y.shows(v.Y) {
			continue
		}
		class := fmt.Sprintf("f%d", l.Color)
		if v.Hollow {
			class = fmt.Sprintf("hollow c%d", l.Color)
		}
		p.printf(`<circle class="%s" cx="%.1f" cy="%.1f" r="3"/>`, class, x.at(v.X), y.at(v.Y))
	}
}

// A scale maps values to pixels.
type scale struct {
	low, high float64 // values at the ends
	from, to  float64 // pixels there
	log       bool
}

// scales returns those of both axes, which show all points.
func (c Chart) scales() (x, y scale) {
	x = scale{low: math.Inf(1), high: math.Inf(-1), from: left, to: width - right, log: c.LogX}
	y = scale{low: math.Inf(1), high: math.Inf(-1), from: height - beneath, to: above, log: c.LogY}
	for _, l := range c.Lines {
		for _, v := range l.Points {
			x.see(v.X)
			y.see(v.Y)
		}
	}
	if c.Limit > 0 {
		y.see(c.Limit)
	}
	x.settle()
	if !y.log {
		y.low = min(y.low, 0)
		y.high *= 1.05
	}
	y.settle()
	return x, y
}

func (s scale) shows(v float64) bool { return !s.log || v > 0 }

func (s *scale) see(v float64) {
	if s.shows(v) {
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
}

// settle makes an axis of some length out of whatever was seen.
func (s *scale) settle() {
	if s.low > s.high {
		s.low, s.high = 1, 2
	}
	if s.low == s.high {
		s.high = s.low + max(1, math.Abs(s.low))
	}
}

func (s scale) at(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log {
		share = math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return s.from + share*(s.to-s.from)
}

// ticks returns round values along the axis.
func (s scale) ticks() (all []float64) {
	if s.log && s.high/s.low > 3 {
		for power := math.Pow(10, math.Floor(math.Log10(s.low))); power <= s.high; power *= 10 {
			for _, m := range []float64{1, 2, 5} {
				if v := m * power; v >= s.low && v <= s.high && (m == 1 || s.high/s.low < 200) {
					all = append(all, v)
				}
			}
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10((s.high-s.low)/4)))
	for _, m := range []float64{5, 2} {
		if (s.high-s.low)/(step*m) >= 3 {
			step *= m
			break
		}
	}
	for v := math.Ceil(s.low/step) * step; v <= s.high; v += step {
		all = append(all, v)
	}
	return all
}

// number writes a value of an axis.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
