package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"userrelay/test/markdown"
)

// Table writes all figures for a terminal.
func (r *Run) Table(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		_, _ = io.WriteString(columns, strings.Join(cells, "\t")+"\n") // Flush returns the error
	}
	line("drill", "figure", "limit", "found", "held")
	for _, row := range r.Rows {
		name := fmt.Sprintf("%d %s", row.Number, row.Name)
		for _, cells := range row.cells() {
			line(append([]string{name}, cells...)...)
			name = ""
		}
	}
	return columns.Flush()
}

// Page makes the page.
func (r *Run) Page() *markdown.Page {
	p := &page{new(markdown.Page)}
	p.Text("# Reliability")
	p.Text("What breaks, and what becomes of the registrations meanwhile. This page is made by `make drill`, which breaks it all on one machine and counts.")
	p.List(
		"Date: "+r.Date.UTC().Format("2 January 2006")+", in "+Span(r.Took),
		"Machine: "+r.Machine+". Brokers, queue, host, handler and load share it",
		"With "+strings.Join(r.Versions, ", "),
		"Command: `"+r.Command+"`",
	)
	p.Text(r.verdict())
	p.summary(r)
	p.method()
	p.Heading("Drills")
	for _, row := range r.Rows {
		p.row(row)
	}
	return p.Page
}

// verdict returns a sentence about the result.
func (r *Run) verdict() string {
	checks, missed := 0, 0
	for _, row := range r.Rows {
		for _, cells := range row.cells() {
			checks++
			if strings.HasPrefix(cells[len(cells)-1], "NO") {
				missed++
			}
		}
	}
	if missed == 0 {
		return fmt.Sprintf("All %d limits of %d drills held.", checks, len(r.Rows))
	}
	return fmt.Sprintf("**%d of %d limits did not hold**; they are marked below.", missed, checks)
}

type page struct{ *markdown.Page }

// summary returns a line for each drill.
func (p *page) summary(r *Run) {
	t := new(markdown.Table).Text("drill").Figures("events answered 2xx", "lost", "copies").Text("limits", "")
	for _, row := range r.Rows {
		stored, lost, copies := "–", "–", "–"
		if s := row.Sum; s != nil {
			stored, lost, copies = strconv.Itoa(s.Stored), strconv.Itoa(s.Lost), strconv.Itoa(s.Copies)
		}
		held, all, control := 0, row.cells(), ""
		for _, cells := range all {
			if !strings.HasPrefix(cells[len(cells)-1], "NO") {
				held++
			}
		}
		if slices.ContainsFunc(row.Checks, func(c Check) bool { return c.Control }) {
			control = "with a control"
		}
		t.Row(fmt.Sprintf("%d. %s", row.Number, row.Name), stored, lost, copies, fmt.Sprintf("%d of %d held", held, len(all)), control)
	}
	p.Table(t)
}

func (p *page) method() {
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

func (p *page) row(r *Row) {
	p.Text(fmt.Sprintf("### %d. %s", r.Number, r.Name))
	p.Text(r.About)
	t := new(markdown.Table).Text("figure", "limit", "found", "held")
	for _, cells := range r.cells() {
		if held := &cells[len(cells)-1]; strings.HasPrefix(*held, "NO") {
			*held = "**" + *held + "**"
		}
		t.Row(cells...)
	}
	p.Table(t)
	if len(r.Notes) > 0 {
		p.List(r.Notes...)
	}
}
