package report

import (
	"fmt"
	"strings"

	"userrelay/test/markdown"
)

// goal is a figure with its limit.
type goal struct {
	text  string
	sign  string // atLeast or atMost
	limit float64
	unit  string // behind the figures
	found spread
}

const atLeast, atMost = "≥", "≤"

// goals are the project's performance goals. "Off" and "on" refer to telemetry. There is no goal for the share of bare
// net/http: load, relay and broker share the machine, so the share shows the cost of all three and not the quality of
// the relay.
func (r *Run) goals() []goal {
	local, delayed, apache, cold := r.stage(InProcess), r.stage(Delayed), r.stage(Apache), r.stage(Cold)
	on := func(callers int, f Metric) spread { return local.cell(callers).ratio(Telemetry, Ours, f) }
	franz := func(s Stage, callers int) spread { return s.cell(callers).ratio(Ours, Franz, PerSecond) }
	items := func(s Sum) float64 { return ratio(float64(s.Items), float64(s.OK*ItemsPerRequest)) }
	return []goal{
		{"telemetry on, 64 callers: requests/s by off", atLeast, 0.9, " ×", on(64, PerSecond)},
		{"telemetry on, 256 callers: the same", atLeast, 0.9, " ×", on(256, PerSecond)},
		{"telemetry on, 64 callers: processor time by off", atMost, 1.1, " ×", on(64, CPU)},
		{"telemetry on, 256 callers: the same", atMost, 1.1, " ×", on(256, CPU)},
		{"telemetry on: share of the items that arrive", atLeast, 1, "", spreadOf(items(local.Sums[Telemetry]), items(delayed.Sums[Telemetry]))},
		{"in-process broker, 16 callers: requests/s by franz-go's", atLeast, 1.15, " ×", franz(local, 16)},
		{"in-process broker, 64 callers: the same", atLeast, 1.15, " ×", franz(local, 64)},
		{"in-process broker, 256 callers: the same", atLeast, 1.1, " ×", franz(local, 256)},
		{"Apache Kafka, 16 callers: requests/s by franz-go's", atLeast, 1.15, " ×", franz(apache, 16)},
		{"Apache Kafka, 64 callers: the same", atLeast, 1.15, " ×", franz(apache, 64)},
		{"Apache Kafka, 256 callers: the same", atLeast, 1.1, " ×", franz(apache, 256)},
		{"first answer after the start, the broker being up: by net/http alone's", atMost, 1.15, " ×", cold.cell(0).ratio(Ours, Bare, First)},
		{"peak memory, up to 256 callers", atMost, 64, " MiB", spreadOf(local.Sums[Ours].Peak)},
		{"peak memory with telemetry, up to 256 callers", atMost, 96, " MiB", spreadOf(local.Sums[Telemetry].Peak)},
		{"size of the program", atMost, 16, " MB", spreadOf(float64(r.Binary) / 1e6)},
	}
}

// row says whether the goal is reached, by the median, and whether all rounds agree.
func (g *goal) row() []string {
	cells := []string{g.text, g.sign + " " + number(g.limit) + g.unit}
	if len(g.found) == 0 {
		return append(cells, g.found.String(), "not measured")
	}
	missed := func(v float64) bool { return v != g.limit && (v > g.limit) != (g.sign == atLeast) }
	low, high := missed(g.found[0]), missed(g.found[len(g.found)-1])
	verdict := "yes"
	switch {
	case low && high:
		verdict = "**no**"
	case missed(g.found.median()):
		verdict = "**no**, in some rounds only"
	case low || high:
		verdict = "yes, not in every round"
	}
	return append(cells, g.found.String()+g.unit, verdict)
}

// notBehind is the goal that a figure is not worse than franz-go's in any cell, as a row.
func (r *Run) notBehind(f Metric) []string {
	var behind []string
	cells := 0
	for _, st := range r.Stages {
		for _, c := range st.Cells {
			ratio := c.ratio(Ours, Franz, f)
			cells += min(1, len(ratio))
			if ratio.stand(f) == "behind" {
				behind = append(behind, fmt.Sprintf("%s, %s: %s", st.Title, c.Load, ratio))
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
	return []string{f.Short() + " by franz-go's, in every cell", "not behind", measured, verdict}
}

func (r *Run) goalTable() *markdown.Table {
	t := new(markdown.Table).Text("goal", "limit", "measured", "reached")
	for _, g := range r.goals() {
		t.Row(g.row()...)
	}
	for _, f := range Metrics() {
		t.Row(r.notBehind(f)...)
	}
	return t
}
