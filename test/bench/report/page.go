package report

import (
	"fmt"
	"strconv"
	"strings"

	"userrelay/test/markdown"
)

// Page makes the page.
func (r *Run) Page() *markdown.Page {
	p := new(markdown.Page)
	p.Text("# Benchmarks")
	p.Text("The handler beside other ways to do the same job, all in one run on one machine. This page is made by `make bench`; the figures of another machine differ, the ratios much less.")
	p.List(
		"Date: "+r.Date.UTC().Format("2 January 2006"),
		"Machine: "+r.Machine+". Load generator, relay and broker share it",
		"With "+strings.Join(r.Versions, ", "),
		"Command: `"+r.Command+"`",
	)
	method(p)
	p.Heading("Goals")
	p.Text("A goal counts as reached by the median. Telemetry is on where people run the handler, so its rows come first.")
	p.Table(r.goalTable())
	p.Heading("Against franz-go")
	p.Text("Our figure by franz-go's: more is better for requests/s, less for the others.")
	for _, st := range r.Stages {
		st.versus(p)
	}
	for _, st := range r.Stages {
		st.write(p)
	}
	r.totals(p)
	return p
}

func method(p *markdown.Page) {
	p.Heading("How it is measured")
	p.List(
		fmt.Sprintf("`%s` is this project's handler as it is shipped, without telemetry; `%s` sends its telemetry to an endpoint in the load generator that counts the items. Both have `LOG_LEVEL=error`: a line for every event is for people, and in Azure there is none.", Ours, Telemetry),
		fmt.Sprintf("`%s` reads the body and sends an answer as long as ours. It stores nothing: it is the limit of what a Go server does here.", Bare),
		fmt.Sprintf("`%s` and `%s` are reference relays in `test/bench/relay`: the same request, record and answer, one record a request, acks=all. kafka.Writer has a batch timeout of 5 ms and batches of 1000: with its defaults, 1 s and 100, each caller would wait a second. franz-go has linger 0, no compression, and its defaults otherwise (idempotent). They do less than the handler: no limits, no error classes, no telemetry.", Writer, Franz),
		"All relays run with the same targets of the garbage collector, those that the handler sets for itself (`GOGC=400`, `GOMEMLIMIT=128MiB`); the handler is built with profile-guided optimisation, as it is shipped, the reference relays are not.",
		"Every relay is a process of its own, and so is the broker. They run one after the other in every round, each round beginning with another one, after a short warm-up of each. Requests and records are the same for all.",
		"Callers wait for an answer before they send again (closed loop). Rates are Poisson arrivals, sent whether earlier ones are answered or not (open loop); latency counts from the moment a request was due.",
		"Figures are the median of the rounds, with the smallest and the largest in brackets. Ratios are made within a round. *Ahead* and *behind* need a median more than 5 % from 1 and three quarters of the rounds on that side; everything else is a *tie*.",
		"Processor time is that of the relay's process for all requests of a measurement, its warm-up and the telemetry that is sent afterwards included.",
		"An answer counts when it is 200 and whole. After each stage the records in each relay's topic are counted: never fewer than its answers 200, or the run fails.",
	)
}

// table adds a table with a row for each cell, and leaves out the cells without a figure.
func (s *Stage) table(p *markdown.Page, title string, heads []string, text func(c *Cell, column int) string) {
	t := new(markdown.Table).Text(title).Figures(heads...)
	for i := range s.Cells {
		row, found := []string{s.Cells[i].Load.String()}, false
		for column := range heads {
			row = append(row, text(&s.Cells[i], column))
			found = found || row[column+1] != spread{}.String()
		}
		if found {
			t.Row(row...)
		}
	}
	p.Table(t)
}

// versus adds a table of our figures divided by franz-go's.
func (s *Stage) versus(p *markdown.Page) {
	var heads []string
	for _, f := range Metrics() {
		heads = append(heads, f.Short())
	}
	s.table(p, s.Title, heads, func(c *Cell, column int) string {
		ratio := c.ratio(Ours, Franz, Metrics()[column])
		return strings.TrimSpace(ratio.String() + " " + ratio.stand(Metrics()[column]))
	})
}

// write adds the stage's section: a table for each figure, with a column for each relay.
func (s *Stage) write(p *markdown.Page) {
	p.Heading(s.Title)
	p.Text(s.About)
	var heads []string
	for _, name := range s.Relays {
		heads = append(heads, string(name))
	}
	for _, f := range append([]Metric{First}, Metrics()...) {
		s.table(p, string(f), heads, func(c *Cell, column int) string { return c.of(s.Relays[column], f).String() })
	}
}

// totals adds what each relay did in each stage.
func (r *Run) totals(p *markdown.Page) {
	p.Heading("Answers, records, memory")
	p.Text("All answers of each stage, warm-up included. More records than answers are copies, or records whose answer came too late; fewer would be losses.")
	t := new(markdown.Table).Text("relay", "broker").Figures("answers 200", "other answers", "records", "telemetry items", "peak memory, MiB")
	for _, st := range r.Stages {
		for _, name := range st.Relays {
			if s, ok := st.Sums[name]; ok {
				t.Row(string(name), st.Title, strconv.Itoa(s.OK), strconv.Itoa(s.Failed), count(s.Records), count(s.Items), number(s.Peak))
			}
		}
	}
	p.Table(t)
}

func count(n int64) string {
	if n < 0 {
		return "–"
	}
	return strconv.FormatInt(n, 10)
}
