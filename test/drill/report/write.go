package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// NotesMark stands before what people add to the page: a new run keeps what comes after it.
const NotesMark = "<!-- What follows this line is kept by `make drill`. -->"

// Notes returns what people added to a page that was made before.
func Notes(page string) string {
	_, notes, _ := strings.Cut(page, NotesMark)
	return strings.TrimSpace(notes)
}

// Table writes all figures for a terminal.
func (r *Run) Table(w io.Writer) error {
	lines := [][]string{{"drill", "figure", "limit", "found", "held"}}
	for _, row := range r.Rows {
		name := fmt.Sprintf("%d %s", row.Number, row.Name)
		for _, cells := range row.cells() {
			lines = append(lines, append([]string{name}, cells...))
			name = ""
		}
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line[:len(line)-1] {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(line[len(line)-1] + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes the page. notes is what people added to the last one.
func (r *Run) Markdown(w io.Writer, notes string) error {
	p := &page{}
	p.text("# Reliability")
	p.text("What breaks, and what becomes of the registrations meanwhile. This page is made by `make drill`, which breaks it all on one machine and counts.")
	p.list(
		"Date: "+r.Date.UTC().Format("2 January 2006")+", in "+Span(r.Took),
		"Machine: "+r.Machine+". Brokers, queue, host, handler and load share it",
		"With "+strings.Join(r.Versions, ", "),
		"Command: `"+r.Command+"`",
	)
	p.text(r.verdict())
	p.summary(r)
	p.method()
	p.heading("Drills")
	for _, row := range r.Rows {
		p.row(row)
	}
	p.text(NotesMark)
	if notes != "" {
		p.text(notes)
	}
	_, err := io.WriteString(w, strings.TrimSuffix(p.b.String(), "\n"))
	return err
}

// verdict says in a sentence how it went.
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

// page is a page in the making. Everything on it has an empty line behind it.
type page struct{ b strings.Builder }

func (p *page) text(s string)    { p.b.WriteString(strings.TrimSpace(s) + "\n\n") }
func (p *page) heading(s string) { p.text("## " + s) }

func (p *page) list(items ...string) {
	for _, item := range items {
		p.b.WriteString("* " + item + "\n")
	}
	p.b.WriteString("\n")
}

// summary is a line for each drill.
func (p *page) summary(r *Run) {
	p.b.WriteString("| drill | events answered 2xx | lost | copies | limits | |\n| --- | ---: | ---: | ---: | --- | --- |\n")
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
		fmt.Fprintf(&p.b, "| %d. %s | %s | %s | %s | %d of %d held | %s |\n", row.Number, row.Name, stored, lost, copies, held, len(all), control)
	}
	p.b.WriteString("\n")
}

func (p *page) method() {
	p.heading("How it is done")
	p.list(
		"Kafka is a real Apache Kafka with acks=all. The outbox is `local/storagequeue`, in a process of its own with a folder, which syncs every message to disk before it answers. The handler is the shipped program under `local/funchost`, the stand-in of the Functions host, with the shipped `host.json`; where the host gives up after the third crash, it is started again after 2 s, as the platform would.",
		"Callers post to the host. Every event has an id of its own, and is sent once; what its caller was answered, and when, is noted. Afterwards the outbox must become empty. Then the topic is read by a client that the handler does not use (franz-go), and compared by `ce_id`.",
		"*Lost* is an event that was answered 200 or 202 and does not lie in the topic. *Copies* are records beyond the first of an id. *Stored but not answered so* lies in the topic although its caller got no 2xx: a caller would try again, and does no harm with the same id. *Poisoned* are messages in the poison queue.",
		"A *control* is something that must fail in the same drill: it shows that the drill can see what it looks for.",
		"A process is killed with SIGKILL. Every other kill of a broker comes after it was halted for a moment (SIGSTOP), so that requests lie unread in it. SIGKILL leaves what the operating system has taken over: this is the death of a process, not of a machine.",
		"Memory, descriptors and threads are the handler's, as Linux has them in /proc.",
	)
}

func (p *page) row(r *Row) {
	p.text(fmt.Sprintf("### %d. %s", r.Number, r.Name))
	p.text(r.About)
	p.b.WriteString("| figure | limit | found | held |\n| --- | --- | --- | --- |\n")
	for _, cells := range r.cells() {
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		if held := &cells[len(cells)-1]; strings.HasPrefix(*held, "NO") {
			*held = "**" + *held + "**"
		}
		p.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	p.b.WriteString("\n")
	if len(r.Notes) > 0 {
		p.list(r.Notes...)
	}
}
