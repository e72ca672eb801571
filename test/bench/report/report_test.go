package report_test

import (
	"strings"
	"testing"
	"time"

	"userrelay/test/bench/report"
)

// sample is a small run in which everything was measured, over three rounds that differ.
func sample() *report.Run {
	stage := func(id report.StageID, title string, loads ...report.Load) report.Stage {
		relays := []report.Relay{report.Bare, report.Telemetry, report.Ours, report.Franz}
		st := report.Stage{ID: id, Title: title, Relays: relays, Sums: map[report.Relay]report.Sum{
			report.Bare:      {OK: 100, Records: -1, Items: -1, Peak: 10},
			report.Telemetry: {OK: 100, Records: 100, Items: 300, Peak: 135},
			report.Ours:      {OK: 100, Records: 100, Items: -1, Peak: 30},
			report.Franz:     {OK: 100, Records: 101, Items: -1, Peak: 20},
		}}
		for _, l := range loads {
			c := report.Cell{Load: l}
			f := min(float64(l.Callers), 1) // no requests/s for a rate
			for _, ours := range []float64{14_000, 15_000, 16_000} {
				c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{
					report.Bare:      {report.PerSecond: f * 20_000, report.P50: 0.1, report.P99: 2, report.CPU: 10},
					report.Telemetry: {report.PerSecond: f * 12_000, report.P50: 2, report.P99: 5, report.CPU: 24},
					report.Ours:      {report.PerSecond: f * ours, report.P50: 2, report.P99: 5, report.CPU: 20},
					report.Franz:     {report.PerSecond: f * 10_000, report.P50: 3, report.P99: 5, report.CPU: 25},
				})
			}
			st.Cells = append(st.Cells, c)
		}
		return st
	}
	cold := report.Stage{ID: report.Cold, Title: "Start", Relays: []report.Relay{report.Bare, report.Ours}, Cells: []report.Cell{{}}}
	for _, ms := range []float64{20, 30, 22} {
		round := map[report.Relay]report.Measure{report.Bare: {report.First: 20}, report.Ours: {report.First: ms}}
		cold.Cells[0].Rounds = append(cold.Cells[0].Rounds, round)
	}
	return &report.Run{
		Date: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Command: "go run ./test/bench", Binary: 12_345_678,
		Stages: []report.Stage{
			stage(report.InProcess, "In-process broker", report.Load{Callers: 64}, report.Load{Callers: 64, Gzip: true}),
			stage(report.Delayed, "5 ms broker", report.Load{Rate: 200}),
			stage(report.Apache, "Apache Kafka", report.Load{Callers: 1}, report.Load{Callers: 64}),
			cold,
		},
	}
}

// TestPage looks for a row of each kind.
func TestPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		run   *report.Run
		wants []string
	}{
		{sample(), []string{
			"* Date: 24 November 2026\n",
			"`go run ./test/bench`",
			"| telemetry on, 64 callers: processor time by off | ≤ 1.1 × | 1.2 × | **no** |\n",
			"| telemetry on: share of the items that arrive | ≥ 1 | 1 | yes |\n",
			"| Apache Kafka, 64 callers: the same | ≥ 1.15 × | 1.5 (1.4–1.6) × | yes |\n",
			"| first answer after the start, the broker being up: by net/http alone's | ≤ 1.15 × | 1.1 (1–1.5) × | yes, not in every round |\n",
			"| peak memory with telemetry, up to 256 callers | ≤ 96 MiB | 135 MiB | **no** |\n",
			"| size of the program | ≤ 16 MB | 12.3 MB | yes |\n",
			"| requests/s by franz-go's, in every cell | not behind | behind in 0 of 4 | yes |\n",
			"| p50 by franz-go's, in every cell | not behind | behind in 0 of 5 | yes |\n",
			"| In-process broker | requests/s | p50 | p99 | processor time |\n| --- | ---: | ---: | ---: | ---: |\n| 64 callers | 1.5 (1.4–1.6) ahead | 0.667 ahead | 1 tie | 0.8 ahead |\n",
			"| 200/s | – | 0.667 ahead | 1 tie | 0.8 ahead |\n",
			"| 1 caller | 20k | 12k | 15k (14k–16k) | 10k |\n| 64 callers | 20k |",
			"| 64 callers, gzip | 20k |",
			"| start | 20 | 22 (20–30) |\n",
			"| franz-go | Apache Kafka | 100 | 0 | 101 | – | 20 |\n",
		}},
		{&report.Run{}, []string{
			"| Apache Kafka, 64 callers: the same | ≥ 1.15 × | – | not measured |\n",
			"| p50 by franz-go's, in every cell | not behind | – | not measured |\n",
		}},
	} {
		page := c.run.Page().String()
		for _, want := range c.wants {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in\n%s", want, page)
			}
		}
	}
}

// TestStandings is the rule by which one relay is ahead of another.
func TestStandings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ratios []float64 // of requests/s
		want   string
		goal   string // behind in no cell
	}{
		"clear":               {[]float64{1.2, 1.3, 1.4}, "1.3 (1.2–1.4) ahead", "behind in 0 of 1 | yes"},
		"clearly behind":      {[]float64{0.7, 0.8, 0.9}, "0.8 (0.7–0.9) behind", "behind in 1 of 1 (b, 64 callers: 0.8 (0.7–0.9)) | **no**"},
		"near":                {[]float64{1.03, 1.04, 1.05}, "1.04 (1.03–1.05) tie", "behind in 0 of 1 | yes"},
		"the rounds disagree": {[]float64{0.8, 1.5, 1.6}, "1.5 (0.8–1.6) tie", "behind in 0 of 1 | yes"},
		"most rounds agree":   {[]float64{0.9, 1.2, 1.3, 1.4}, "1.25 (0.9–1.4) ahead", "behind in 0 of 1 | yes"},
		"one round":           {[]float64{0.5}, "0.5 behind", "behind in 1 of 1 (b, 64 callers: 0.5) | **no**"},
	} {
		cell := report.Cell{Load: report.Load{Callers: 64}}
		for _, ratio := range c.ratios {
			cell.Rounds = append(cell.Rounds, map[report.Relay]report.Measure{
				report.Ours: {report.PerSecond: 1000 * ratio, report.P50: 1, report.P99: 1}, report.Franz: {report.PerSecond: 1000, report.P50: 1, report.P99: 1},
			})
		}
		page := (&report.Run{Stages: []report.Stage{{Title: "b", Cells: []report.Cell{cell}}}}).Page().String()
		for _, want := range []string{"| 64 callers | " + c.want + " | 1 tie | 1 tie | – |\n", "| requests/s by franz-go's, in every cell | not behind | " + c.goal + " |\n"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q in\n%s", name, want, page)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sum  report.Sum
		want string // "" for no error
	}{
		{report.Sum{OK: 10, Records: 10}, ""},
		{report.Sum{OK: 10, Records: 12}, ""}, // copies
		{report.Sum{OK: 10, Records: -1}, ""}, // it stores nothing
		{report.Sum{OK: 10, Records: 9}, "Broker, franz-go: 10 answers 200, and 9 records in the topic"},
		{report.Sum{OK: 10, Failed: 2, Records: 10}, "Broker, franz-go: 2 of 12 answers were not 200"},
	} {
		r := report.Run{Stages: []report.Stage{{Title: "Broker", Sums: map[report.Relay]report.Sum{report.Franz: c.sum}}}}
		if err := r.Check(); (err != nil || c.want != "") && (err == nil || err.Error() != c.want) {
			t.Errorf("%+v: %v, want %q", c.sum, err, c.want)
		}
	}
}
