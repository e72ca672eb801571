package report_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/drill/report"
)

// row returns a row with one check.
func row(check func(*report.Row)) *report.Row {
	r := &report.Row{Number: 1, Name: "name", About: "What is done."}
	check(r)
	return r
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check func(*report.Row)
		want  report.Check
	}{
		"none of it":         {func(r *report.Row) { r.Count("lost", 0, 0) }, report.Check{Limit: "0", Figure: "0", Held: true}},
		"one":                {func(r *report.Row) { r.Count("lost", 1, 0) }, report.Check{Limit: "0", Figure: "1"}},
		"as many as may be":  {func(r *report.Row) { r.Count("lost", 3, 3) }, report.Check{Limit: "≤ 3", Figure: "3", Held: true}},
		"too many":           {func(r *report.Row) { r.Count("lost", 4, 3) }, report.Check{Limit: "≤ 3", Figure: "4"}},
		"enough":             {func(r *report.Row) { r.AtLeast("lost", 4, 4) }, report.Check{Limit: "≥ 4", Figure: "4", Held: true}},
		"not enough":         {func(r *report.Row) { r.AtLeast("lost", 3, 4) }, report.Check{Limit: "≥ 4", Figure: "3"}},
		"exactly":            {func(r *report.Row) { r.Exactly("lost", 4, 4) }, report.Check{Limit: "4", Figure: "4", Held: true}},
		"not exactly":        {func(r *report.Row) { r.Exactly("lost", 5, 4) }, report.Check{Limit: "4", Figure: "5"}},
		"in time":            {func(r *report.Row) { r.Time("lost", 1499*time.Millisecond, 2*time.Second) }, report.Check{Limit: "≤ 2s", Figure: "1.5s", Held: true}},
		"too late":           {func(r *report.Row) { r.Time("lost", 21*time.Millisecond, 20*time.Millisecond) }, report.Check{Limit: "≤ 20ms", Figure: "21ms"}},
		"small":              {func(r *report.Row) { r.Size("lost", 19.94, 20) }, report.Check{Limit: "≤ 20 MiB", Figure: "19.9 MiB", Held: true}},
		"large":              {func(r *report.Row) { r.Size("lost", 20.06, 20) }, report.Check{Limit: "≤ 20 MiB", Figure: "20.1 MiB"}},
		"so":                 {func(r *report.Row) { r.Holds("lost", true) }, report.Check{Limit: "yes", Figure: "yes", Held: true}},
		"not so":             {func(r *report.Row) { r.Holds("lost", false) }, report.Check{Limit: "yes", Figure: "no"}},
		"a control shows it": {func(r *report.Row) { r.MustShow("lost", 7) }, report.Check{Limit: "≥ 1", Figure: "7", Held: true, Control: true}},
		"it shows nothing":   {func(r *report.Row) { r.MustShow("lost", 0) }, report.Check{Limit: "≥ 1", Figure: "0", Control: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.What = "lost"
			r := row(c.check)
			if diff := cmp.Diff([]report.Check{c.want}, r.Checks); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
			if err := (&report.Run{Rows: []*report.Row{r}}).Check(); (err == nil) != c.want.Held {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestShortRunHasNoTimes(t *testing.T) {
	t.Parallel()
	r := &report.Row{Short: true}
	r.Time("slow", time.Hour, time.Second)
	if len(r.Checks) != 0 {
		t.Errorf("checks: %v", r.Checks)
	}
}

// An incomplete drill is a failure, whatever its figures.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	r := row(func(r *report.Row) { r.Count("lost", 0, 0) })
	r.Err = errors.New("no broker\nand a log")
	run := &report.Run{Rows: []*report.Row{r}}
	if err := run.Check(); !errors.Is(err, r.Err) {
		t.Errorf("error %v", err)
	}
	var table strings.Builder
	if err := run.Table(&table); err != nil {
		t.Fatal(err)
	}
	if got := table.String(); !strings.Contains(got, "no: no broker  NO") || strings.Contains(got, "and a log") {
		t.Errorf("table:\n%s", got)
	}
}

func example() *report.Run {
	good := row(func(r *report.Row) { r.Count("lost", 0, 0); r.Note("%d kills.", 3) })
	good.Sum = &report.Sum{Stored: 7, Copies: 1}
	bad := row(func(r *report.Row) { r.Count("a|b", 2, 0); r.MustShow("control", 0) })
	bad.Number, bad.Name = 2, "other"
	return &report.Run{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "go run ./test/drill", Machine: "2 cores",
		Versions: []string{"go1", "Apache Kafka 4"}, Took: 90 * time.Second, Rows: []*report.Row{good, bad},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	if err := example().Table(&got); err != nil {
		t.Fatal(err)
	}
	const want = `drill    figure   limit  found  held
1 name   lost     0      0      yes
2 other  a|b      0      2      NO
         control  ≥ 1    0      NO: the control shows nothing
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	got := example().Page().String()
	for _, want := range []string{
		"* Date: 2 January 2026, in 1m30s\n", "* Machine: 2 cores.", "* With go1, Apache Kafka 4\n", "`go run ./test/drill`",
		"| 1. name | 7 | 0 | 1 | 1 of 1 held |  |\n| 2. other | – | – | – | 0 of 2 held | with a control |\n", "**2 of 3 limits did not hold**", "### 1. name\n\nWhat is done.\n\n| figure |", "| lost | 0 | 0 | yes |\n", "* 3 kills.\n",
		`| a\|b | 0 | 2 | **NO** |`, "| **NO: the control shows nothing** |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not hold %q:\n%s", want, got)
		}
	}
	whole := example()
	whole.Rows = whole.Rows[:1]
	if got := whole.Page().String(); !strings.Contains(got, "All 1 limits of 1 drills held.") {
		t.Errorf("page:\n%s", got)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Microsecond: "1.2ms", 12345 * time.Microsecond: "12ms", 1234 * time.Millisecond: "1.2s",
		61234 * time.Millisecond: "1m1s", -1500 * time.Millisecond: "-1.5s",
	} {
		if got := report.Span(d); got != want {
			t.Errorf("%v is written %q, want %q", int64(d), got, want)
		}
	}
}
