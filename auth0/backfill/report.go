package main

import (
	"fmt"
	"io"
	"time"
)

// report counts users.
type report struct {
	read       int
	unreadable int // of those read; the others are whole
	outside    int // of the time span
	twice      int // in what was read
	before     int // delivered by an earlier run
	due        int // to be sent
	delivered  int
	outbox     int // of those delivered
	bare       int // of those delivered
	failed     int

	first, last time.Time // creation of those to be sent
}

func (r *report) wanted(created time.Time) {
	if r.due == 0 || created.Before(r.first) {
		r.first = created
	}
	if r.due == 0 || created.After(r.last) {
		r.last = created
	}
	r.due++
}

// missed are those who have to be looked at.
func (r *report) missed() int { return r.unreadable + r.failed }

// write writes the counts, one a line; those that are 0 and rare are left out.
func (r *report) write(w io.Writer, dryRun bool) {
	line := func(always bool, count int, what string) {
		if always || count > 0 {
			_, _ = fmt.Fprintf(w, "%8d  %s\n", count, what)
		}
	}
	line(true, r.read, "users read")
	line(false, r.unreadable, "not understood, not sent")
	line(false, r.outside, "created outside the time span")
	line(false, r.twice, "read more than once")
	line(false, r.before, "delivered by an earlier run")
	if r.due > 0 {
		line(dryRun, r.due, fmt.Sprintf("to be sent, created from %s to %s", r.first.UTC().Format(time.RFC3339), r.last.UTC().Format(time.RFC3339)))
	}
	if dryRun {
		return
	}
	line(true, r.delivered, "delivered")
	line(false, r.outbox, "of them in the outbox")
	line(false, r.bare, "of them without the profile, which the function refused")
	line(true, r.failed, "not delivered")
	line(false, r.due-r.delivered-r.failed, "not tried")
}
