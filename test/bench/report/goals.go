package report

import (
	"fmt"
	"strings"
	"time"

	"userrelay/test/markdown"
)

// goal is a figure with its limit.
type goal struct {
	text    string
	limit   float64
	atMost  bool   // the limit is the largest that is good, else the smallest
	unit    string // behind the figures
	measure func(*Run) (spread, bool)
}

// goals are the project's performance goals. "Off" and "on" refer to telemetry. There is no goal for the share of bare
// net/http: load, relay and broker share the machine, so the share shows the cost of all three and not the quality of
// the relay.
func goals() []goal {
	const mb = 1e6
	c16, c64, c256 := Load{Callers: 16}, Load{Callers: 64}, Load{Callers: 256}
	all := []goal{
		{"telemetry on, 64 callers: requests/s by off", 0.9, false, " ×", ratioOf(InProcess, c64, Telemetry, Ours, perSecond)},
		{"telemetry on, 256 callers: the same", 0.9, false, " ×", ratioOf(InProcess, c256, Telemetry, Ours, perSecond)},
		{"telemetry on, 64 callers: processor time by off", 1.1, true, " ×", ratioOf(InProcess, c64, Telemetry, Ours, cpu)},
		{"telemetry on, 256 callers: the same", 1.1, true, " ×", ratioOf(InProcess, c256, Telemetry, Ours, cpu)},
		{"telemetry on: share of the items that arrive", 1, false, "", arrived},
	}
	for _, broker := range []struct {
		id   StageID
		name string
	}{{InProcess, "in-process broker"}, {Apache, "Apache Kafka"}} {
		all = append(all,
			goal{broker.name + ", 16 callers: requests/s by franz-go's", 1.15, false, " ×", ratioOf(broker.id, c16, Ours, Franz, perSecond)},
			goal{broker.name + ", 64 callers: the same", 1.15, false, " ×", ratioOf(broker.id, c64, Ours, Franz, perSecond)},
			goal{broker.name + ", 256 callers: the same", 1.1, false, " ×", ratioOf(broker.id, c256, Ours, Franz, perSecond)},
		)
	}
	return append(all,
		goal{"first answer after the start, the broker being up: by net/http alone's", 1.15, true, " ×", coldRatio(Ours, Bare)},
		goal{"peak memory, up to 256 callers", 64, true, " MiB", peakOf(Ours)},
		goal{"peak memory with telemetry, up to 256 callers", 96, true, " MiB", peakOf(Telemetry)},
		goal{"size of the program", 16, true, " MB", func(r *Run) (spread, bool) {
			return spreadOf(known(float64(r.Binary) / mb))
		}},
	)
}

func known(v float64) []float64 {
	if v <= 0 {
		return nil
	}
	return []float64{v}
}

func ratioOf(id StageID, l Load, a, b Relay, f metric) func(*Run) (spread, bool) {
	return func(r *Run) (spread, bool) { return r.stage(id).cell(l).ratio(a, b, f) }
}

func coldOf(name Relay) func(*Run) (spread, bool) {
	return func(r *Run) (spread, bool) {
		var values []float64
		for _, c := range r.Cold {
			for _, d := range c.Times {
				if c.Relay == name {
					values = append(values, milliseconds(d))
				}
			}
		}
		return spreadOf(values)
	}
}

// coldRatio is the ratio of the times to the first answer of two relays, start by start.
func coldRatio(a, b Relay) func(*Run) (spread, bool) {
	return func(r *Run) (spread, bool) {
		times := map[Relay][]time.Duration{}
		for _, c := range r.Cold {
			times[c.Relay] = c.Times
		}
		var values []float64
		for i := range min(len(times[a]), len(times[b])) {
			values = append(values, float64(times[a][i])/float64(times[b][i]))
		}
		return spreadOf(values)
	}
}

// peakOf is the peak memory in MiB.
func peakOf(name Relay) func(*Run) (spread, bool) {
	const mib = 1 << 20
	return func(r *Run) (spread, bool) {
		s := r.stage(InProcess).sum(name)
		if s == nil {
			return spread{}, false
		}
		return spreadOf(known(float64(s.Peak) / mib))
	}
}

// arrived is the share of telemetry items that arrived, in each stage.
func arrived(r *Run) (spread, bool) {
	var values []float64
	for _, id := range []StageID{InProcess, Delayed} {
		if s := r.stage(id).sum(Telemetry); s != nil && s.OK > 0 {
			values = append(values, float64(s.Items)/float64(s.OK*ItemsPerRequest))
		}
	}
	return spreadOf(values)
}

// verdict says whether the goal is reached, by the median, and whether all rounds agree.
func (g *goal) verdict(s spread) string {
	good := func(v float64) bool {
		if g.atMost {
			return v <= g.limit
		}
		return v >= g.limit
	}
	all := good(s.low) && good(s.high)
	none := !good(s.low) && !good(s.high)
	switch {
	case good(s.median) && all:
		return "yes"
	case good(s.median):
		return "yes, not in every round"
	case none:
		return "**no**"
	default:
		return "**no**, in some rounds only"
	}
}

func (r *Run) goalTable() *markdown.Table {
	t := new(markdown.Table).Text("goal", "limit", "measured", "reached")
	for _, g := range goals() {
		bound := "≥ "
		if g.atMost {
			bound = "≤ "
		}
		s, ok := g.measure(r)
		measured, verdict := "–", "not measured"
		if ok {
			measured, verdict = s.String()+g.unit, g.verdict(s)
		}
		t.Row(g.text, bound+number(g.limit)+g.unit, measured, verdict)
	}
	for _, name := range []Relay{Dead, Hanging} {
		t.Row(r.noSlower(name)...)
	}
	for _, c := range comparisons() {
		t.Row(r.neverBehind(c)...)
	}
	return t
}

// noSlower is the goal that an unavailable telemetry endpoint does not slow down requests.
func (r *Run) noSlower(name Relay) []string {
	row := []string{fmt.Sprintf("%s: p50 by that of one that answers", name), "not behind"}
	st := r.stage(Endpoint)
	if st == nil {
		return append(row, "–", "not measured")
	}
	var measured []string
	verdict := "yes"
	for i := range st.Cells {
		s, ok := st.Cells[i].ratio(name, Telemetry, p50)
		if !ok {
			continue
		}
		measured = append(measured, fmt.Sprintf("%s × at %s", s, st.Cells[i].Load))
		if s.stand() == above {
			verdict = "**no**"
		}
	}
	return append(row, strings.Join(measured, "; "), verdict)
}

// neverBehind is the goal that a figure is not worse than franz-go's in any cell.
func (r *Run) neverBehind(c comparison) []string {
	var behind []string
	measured := 0
	for _, st := range r.Stages {
		for i := range st.Cells {
			s, ok := st.Cells[i].ratio(Ours, Franz, c.of)
			if !ok || c.closedOnly && !closed(st.Cells[i].Load) {
				continue
			}
			measured++
			if at := s.stand(); at != tie && at != c.better {
				behind = append(behind, fmt.Sprintf("%s, %s: %s", st.Title, st.Cells[i].Load, s))
			}
		}
	}
	row := []string{c.name + " by franz-go's, in every cell", "not behind", fmt.Sprintf("behind in %d of %d", len(behind), measured)}
	switch {
	case measured == 0:
		return append(row[:2], "–", "not measured")
	case len(behind) > 0:
		row[2] += " (" + strings.Join(behind, "; ") + ")"
		return append(row, "**no**")
	default:
		return append(row, "yes")
	}
}
