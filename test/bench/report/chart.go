package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Sizes in the chart, in its own units.
const (
	chartWidth  = 960
	panelHeight = 330
	marginLeft  = 70
	marginRight = 20
	panelTop    = 60 // above the bars of a panel
	panelBottom = 56 // below them
	legendTop   = 44
	legendRow   = 44
	maxBar      = 44 // wide, gap included
	barGap      = 3
	ticks       = 5
)

// panel is one chart of bars in groups.
type panel struct {
	title, yAxis, xAxis string
	groups              []group
}

type group struct {
	label string
	bars  []bar
}

// bar is a relay's figure with a line from low to high.
type bar struct {
	name             Relay
	value, low, high float64
}

// shown are the relays on the chart, with their class in its style sheet. The Writer's defaults are in the tables only:
// beside them nothing else could be read.
func shown() []Relay { return []Relay{Bare, Ours, Telemetry, Franz, Tuned} }

func class(name Relay) string {
	for i, n := range shown() {
		if n == name {
			return fmt.Sprintf("s%d", i)
		}
	}
	return ""
}

// style serves light and dark pages alike. The colours are told apart by colour-blind people, too (Okabe and Ito).
const style = `
  .page { fill: #ffffff } .t { fill: #1f2328 } .m { fill: #59636e } .g { stroke: #d1d9e0 } .w { stroke: #1f2328 }
  .s0 { fill: #8c959f } .s1 { fill: #0072b2 } .s2 { fill: #56b4e9 } .s3 { fill: #d55e00 } .s4 { fill: #e69f00 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .t { fill: #f0f6fc } .m { fill: #9198a1 } .g { stroke: #3d444d } .w { stroke: #f0f6fc }
    .s0 { fill: #6e7681 } .s1 { fill: #3391d1 } .s2 { fill: #7cc7f2 } .s3 { fill: #e8743b } .s4 { fill: #e6ab32 }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif }
  .h { font-size: 16px; font-weight: 600 } .v { font-size: 10px } .g, .w { stroke-width: 1 }
`

// SVG writes the chart. It says false, and writes nothing, where there is nothing to draw.
func (r *Run) SVG(w io.Writer) (drawn bool, err error) {
	var panels []panel
	for _, p := range []panel{
		r.panel(InProcess, perSecond, panel{yAxis: "requests per second", xAxis: "callers, each waits for its answer"}, closed),
		r.panel(Apache, perSecond, panel{yAxis: "requests per second", xAxis: "callers, each waits for its answer"}, closed),
		r.panel(Delayed, p50, panel{yAxis: "p50, ms, from when a request was due", xAxis: "requests per second"}, everyLoad),
		r.panel(Delayed, p99, panel{yAxis: "p99, ms, from when a request was due", xAxis: "requests per second"}, everyLoad),
	} {
		if len(p.groups) > 0 {
			panels = append(panels, p)
		}
	}
	if len(panels) == 0 {
		return false, nil
	}
	d := &drawing{}
	height := legendTop + legendRow + len(panels)*panelHeight
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`, chartWidth, height)
	d.printf(`<title id="title">Benchmark of userrelay and other relays</title>`)
	d.printf(`<desc id="desc">%s</desc>`, escaped(describe(panels)))
	d.printf(`<style>%s</style>`, style)
	d.printf(`<rect class="page" width="%d" height="%d"/>`, chartWidth, height)
	d.legend()
	for i, p := range panels {
		d.panel(p, float64(legendTop+legendRow+i*panelHeight))
	}
	d.printf(`</svg>`)
	_, err = io.WriteString(w, d.b.String())
	return true, err
}

// panel fills in the groups of a panel: those loads without gzip for which something was measured.
func (r *Run) panel(id StageID, f metric, p panel, keep func(Load) bool) panel {
	st := r.stage(id)
	if st == nil {
		return p
	}
	p.title = st.Title
	for i := range st.Cells {
		l := st.Cells[i].Load
		if l.Gzip || !keep(l) {
			continue
		}
		g := group{label: strconv.Itoa(max(l.Callers, l.Rate))}
		for _, name := range shown() {
			if s, ok := st.Cells[i].of(name, f); ok {
				g.bars = append(g.bars, bar{name, s.median, s.low, s.high})
			}
		}
		if len(g.bars) > 0 {
			p.groups = append(p.groups, g)
		}
	}
	return p
}

// describe is the chart for those who do not see it.
func describe(panels []panel) string {
	var b strings.Builder
	for _, p := range panels {
		fmt.Fprintf(&b, "%s, %s by %s. ", p.title, p.yAxis, p.xAxis)
		for _, g := range p.groups {
			fmt.Fprintf(&b, "%s:", g.label)
			for _, bar := range g.bars {
				fmt.Fprintf(&b, " %s %s;", bar.name, number(bar.value))
			}
			b.WriteString(" ")
		}
	}
	return strings.TrimSpace(b.String())
}

// drawing is an SVG image in the making.
type drawing struct{ b strings.Builder }

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

func (d *drawing) label(x, y float64, anchor, class, text string) {
	d.printf(`<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`, x, y, anchor, class, escaped(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	d.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

func (d *drawing) legend() {
	d.label(marginLeft, 26, "start", "t h", "Medians of all rounds; thin lines go from the lowest to the highest")
	x := float64(marginLeft)
	for _, name := range shown() {
		d.printf(`<rect x="%.1f" y="%d" width="14" height="14" rx="2" class="%s"/>`, x, legendTop, class(name))
		d.label(x+20, legendTop+12, "start", "t", string(name))
		x += 38 + 7.2*float64(len(name))
	}
}

func (d *drawing) panel(p panel, top float64) {
	const width = chartWidth - marginLeft - marginRight
	const height = panelHeight - panelTop - panelBottom
	base := top + panelTop + height
	step := tick(p.highest() / ticks)
	limit := step * math.Ceil(p.highest()/step)
	y := func(v float64) float64 { return base - height*v/limit }

	d.label(marginLeft, top+20, "start", "t h", p.title)
	d.label(marginLeft, top+40, "start", "m", p.yAxis)
	d.label(marginLeft+width/2, base+44, "middle", "m", p.xAxis)
	for v := 0.0; v <= limit+step/2; v += step {
		d.line(marginLeft, y(v), marginLeft+width, y(v), "g")
		d.label(marginLeft-8, y(v)+4, "end", "m", number(v))
	}
	groupWidth := float64(width) / float64(len(p.groups))
	barWidth := min(groupWidth*0.9/float64(len(shown())), maxBar)
	for i, g := range p.groups {
		left := marginLeft + groupWidth*(float64(i)+0.5) - barWidth*float64(len(g.bars))/2
		for j, b := range g.bars {
			x := left + barWidth*float64(j)
			mid := x + (barWidth-barGap)/2
			d.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"><title>%s, %s: %s (%s–%s)</title></rect>`,
				x, y(b.value), barWidth-barGap, base-y(b.value), class(b.name),
				escaped(string(b.name)), escaped(g.label), number(b.value), number(b.low), number(b.high))
			d.line(mid, y(b.low), mid, y(b.high), "w")
			d.label(mid, y(b.high)-4, "middle", "t v", number(b.value))
		}
		d.label(left+barWidth*float64(len(g.bars))/2, base+20, "middle", "t", g.label)
	}
}

func (p *panel) highest() float64 {
	most := 0.0
	for _, g := range p.groups {
		for _, b := range g.bars {
			most = max(most, b.high)
		}
	}
	return most
}

// tick returns the smallest of 1, 2, 5, 10, … that is not below v.
func tick(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}
