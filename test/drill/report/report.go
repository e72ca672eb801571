// Package report holds the results of drills and writes the page.
package report

import (
	"errors"
	"fmt"
	"slices"
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
	Name   string // with its number
	About  string // what is done
	Checks []Check
	Notes  []string // figures that have no limit
	Sum    *Sum     // nil: the drill was not brought to its end
	Err    error    // why it could not be completed
	Short  bool     // a run of seconds, whose times mean nothing
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

func (r *Row) check(what, limit, figure string, held bool) {
	r.Checks = append(r.Checks, Check{What: what, Limit: limit, Figure: figure, Held: held})
}

// Count checks a number against a maximum.
func (r *Row) Count(what string, n, most int) {
	limit := fmt.Sprintf("≤ %d", most)
	if most == 0 {
		limit = "0"
	}
	r.check(what, limit, strconv.Itoa(n), n <= most)
}

// AtLeast checks a number against a minimum.
func (r *Row) AtLeast(what string, n, least int) {
	r.check(what, fmt.Sprintf("≥ %d", least), strconv.Itoa(n), n >= least)
}

// Time checks a time, except in a short run.
func (r *Row) Time(what string, d, most time.Duration) {
	if !r.Short {
		r.check(what, "≤ "+Span(most), Span(d), d <= most)
	}
}

// Size checks a size in MiB.
func (r *Row) Size(what string, mib, most float64) {
	r.check(what, fmt.Sprintf("≤ %.0f MiB", most), fmt.Sprintf("%.1f MiB", mib), mib <= most)
}

// MustShow checks that a control has at least one of the failures that the drill detects.
func (r *Row) MustShow(what string, n int) {
	r.AtLeast(what, n, 1)
	r.Checks[len(r.Checks)-1].Control = true
}

// Note adds a figure without a limit.
func (r *Row) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Span formats a time with its significant digits.
func Span(d time.Duration) string {
	switch {
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
			errs = append(errs, fmt.Errorf("%s: %w", row.Name, row.Err))
		}
		for _, c := range row.Checks {
			if !c.Held {
				errs = append(errs, fmt.Errorf("%s: %s: %s, want %s", row.Name, c.What, c.Figure, c.Limit))
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
		return "**NO: the control shows nothing**"
	default:
		return "**NO**"
	}
}

// limits returns the checks, with one for the drill's end if it was not brought to it.
func (r *Row) limits() []Check {
	if r.Err == nil {
		return r.Checks
	}
	why, _, _ := strings.Cut(r.Err.Error(), "\n")
	return append(slices.Clip(r.Checks), Check{What: "brought to its end", Limit: "yes", Figure: "no: " + why})
}

// missed returns how many of a drill's limits did not hold.
func (r *Row) missed() (n int) {
	for _, c := range r.limits() {
		if !c.Held {
			n++
		}
	}
	return n
}
