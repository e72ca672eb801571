// Package report holds the results of drills and writes the page.
package report

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"userrelay/test/drill/audit"
	"userrelay/test/markdown"
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
	Name  string        // with its number
	About string        // what is done
	Notes []string      // figures that have no limit
	Sum   *audit.Report // nil: the drill was not brought to its end
	Err   error         // why it could not be completed
	Short bool          // a run of seconds, whose times mean nothing

	checks  []check
	control bool // must fail, which shows that the drill detects failures
}

// check is a figure of a drill with its limit.
type check struct {
	what, limit, figure string
	held                bool
}

func (r *Row) check(what, limit, figure string, held bool) {
	r.checks = append(r.checks, check{what, limit, figure, held})
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

// MustShow checks that a control, which must fail, has at least one of the failures that the drill detects.
func (r *Row) MustShow(what string, n int) {
	r.AtLeast(what, n, 1)
	r.control = true
}

// Note adds a figure without a limit.
func (r *Row) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Span formats a time with two or three significant digits.
func Span(d time.Duration) string {
	last := time.Nanosecond
	for 100*last <= d {
		last *= 10
	}
	return d.Round(last).String()
}

// Check returns an error that names every drill that missed a limit, whose control detected nothing, or that was not
// completed.
func (r *Run) Check() error {
	var errs []error
	for _, row := range r.Rows {
		if row.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", row.Name, row.Err))
		}
		for _, c := range row.checks {
			if !c.held {
				errs = append(errs, fmt.Errorf("%s: %s: %s, want %s", row.Name, c.what, c.figure, c.limit))
			}
		}
	}
	return errors.Join(errs...)
}

// limits returns the checks, with one for the drill's end if it was not brought to it.
func (r *Row) limits() []check {
	all := slices.Clone(r.checks)
	if r.Err != nil {
		why, _, _ := strings.Cut(r.Err.Error(), "\n")
		all = append(all, check{what: "brought to its end", limit: "yes", figure: "no: " + why})
	}
	return all
}

// Page makes the page.
func (r *Run) Page() *markdown.Page {
	p := new(markdown.Page)
	p.Text("# Reliability")
	p.Text("What breaks, and what becomes of the registrations meanwhile. This page is made by `make drill`, which breaks it all on one machine and counts.")
	p.List(
		"Date: "+r.Date.UTC().Format("2 January 2006")+", in "+Span(r.Took),
		"Machine: "+r.Machine+". Brokers, queue, host, handler and load share it",
		"With "+strings.Join(r.Versions, ", "),
		"Command: `"+r.Command+"`",
	)
	r.summary(p)
	method(p)
	p.Heading("Drills")
	for _, row := range r.Rows {
		p.Text(row.String())
	}
	return p
}

// summary adds a sentence about the result, and a table with a line for each drill.
func (r *Run) summary(p *markdown.Page) {
	checks, missed := 0, 0
	t := new(markdown.Table).Text("drill").Figures("events answered 2xx", "lost", "copies").Text("limits", "")
	for _, row := range r.Rows {
		stored, lost, copies, control := "–", "–", "–", ""
		if s := row.Sum; s != nil {
			stored, lost, copies = strconv.Itoa(s.Stored), strconv.Itoa(len(s.Lost)), strconv.Itoa(s.Copies)
		}
		if row.control {
			control = "a control"
		}
		all := len(row.limits())
		held := all - len(slices.DeleteFunc(row.limits(), func(c check) bool { return c.held }))
		checks, missed = checks+all, missed+all-held
		t.Row(row.Name, stored, lost, copies, fmt.Sprintf("%d of %d held", held, all), control)
	}
	if missed == 0 {
		p.Text(fmt.Sprintf("All %d limits of %d drills held.", checks, len(r.Rows)))
	} else {
		p.Text(fmt.Sprintf("**%d of %d limits did not hold**; they are marked below.", missed, checks))
	}
	p.Table(t)
}

func method(p *markdown.Page) {
	p.Heading("How it is done")
	p.List(
		"Kafka is a real Apache Kafka with acks=all. The outbox is `local/storagequeue`, in a process of its own with a folder, which syncs every message to disk before it answers. The handler is the shipped program under `local/funchost`, the stand-in of the Functions host, with the shipped `host.json`; where the host gives up after the third crash, it is started again after 2 s, as the platform would.",
		"Callers post to the host. Every event has an id of its own, and is sent once; what its caller was answered, and when, is noted. Afterwards the outbox must become empty. Then the topic is read by a client that the handler does not use (franz-go), and compared by `ce_id`.",
		"*Lost* is an event that was answered 200 or 202 and does not lie in the topic. *Copies* are records beyond the first of an id. *Stored but not answered so* lies in the topic although its caller got no 2xx: a caller would try again, and does no harm with the same id. *Poisoned* are messages in the poison queue.",
		"A *control* is something that must fail in the same drill: it shows that the drill can see what it looks for.",
		"A process is killed with SIGKILL. Every other kill of a broker comes after it was halted for a moment (SIGSTOP), so that requests lie unread in it. SIGKILL leaves what the operating system has taken over: this is the death of a process, not of a machine.",
		"Memory, descriptors and threads are the handler's, as Linux has them in /proc.",
	)
}

// String returns the drill's section of the page.
func (r *Row) String() string {
	p := new(markdown.Page)
	p.Text("### " + r.Name)
	p.Text(r.About)
	t := new(markdown.Table).Text("figure", "limit", "found", "held")
	words := map[bool]string{true: "yes", false: "**NO**"}
	if r.control {
		words = map[bool]string{true: "yes (control)", false: "**NO: the control shows nothing**"}
	}
	for _, c := range r.limits() {
		t.Row(c.what, c.limit, c.figure, words[c.held])
	}
	p.Table(t)
	if len(r.Notes) > 0 {
		p.List(r.Notes...)
	}
	return p.String()
}
