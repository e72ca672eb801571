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
	p := &page{new(markdown.Page)}
	p.Text("# Benchmarks")
	p.Text("The handler beside other ways to do the same job, all in one run on one machine. This page is made by `make bench`; the figures of another machine differ, the ratios much less.")
	p.List(
		"Date: "+r.Date.UTC().Format("2 January 2006"),
		"Machine: "+r.Machine+". Load generator, relay and broker share it",
		"With "+strings.Join(r.Versions, ", "),
		"Command: `"+r.Command+"`",
	)
	p.method()
	goalTable := r.goalTable()
	p.Heading("Goals")
	p.Text("A goal counts as reached by the median. Telemetry is on where people run the handler, so its rows come first.")
	p.Table(goalTable)
	p.versus(r)
	p.Heading("Where it is worse")
	if worse := r.worse(); len(worse) > 0 {
		p.Text("Every case in which another relay is ahead, by the same rule:")
		p.List(worse...)
	} else {
		p.Text("In none of the cells is another relay ahead, by the same rule.")
	}
	for i := range r.Stages {
		p.stage(&r.Stages[i])
	}
	p.size(r)
	p.sums(r)
	return p.Page
}

type page struct{ *markdown.Page }

func (p *page) method() {
	p.Heading("How it is measured")
	p.List(
		fmt.Sprintf("`%s` is this project's handler as it is shipped, without telemetry; `%s` sends its telemetry to an endpoint in a process of its own that counts the items. Both have `LOG_LEVEL=error`: a line for every event is for people, and in Azure there is none.", Ours, Telemetry),
		fmt.Sprintf("`%s` reads the body and sends an answer as long as ours. It stores nothing: it is the limit of what a Go server does here.", Bare),
		fmt.Sprintf("`%s`, `%s` and `%s` are reference relays in `test/bench/relay`: the same request, record and answer, one record a request, acks=all. Tuned means a batch timeout of 5 ms and batches of 1000; the defaults are 1 s and 100. franz-go has linger 0, no compression, and its defaults otherwise (idempotent). They do less than the handler: no limits, no error classes, no telemetry.", Tuned, Defaults, Franz),
		"All relays run with the same targets of the garbage collector, those that the handler sets for itself (`GOGC=400`, `GOMEMLIMIT=128MiB`); the handler is built with profile-guided optimisation, as it is shipped, the reference relays are not.",
		"Every relay is a process of its own, and so is the broker. They run one after the other in every round, each round beginning with another one, after a short warm-up of each. Requests and records are the same for all.",
		"Callers wait for an answer before they send again (closed loop). Rates are Poisson arrivals, sent whether earlier ones are answered or not (open loop); latency counts from the moment a request was due.",
		"Figures are the median of the rounds, with the smallest and the largest in brackets. Ratios are made within a round. *Ahead* and *behind* need a median more than 5 % from 1 and three quarters of the rounds on that side; everything else is a *tie*.",
		"Processor time is that of the relay's process for all requests of a measurement, its warm-up and the telemetry that is sent afterwards included.",
		"An answer counts when it is 200 and whole. After each stage the records in each relay's topic are counted: never fewer than its answers 200, or the run fails.",
	)
}

func (p *page) versus(r *Run) {
	p.Heading("Against franz-go")
	p.Text("Our figure by franz-go's: more is better for requests/s, less for the others.")
	found := false
	for i := range r.Stages {
		if t, ok := r.Stages[i].versus(Franz); ok {
			p.Table(t)
			found = true
		}
	}
	if !found {
		p.Text("Not measured.")
	}
}

func (p *page) stage(s *Stage) {
	p.Heading(s.Title)
	p.Text(s.About)
	if s.Missing != "" {
		p.Text(s.Missing)
		return
	}
	for _, f := range []struct {
		title string
		of    metric
		keep  func(Load) bool
	}{
		{"requests/s", perSecond, closed},
		{"p50, ms", p50, everyLoad},
		{"p99, ms", p99, everyLoad},
		{"processor time of the relay for a request, µs", cpu, everyLoad},
	} {
		if t, ok := s.figures(f.title, f.of, f.keep); ok {
			p.Table(t)
		}
	}
	if slices.Contains(s.Relays, Bare) {
		t := new(markdown.Table).Text("requests/s by net/http alone's")
		for _, name := range s.Relays[1:] {
			t.Figures(string(name))
		}
		for i := range s.Cells {
			if !closed(s.Cells[i].Load) {
				continue
			}
			row := []string{s.Cells[i].Load.String()}
			for _, name := range s.Relays[1:] {
				row = append(row, orDash(s.Cells[i].ratio(name, Bare, perSecond)))
			}
			t.Row(row...)
		}
		if t.Rows() > 0 {
			p.Table(t)
		}
	}
}

func orDash(s spread, ok bool) string {
	if !ok {
		return "–"
	}
	return s.String()
}

func (p *page) size(r *Run) {
	p.Heading("Start, memory, size")
	t := new(markdown.Table).Text("").Figures("first answer 200 after the start, ms", "peak memory in the in-process stage, MiB")
	for _, name := range []Relay{Bare, Telemetry, Ours, Tuned, Defaults, Franz} {
		cold, okCold := coldOf(name)(r)
		peak, okPeak := peakOf(name)(r)
		if okCold || okPeak {
			t.Row(string(name), orDash(cold, okCold), orDash(peak, okPeak))
		}
	}
	p.Table(t)
	p.Text(fmt.Sprintf("The handler's program has %s MB. The reference relays are one program with both libraries.", number(float64(r.Binary)/1e6)))
	if len(r.Allocs) > 0 {
		p.Text("The handler's Go benchmarks (`go test -bench=. -benchmem ./handler/...`):")
		a := new(markdown.Table).Text("benchmark").Figures("ns", "bytes allocated", "allocations")
		for _, b := range r.Allocs {
			a.Row("`"+b.Name+"`", number(b.NsOp), count(b.Bytes), count(b.Allocs))
		}
		p.Table(a)
	}
}

func (p *page) sums(r *Run) {
	p.Heading("Answers and records")
	p.Text("All answers of each stage, warm-up included. More records than answers are copies, or records whose answer came too late; fewer would be losses.")
	t := new(markdown.Table).Text("relay", "broker").Figures("answers 200", "other answers", "records", "telemetry items")
	for _, st := range r.Stages {
		for _, s := range st.Sums {
			t.Row(string(s.Relay), st.Title, strconv.Itoa(s.OK), strconv.Itoa(s.Failed), count(s.Records), count(s.Items))
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
