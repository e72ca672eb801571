package report_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

func TestChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check func(*report.Row)
		want  string // the row of the table: limit, figure, held
		held  bool
	}{
		"none of it":         {func(r *report.Row) { r.Count("x", 0, 0) }, "0 | 0 | yes", true},
		"one":                {func(r *report.Row) { r.Count("x", 1, 0) }, "0 | 1 | **NO**", false},
		"as many as may be":  {func(r *report.Row) { r.Count("x", 3, 3) }, "≤ 3 | 3 | yes", true},
		"too many":           {func(r *report.Row) { r.Count("x", 4, 3) }, "≤ 3 | 4 | **NO**", false},
		"enough":             {func(r *report.Row) { r.AtLeast("x", 4, 4) }, "≥ 4 | 4 | yes", true},
		"not enough":         {func(r *report.Row) { r.AtLeast("x", 3, 4) }, "≥ 4 | 3 | **NO**", false},
		"in time":            {func(r *report.Row) { r.Time("x", 1499*time.Millisecond, 2*time.Second) }, "≤ 2s | 1.5s | yes", true},
		"too late":           {func(r *report.Row) { r.Time("x", 21*time.Millisecond, 20*time.Millisecond) }, "≤ 20ms | 21ms | **NO**", false},
		"small":              {func(r *report.Row) { r.Size("x", 19.94, 20) }, "≤ 20 MiB | 19.9 MiB | yes", true},
		"large":              {func(r *report.Row) { r.Size("x", 20.06, 20) }, "≤ 20 MiB | 20.1 MiB | **NO**", false},
		"a control shows it": {func(r *report.Row) { r.MustShow("x", 7) }, "≥ 1 | 7 | yes (control)", true},
		"it shows nothing":   {func(r *report.Row) { r.MustShow("x", 0) }, "≥ 1 | 0 | **NO: the control shows nothing**", false},
		"not brought to its end": {
			func(r *report.Row) { r.Count("x", 0, 0); r.Err = errors.New("no broker\nand a log") },
			"0 | 0 | yes |\n| brought to its end | yes | no: no broker | **NO**", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &report.Row{Name: "1. name"}
			c.check(r)
			if got := r.String(); !strings.Contains(got, "| x | "+c.want+" |\n") {
				t.Errorf("want %s in %s", c.want, got)
			}
			run := &report.Run{Rows: []*report.Row{r}}
			if err := run.Check(); (err == nil) != c.held {
				t.Errorf("error %v", err)
			}
			verdict := "did not hold**"
			if c.held {
				verdict = "All 1 limits of 1 drills held."
			}
			if got := run.Page().String(); !strings.Contains(got, verdict) {
				t.Errorf("want %s in %s", verdict, got)
			}
		})
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	good := &report.Row{Name: "1. name", About: "What is done.", Sum: &audit.Report{Stored: 7, Copies: 1}, Short: true}
	good.Count("lost", 0, 0)
	good.Time("slow", time.Hour, time.Second) // not in a short run
	good.Note("%d kills.", 3)
	bad := &report.Row{Name: "2. other"}
	bad.MustShow("lost", 0)
	run := &report.Run{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "go run ./test/drill", Machine: "2 cores",
		Versions: []string{"go1", "Apache Kafka 4"}, Took: 90 * time.Second, Rows: []*report.Row{good, bad},
	}
	page := run.Page().String()
	for _, want := range []string{
		"* Date: 2 January 2026, in 1m30s\n", "* Machine: 2 cores.", "* With go1, Apache Kafka 4\n", "`go run ./test/drill`",
		"**1 of 2 limits did not hold**; they are marked below.\n",
		"| 1. name | 7 | 0 | 1 | 1 of 1 held |  |\n| 2. other | – | – | – | 0 of 1 held | a control |\n",
		"### 1. name\n\nWhat is done.\n\n| figure | limit | found | held |\n| --- | --- | --- | --- |\n| lost | 0 | 0 | yes |\n\n* 3 kills.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q:\n%s", want, page)
		}
	}
}
