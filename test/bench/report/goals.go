package report

import (
	"fmt"
	"strings"
)

// goal is a figure with its limit.
type goal struct {
	text    string
	limit   float64
	atMost  bool   // the limit is the largest that is good, else the smallest
	unit    string // behind the figures
	measure func(*Run) (spread, bool)
}

// goals are the figures that the project set itself before it had any.
func goals() []goal {
	const mb = 1e6
	caller, c16, c64, c256 := Load{Callers: 1}, Load{Callers: 16}, Load{Callers: 64}, Load{Callers: 256}
	r1000 := Load{Rate: 1000}
	return []goal{
		{"first answer after the start, the broker being up", 25, true, " ms", coldOf(Ours)},
		{"in-process broker, 1 caller: p50", 0.2, true, " ms", valueOf(InProcess, caller, p50)},
		{"in-process broker, 64 callers: share of net/http alone's requests/s", 0.60, false, "", ratioOf(InProcess, c64, Ours, Bare, perSecond)},
		{"in-process broker, 256 callers: share of the same", 0.65, false, "", ratioOf(InProcess, c256, Ours, Bare, perSecond)},
		{"in-process broker, 64 callers: p99", 10, true, " ms", valueOf(InProcess, c64, p99)},
		{"in-process broker, 256 callers: p99", 15, true, " ms", valueOf(InProcess, c256, p99)},
		{"in-process broker, 16 callers: requests/s by franz-go's", 1.2, false, " ×", ratioOf(InProcess, c16, Ours, Franz, perSecond)},
		{"in-process broker, 64 callers: the same", 1.2, false, " ×", ratioOf(InProcess, c64, Ours, Franz, perSecond)},
		{"in-process broker, 256 callers: the same", 1.2, false, " ×", ratioOf(InProcess, c256, Ours, Franz, perSecond)},
		{"Apache Kafka, 16 callers: requests/s by franz-go's", 1.2, false, " ×", ratioOf(Apache, c16, Ours, Franz, perSecond)},
		{"Apache Kafka, 64 callers: the same", 1.2, false, " ×", ratioOf(Apache, c64, Ours, Franz, perSecond)},
		{"Apache Kafka, 256 callers: the same", 1.2, false, " ×", ratioOf(Apache, c256, Ours, Franz, perSecond)},
		{"5 ms broker, 1000/s: p50", 6.5, true, " ms", valueOf(Delayed, r1000, p50)},
		{"5 ms broker, 1000/s: p99", 9, true, " ms", valueOf(Delayed, r1000, p99)},
		{"telemetry on: processor time by that without, 64 callers", 1.3, true, " ×", ratioOf(InProcess, c64, Telemetry, Ours, cpu)},
		{"telemetry on: the same, 5 ms broker, 1000/s", 1.3, true, " ×", ratioOf(Delayed, r1000, Telemetry, Ours, cpu)},
		{"telemetry on: share of the items that arrive", 1, false, "", arrived},
		{"peak memory, up to 256 callers", 40, true, " MiB", peakOf(Ours)},
		{"size of the program", 20, true, " MB", func(r *Run) (spread, bool) {
			return spreadOf(known(float64(r.Binary) / mb))
		}},
	}
}

func known(v float64) []float64 {
	if v <= 0 {
		return nil
	}
	return []float64{v}
}

func valueOf(id StageID, l Load, f metric) func(*Run) (spread, bool) {
	return func(r *Run) (spread, bool) { return r.stage(id).cell(l).of(Ours, f) }
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

func (r *Run) goalTable() table {
	t := table{head: []string{"goal", "limit", "measured", "reached"}, left: 4}
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
		t.add(g.text, bound+number(g.limit)+g.unit, measured, verdict)
	}
	for _, name := range []Relay{Dead, Hanging} {
		t.add(r.noSlower(name)...)
	}
	t.add(r.neverBehind()...)
	return t
}

// noSlower is the goal that telemetry whose endpoint does not take it costs no request time.
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

// neverBehind is the goal that no cell's p50 is behind franz-go's.
func (r *Run) neverBehind() []string {
	var behind []string
	measured := 0
	for _, st := range r.Stages {
		for i := range st.Cells {
			s, ok := st.Cells[i].ratio(Ours, Franz, p50)
			if !ok {
				continue
			}
			measured++
			if s.stand() == above {
				behind = append(behind, fmt.Sprintf("%s, %s: %s", st.Title, st.Cells[i].Load, s))
			}
		}
	}
	row := []string{"p50 by franz-go's, in every cell", "not behind", fmt.Sprintf("behind in %d of %d", len(behind), measured)}
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
