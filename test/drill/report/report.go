// Package report has the results of the drills, and writes them: a table for a terminal, and the page.
package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Run is a run of drills.
type Run struct {
	Date     time.Time
	Command  string
	Machine  string // in words
	Versions []string
	Took     time.Duration
	Rows     []*Row
}

// Row is one drill.
type Row struct {
	Number int
	Name   string
	About  string // what is done
	Checks []Check
	Notes  []string // figures that have no limit
	Sum    *Sum     // nil: the drill counts otherwise
	Took   time.Duration
	Err    error // why it could not be completed
	Short  bool  // a run of seconds, whose times mean nothing
}

// Sum has the outcomes of a drill's events.
type Sum struct {
	Stored int // answered 200 or 202
	Lost   int // of these, not in the topic
	Copies int // records beyond the first of an id
}

// Check is a figure of a drill with its limit.
type Check struct {
	What   string
	Limit  string
	Figure string
	Held   bool
	// Control marks a figure of a control that must fail, which shows that the drill detects failures.
	Control bool
}

// Count checks a number against a maximum.
func (r *Row) Count(what string, n, most int) {
	limit := fmt.Sprintf("≤ %d", most)
	if most == 0 {
		limit = "0"
	}
	r.Checks = append(r.Checks, Check{What: what, Limit: limit, Figure: strconv.Itoa(n), Held: n <= most})
}

// AtLeast checks a number against a minimum.
func (r *Row) AtLeast(what string, n, least int) {
	r.Checks = append(r.Checks, Check{What: what, Limit: fmt.Sprintf("≥ %d", least), Figure: strconv.Itoa(n), Held: n >= least})
}

// Exactly checks that a number has a value.
func (r *Row) Exactly(what string, n, want int) {
	r.Checks = append(r.Checks, Check{What: what, Limit: strconv.Itoa(want), Figure: strconv.Itoa(n), Held: n == want})
}

// Time checks a time, except in a short run.
func (r *Row) Time(what string, d, most time.Duration) {
	if r.Short {
		return
	}
	r.Checks = append(r.Checks, Check{What: what, Limit: "≤ " + Span(most), Figure: Span(d), Held: d <= most})
}

// Size checks a size in MiB.
func (r *Row) Size(what string, mib, most float64) {
	r.Checks = append(r.Checks, Check{
		What: what, Limit: fmt.Sprintf("≤ %.0f MiB", most), Figure: fmt.Sprintf("%.1f MiB", mib), Held: mib <= most,
	})
}

// Holds checks a condition.
func (r *Row) Holds(what string, held bool) {
	figure := "no"
	if held {
		figure = "yes"
	}
	r.Checks = append(r.Checks, Check{What: what, Limit: "yes", Figure: figure, Held: held})
}

// MustShow checks that a control has at least one of the failures that the drill detects.
func (r *Row) MustShow(what string, n int) {
	r.Checks = append(r.Checks, Check{What: what, Limit: "≥ 1", Figure: strconv.Itoa(n), Held: n >= 1, Control: true})
}

// Note adds a figure without a limit.
func (r *Row) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Span formats a time with its significant digits.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(100 * time.Microsecond).String()
	}
}

// Check returns an error that names every drill that missed a limit, whose control detected nothing, or that was not
// completed.
func (r *Run) Check() error {
	var errs []error
	for _, row := range r.Rows {
		if row.Err != nil {
			errs = append(errs, fmt.Errorf("%d %s: %w", row.Number, row.Name, row.Err))
		}
		for _, c := range row.Checks {
			if !c.Held {
				errs = append(errs, fmt.Errorf("%d %s: %s: %s, want %s", row.Number, row.Name, c.What, c.Figure, c.Limit))
			}
		}
	}
	return errors.Join(errs...)
}

// held describes the result of a check in a word or two.
func (c Check) held() string {
	switch {
	case c.Held && c.Control:
		return "yes (control)"
	case c.Held:
		return "yes"
	case c.Control:
		return "NO: the control shows nothing"
	default:
		return "NO"
	}
}

// cells are the lines of a drill in a table.
func (r *Row) cells() [][]string {
	var lines [][]string
	for _, c := range r.Checks {
		lines = append(lines, []string{c.What, c.Limit, c.Figure, c.held()})
	}
	if r.Err != nil {
		lines = append(lines, []string{"brought to its end", "yes", "no: " + oneLine(r.Err.Error()), "NO"})
	}
	return lines
}

// oneLine is the beginning of an error.
func oneLine(s string) string {
	const most = 80
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + " …"
	}
	return s
}
