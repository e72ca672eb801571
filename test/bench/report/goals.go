package report

import (
	"fmt"
	"strings"

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
	ratio := func(id StageID, l Load, a, b Relay, f metric) func(*Run) (spread, bool) {
		return func(r *Run) (spread, bool) { return r.ratio(id, l, a, b, f) }
	}
	peak := func(name Relay) func(*Run) (spread, bool) {
		return func(r *Run) (spread, bool) { return r.sums(name, func(s Sum) float64 { return s.Peak }, InProcess) }
	}
	arrived := func(s Sum) float64 { return float64(s.Items) / float64(s.OK*ItemsPerRequest) }
	c16, c64, c256 := Load{Callers: 16}, Load{Callers: 64}, Load{Callers: 256}
	return []goal{
		{"telemetry on, 64 callers: requests/s by off", 0.9, false, " ×", ratio(InProcess, c64, Telemetry, Ours, perSecond())},
		{"telemetry on, 256 callers: the same", 0.9, false, " ×", ratio(InProcess, c256, Telemetry, Ours, perSecond())},
		{"telemetry on, 64 callers: processor time by off", 1.1, true, " ×", ratio(InProcess, c64, Telemetry, Ours, cpu())},
		{"telemetry on, 256 callers: the same", 1.1, true, " ×", ratio(InProcess, c256, Telemetry, Ours, cpu())},
		{"telemetry on: share of the items that arrive", 1, false, "", func(r *Run) (spread, bool) {
			return r.sums(Telemetry, arrived, InProcess, Delayed)
		}},
		{"in-process broker, 16 callers: requests/s by franz-go's", 1.15, false, " ×", ratio(InProcess, c16, Ours, Franz, perSecond())},
		{"in-process broker, 64 callers: the same", 1.15, false, " ×", ratio(InProcess, c64, Ours, Franz, perSecond())},
		{"in-process broker, 256 callers: the same", 1.1, false, " ×", ratio(InProcess, c256, Ours, Franz, perSecond())},
		{"Apache Kafka, 16 callers: requests/s by franz-go's", 1.15, false, " ×", ratio(Apache, c16, Ours, Franz, perSecond())},
		{"Apache Kafka, 64 callers: the same", 1.15, false, " ×", ratio(Apache, c64, Ours, Franz, perSecond())},
		{"Apache Kafka, 256 callers: the same", 1.1, false, " ×", ratio(Apache, c256, Ours, Franz, perSecond())},
		{"first answer after the start, the broker being up: by net/http alone's", 1.15, true, " ×", ratio(Cold, Load{}, Ours, Bare, first())},
		{"peak memory, up to 256 callers", 64, true, " MiB", peak(Ours)},
		{"peak memory with telemetry, up to 256 callers", 96, true, " MiB", peak(Telemetry)},
		{"size of the program", 16, true, " MB", func(r *Run) (spread, bool) { return spreadOf([]float64{float64(r.Binary) / 1e6}) }},
	}
}

// verdict says whether the goal is reached, by the median, and whether all rounds agree.
func (g *goal) verdict(s spread) string {
	good := func(v float64) bool { return v == g.limit || (v < g.limit) == g.atMost }
	switch {
	case good(s.low) && good(s.high):
		return "yes"
	case good(s.median):
		return "yes, not in every round"
	case !good(s.low) && !good(s.high):
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
		measured, verdict := "–", "not measured"
		if s, ok := g.measure(r); ok {
			measured, verdict = s.String()+g.unit, g.verdict(s)
		}
		t.Row(g.text, bound+number(g.limit)+g.unit, measured, verdict)
	}
	for _, f := range []metric{perSecond(), p50(), p99(), cpu()} {
		t.Row(r.neverBehind(f)...)
	}
	return t
}

// neverBehind is the goal that a figure is not worse than franz-go's in any cell.
func (r *Run) neverBehind(f metric) []string {
	var behind []string
	cells := 0
	for _, st := range r.Stages {
		for _, c := range st.Cells {
			s, ok := c.ratio(Ours, Franz, f)
			if !ok {
				continue
			}
			cells++
			if s.stand(f.more) == "behind" {
				behind = append(behind, fmt.Sprintf("%s, %s: %s", st.Title, c.Load, s))
			}
		}
	}
	measured, verdict := fmt.Sprintf("behind in %d of %d", len(behind), cells), "yes"
	switch {
	case cells == 0:
		measured, verdict = "–", "not measured"
	case len(behind) > 0:
		measured, verdict = measured+" ("+strings.Join(behind, "; ")+")", "**no**"
	}
	return []string{f.short() + " by franz-go's, in every cell", "not behind", measured, verdict}
}
