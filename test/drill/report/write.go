package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"userrelay/test/markdown"
)

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
			stored, lost, copies = strconv.Itoa(s.Stored), strconv.Itoa(s.Lost), strconv.Itoa(s.Copies)
		}
		if slices.ContainsFunc(row.Checks, func(c Check) bool { return c.Control }) {
			control = "a control"
		}
		all, bad := len(row.limits()), row.missed()
		checks, missed = checks+all, missed+bad
		t.Row(row.Name, stored, lost, copies, fmt.Sprintf("%d of %d held", all-bad, all), control)
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
	for _, c := range r.limits() {
		t.Row(c.What, c.Limit, c.Figure, c.held())
	}
	p.Table(t)
	if len(r.Notes) > 0 {
		p.List(r.Notes...)
	}
	return p.String()
}
