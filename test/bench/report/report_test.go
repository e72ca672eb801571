package report_test

import (
	"strings"
	"testing"
	"time"

	"userrelay/test/bench/report"
)

const ms = time.Millisecond

// measured is a measurement with nothing but what a test needs.
func measured(perSecond float64, p50, p99, cpu time.Duration) report.Measure {
	return report.Measure{PerSecond: perSecond, P50: p50, P99: p99, CPU: cpu}
}

// sample is a small run in which everything was measured, over three rounds that differ.
func sample() *report.Run {
	stage := func(id report.StageID, title string, loads ...report.Load) report.Stage {
		st := report.Stage{
			ID: id, Title: title, About: "About " + title + ".",
			Relays: []report.Relay{report.Bare, report.Ours, report.Telemetry, report.Tuned, report.Franz},
		}
		for _, l := range loads {
			c := report.Cell{Load: l}
			for i := range 3 {
				f := float64(i)
				c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{
					report.Bare:      measured(20_000+f, ms/10, 2*ms, 10_000),
					report.Ours:      measured(14_000+1000*f, 2*ms, 5*ms, 20_000),
					report.Telemetry: measured(12_000, 2*ms, 5*ms, 24_000),
					report.Tuned:     measured(2_000, 6*ms, 4*ms, 30_000),
					report.Franz:     measured(10_000, 3*ms, 5*ms, 25_000),
				})
			}
			st.Cells = append(st.Cells, c)
		}
		st.Sums = []report.Sum{
			{Relay: report.Bare, OK: 100, Records: -1, Items: -1, Peak: 10 << 20},
			{Relay: report.Ours, OK: 100, Records: 100, Items: -1, Peak: 30 << 20},
			{Relay: report.Telemetry, OK: 100, Records: 100, Items: 300, Peak: 35 << 20},
			{Relay: report.Franz, OK: 100, Records: 101, Items: -1, Peak: 20 << 20},
		}
		return st
	}
	callers := []report.Load{{Callers: 1}, {Callers: 16}, {Callers: 64}, {Callers: 256}}
	return &report.Run{
		Date: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Command: "go run ./test/bench", Machine: "2 cores",
		Versions: []string{"go1.26", "franz-go v1"},
		Stages: []report.Stage{
			stage(report.InProcess, "In-process broker", append(callers, report.Load{Callers: 64, Gzip: true})...),
			stage(report.Delayed, "5 ms broker", report.Load{Rate: 200}, report.Load{Rate: 1000}),
			stage(report.Apache, "Apache Kafka", callers...),
		},
		Cold: []report.Cold{
			{Relay: report.Bare, Times: []time.Duration{20 * ms, 20 * ms, 20 * ms}},
			{Relay: report.Ours, Times: []time.Duration{20 * ms, 30 * ms, 22 * ms}},
			{Relay: report.Franz, Times: []time.Duration{18 * ms}},
		},
		Binary: 12_345_678,
		Allocs: []report.Alloc{{Name: "RegisterUser", NsOp: 1234.5, Bytes: 2048, Allocs: 17}},
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
		"share of bare":            "| 64 callers | 0.75 (0.7–0.8) | 0.6 | 0.1 | 0.5 |\n",
		"goal reached":             "| Apache Kafka, 64 callers: the same | ≥ 1.15 × | 1.5 (1.4–1.6) × | yes |\n",
		"goal missed":              "| telemetry on, 64 callers: processor time by off | ≤ 1.1 × | 1.2 × | **no** |\n",
		"goal not in every round":  "| first answer after the start, the broker being up: by net/http alone's | ≤ 1.15 × | 1.1 (1–1.5) × | yes, not in every round |\n",
		"size":                     "| size of the program | ≤ 16 MB | 12.3 MB | yes |\n",
		"p50 never behind":         "| p50 by franz-go's, in every cell | not behind | behind in 0 of 11 | yes |\n",
		"requests/s never behind":  "| requests/s by franz-go's, in every cell | not behind | behind in 0 of 9 | yes |\n",
		"against franz-go, a tie":  "| 16 callers | 1.5 (1.4–1.6) ahead | 0.67 ahead | 1 tie | 0.8 ahead |\n",
		"no requests/s for a rate": "| 200/s | – | 0.67 ahead | 1 tie | 0.8 ahead |\n",
		"worse: a peer's p99":      "* 5 ms broker, 200/s: p99 is 1.25 × that of kafka.Writer, tuned.\n",
		"worse: start":             "* First answer after the start: 22 (20–30) ms, franz-go 18 ms.\n",
		"worse: memory":            "* Peak memory: 30 MiB, franz-go 20 MiB.\n",
		"allocations":              "| `RegisterUser` | 1234 | 2048 | 17 |\n",
		"records":                  "| franz-go | Apache Kafka | 100 | 0 | 101 | – |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: the page does not hold %q", name, want)
		}
	}
	if strings.Contains(got, "than net/http alone") || strings.Contains(got, "that of net/http alone.") {
		t.Error("the page compares with a program that stores nothing as if it were a peer")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestPageOfALittle(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Stages = []report.Stage{{ID: report.Apache, Title: "Apache Kafka", About: "One node.", Missing: "Left out: there was none."}}
	r.Cold, r.Allocs = nil, nil
	got := r.Page().String()
	for _, want := range []string{
		"One node.\n\nLeft out: there was none.\n",
		"| Apache Kafka, 64 callers: the same | ≥ 1.15 × | – | not measured |\n",
		"| p50 by franz-go's, in every cell | not behind | – | not measured |\n",
		"In none of the cells is another relay ahead",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
}

// TestStandings is the rule by which one relay is ahead of another.
func TestStandings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		ratios []float64 // of requests/s
		want   string
	}{
		{"clear", []float64{1.2, 1.3, 1.4}, "1.3 (1.2–1.4) ahead"},
		{"clearly behind", []float64{0.7, 0.8, 0.9}, "0.8 (0.7–0.9) behind"},
		{"near", []float64{1.03, 1.04, 1.05}, "1.04 (1.03–1.05) tie"},
		{"the rounds disagree", []float64{0.8, 1.5, 1.6}, "1.5 (0.8–1.6) tie"},
		{"most rounds agree", []float64{0.9, 1.2, 1.3, 1.4}, "1.25 (0.9–1.4) ahead"},
		{"one round", []float64{0.5}, "0.5 behind"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := report.Cell{Load: report.Load{Callers: 64}}
			for _, ratio := range tc.ratios {
				c.Rounds = append(c.Rounds, map[report.Relay]report.Measure{
					report.Ours:  measured(1000*ratio, ms, ms, 0),
					report.Franz: measured(1000, ms, ms, 0),
				})
			}
			r := &report.Run{Stages: []report.Stage{{
				ID: report.InProcess, Title: "b", Relays: []report.Relay{report.Ours, report.Franz}, Cells: []report.Cell{c},
			}}}
			want := "| 64 callers | " + tc.want + " | 1 tie | 1 tie | – |\n"
			if got := r.Page().String(); !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		sum  report.Sum
		want string // "" for no error
	}{
		{"all stored", report.Sum{OK: 10, Records: 10}, ""},
		{"copies", report.Sum{OK: 10, Records: 12}, ""},
		{"no topic", report.Sum{OK: 10, Records: -1}, ""},
		{"a relay that lies", report.Sum{OK: 10, Records: 9}, "10 answers 200, and 9 records"},
		{"answers that are not 200", report.Sum{OK: 10, Failed: 2, Records: 10}, "2 of 12 answers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.sum.Relay = report.Franz
			r := report.Run{Stages: []report.Stage{{Title: "Broker", Sums: []report.Sum{tc.sum}}}}
			err := r.Check()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), "Broker, franz-go: "+tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
