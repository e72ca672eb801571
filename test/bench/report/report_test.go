package report_test

import (
	"strings"
	"testing"
	"time"

	"userrelay/test/bench/report"
)

const ms = time.Millisecond

// sample is a small run in which everything was measured, over three rounds that differ.
func sample() *report.Run {
	stage := func(id report.StageID, title string, loads ...report.Load) report.Stage {
		st := report.Stage{
			ID: id, Title: title, About: "About " + title + ".",
			Relays: []report.Relay{report.Bare, report.Ours, report.Telemetry, report.Writer, report.Franz},
		}
		for _, l := range loads {
			c := report.Cell{Load: l}
			for i := range 3 {
				f := min(float64(l.Callers), 1) // no requests/s for a rate
				c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{
					report.Bare:      {PerSecond: f * float64(20_000+i), P50: ms / 10, P99: 2 * ms, CPU: 10_000},
					report.Ours:      {PerSecond: f * float64(14_000+1000*i), P50: 2 * ms, P99: 5 * ms, CPU: 20_000},
					report.Telemetry: {PerSecond: f * 12_000, P50: 2 * ms, P99: 5 * ms, CPU: 24_000},
					report.Writer:    {PerSecond: f * 2_000, P50: 6 * ms, P99: 4 * ms, CPU: 30_000},
					report.Franz:     {PerSecond: f * 10_000, P50: 3 * ms, P99: 5 * ms, CPU: 25_000},
				})
			}
			st.Cells = append(st.Cells, c)
		}
		st.Sums = []report.Sum{
			{Relay: report.Bare, OK: 100, Records: -1, Items: -1, Peak: 10},
			{Relay: report.Ours, OK: 100, Records: 100, Items: -1, Peak: 30},
			{Relay: report.Telemetry, OK: 100, Records: 100, Items: 300, Peak: 135},
			{Relay: report.Franz, OK: 100, Records: 101, Items: -1, Peak: 20},
		}
		return st
	}
	cold := report.Stage{ID: report.Cold, Title: "Start", Relays: []report.Relay{report.Bare, report.Ours}, Cells: []report.Cell{{}}}
	for _, d := range []time.Duration{20 * ms, 30 * ms, 22 * ms} {
		cold.Cells[0].Rounds = append(cold.Cells[0].Rounds, map[report.Relay]report.Measure{report.Bare: {First: 20 * ms}, report.Ours: {First: d}})
	}
	callers := []report.Load{{Callers: 1}, {Callers: 16}, {Callers: 64}, {Callers: 256}}
	return &report.Run{
		Date: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Command: "go run ./test/bench", Machine: "2 cores",
		Versions: []string{"go1.26", "franz-go v1"}, Binary: 12_345_678,
		Stages: []report.Stage{
			stage(report.InProcess, "In-process broker", append(callers, report.Load{Callers: 64, Gzip: true})...),
			stage(report.Delayed, "5 ms broker", report.Load{Rate: 200}, report.Load{Rate: 1000}),
			stage(report.Apache, "Apache Kafka", callers...),
			cold,
		},
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	got := sample().Page().String()
	for name, want := range map[string]string{
		"date":                     "* Date: 24 November 2026\n",
		"command":                  "`go run ./test/bench`",
		"median with spread":       "| 64 callers | 20k | 15k (14k–16k) | 12k | 2000 | 10k |\n",
		"gzip is a row of its own": "| 64 callers, gzip | ",
		"goal reached":             "| Apache Kafka, 64 callers: the same | ≥ 1.15 × | 1.5 (1.4–1.6) × | yes |\n",
		"goal missed":              "| telemetry on, 64 callers: processor time by off | ≤ 1.1 × | 1.2 × | **no** |\n",
		"goal not in every round":  "| first answer after the start, the broker being up: by net/http alone's | ≤ 1.15 × | 1.1 (1–1.5) × | yes, not in every round |\n",
		"items":                    "| telemetry on: share of the items that arrive | ≥ 1 | 1 | yes |\n",
		"memory":                   "| peak memory with telemetry, up to 256 callers | ≤ 96 MiB | 135 MiB | **no** |\n",
		"size":                     "| size of the program | ≤ 16 MB | 12.3 MB | yes |\n",
		"p50 never behind":         "| p50 by franz-go's, in every cell | not behind | behind in 0 of 11 | yes |\n",
		"requests/s never behind":  "| requests/s by franz-go's, in every cell | not behind | behind in 0 of 9 | yes |\n",
		"against franz-go, a tie":  "| In-process broker | requests/s | p50 | p99 | processor time |\n| --- | ---: | ---: | ---: | ---: |\n| 1 caller | 1.5 (1.4–1.6) ahead | 0.667 ahead | 1 tie | 0.8 ahead |\n",
		"no requests/s for a rate": "| 200/s | – | 0.667 ahead | 1 tie | 0.8 ahead |\n",
		"start":                    "| start | 20 | 22 (20–30) |\n",
		"totals":                   "| franz-go | Apache Kafka | 100 | 0 | 101 | – | 20 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: the page does not hold %q", name, want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	none := (&report.Run{}).Page().String()
	for _, want := range []string{
		"| Apache Kafka, 64 callers: the same | ≥ 1.15 × | – | not measured |\n",
		"| p50 by franz-go's, in every cell | not behind | – | not measured |\n",
	} {
		if !strings.Contains(none, want) {
			t.Errorf("the page of nothing does not hold %q", want)
		}
	}
}

// TestStandings is the rule by which one relay is ahead of another.
func TestStandings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ratios []float64 // of requests/s
		want   string
		goal   string // behind in no cell
	}{
		{"clear", []float64{1.2, 1.3, 1.4}, "1.3 (1.2–1.4) ahead", "behind in 0 of 1 | yes"},
		{"clearly behind", []float64{0.7, 0.8, 0.9}, "0.8 (0.7–0.9) behind", "behind in 1 of 1 (b, 64 callers: 0.8 (0.7–0.9)) | **no**"},
		{"near", []float64{1.03, 1.04, 1.05}, "1.04 (1.03–1.05) tie", "behind in 0 of 1 | yes"},
		{"the rounds disagree", []float64{0.8, 1.5, 1.6}, "1.5 (0.8–1.6) tie", "behind in 0 of 1 | yes"},
		{"most rounds agree", []float64{0.9, 1.2, 1.3, 1.4}, "1.25 (0.9–1.4) ahead", "behind in 0 of 1 | yes"},
		{"one round", []float64{0.5}, "0.5 behind", "behind in 1 of 1 (b, 64 callers: 0.5) | **no**"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cell := report.Cell{Load: report.Load{Callers: 64}}
			for _, ratio := range c.ratios {
				cell.Rounds = append(cell.Rounds, map[report.Relay]report.Measure{
					report.Ours: {PerSecond: 1000 * ratio, P50: ms, P99: ms}, report.Franz: {PerSecond: 1000, P50: ms, P99: ms},
				})
			}
			r := &report.Run{Stages: []report.Stage{{Title: "b", Cells: []report.Cell{cell}}}}
			for _, want := range []string{"| 64 callers | " + c.want + " | 1 tie | 1 tie | – |\n", "| requests/s by franz-go's, in every cell | not behind | " + c.goal + " |\n"} {
				if got := r.Page().String(); !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sum  report.Sum
		want string // "" for no error
	}{
		"all stored":               {report.Sum{OK: 10, Records: 10}, ""},
		"copies":                   {report.Sum{OK: 10, Records: 12}, ""},
		"no topic":                 {report.Sum{OK: 10, Records: -1}, ""},
		"a relay that lies":        {report.Sum{OK: 10, Records: 9}, "10 answers 200, and 9 records"},
		"answers that are not 200": {report.Sum{OK: 10, Failed: 2, Records: 10}, "2 of 12 answers"},
	} {
		c.sum.Relay = report.Franz
		r := report.Run{Stages: []report.Stage{{Title: "Broker", Sums: []report.Sum{c.sum}}}}
		if err := r.Check(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), "Broker, franz-go: "+c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
