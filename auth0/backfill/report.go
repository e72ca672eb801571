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

// missed returns the number of users that a person must check.
func (r *report) missed() int { return r.unreadable + r.failed }

// write writes the counts, one a line. It omits rare ones that are 0.
func (r *report) write(w io.Writer, dryRun bool, where *reconciled) {
	line := func(always bool, count int, what string) {
		if always || count > 0 {
			_, _ = fmt.Fprintf(w, "%8d  %s\n", count, what)
		}
	}
	line(true, r.read, "users read")
	line(false, r.unreadable, "unreadable, not sent")
	line(false, r.outside, "created outside the time span")
	line(false, r.twice, "read more than once")
	line(false, r.before, "delivered by an earlier run")
	if where != nil {
		where.write(line, r.due)
	} else if r.due > 0 {
		line(dryRun, r.due, fmt.Sprintf("to be sent, created from %s to %s", r.first.UTC().Format(time.RFC3339), r.last.UTC().Format(time.RFC3339)))
	}
	if dryRun {
		return
	}
	line(true, r.delivered, "delivered")
	line(false, r.outbox, "of them in the outbox")
	line(false, r.bare, "of them without the profile, which the function refused")
	line(true, r.failed, "not delivered")
	due := r.due
	if where != nil {
		due = where.missing
	}
	line(false, due-r.delivered-r.failed, "not tried")
}

// write writes where the expected users are. The first number is the sum of the later ones, except the second number,
// which includes users from other times and users that are no longer in Auth0.
func (c *reconciled) write(line func(always bool, count int, what string), due int) {
	line(true, due, "users to look for")
	line(true, c.topic, "users in the topic")
	line(true, c.both, "found in the topic")
	line(true, c.waiting, "found in the outbox, which drains into the topic by itself")
	line(true, c.poison, "found in the poison queue; to resend them: "+resendCommand)
	line(false, c.unclear, "not in the topic, possibly in a queue")
	line(true, c.missing, "missing")
	line(false, due-c.both-c.waiting-c.poison-c.unclear-c.missing, "not checked")
}
