// Package report makes a page from the results of a benchmark.
//
// It presents all results in the same way: every figure is the median of the rounds with the smallest and the largest,
// ratios are computed within a round, and missed goals are in the same table as the rest.
package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Relay is the displayed name of a measured program.
type Relay string

// The relays.
const (
	Bare      Relay = "net/http alone"
	Ours      Relay = "userrelay"
	Telemetry Relay = "userrelay, telemetry on"
	Before    Relay = "userrelay, another build"
	Writer    Relay = "kafka.Writer"
	Franz     Relay = "franz-go"
)

// StageID names a stage.
type StageID string

// The stages.
const (
	InProcess StageID = "in-process"
	Delayed   StageID = "delayed"
	Apache    StageID = "apache"
	Cold      StageID = "cold"
)

// Run has all results of a run of the benchmark.
type Run struct {
	Date     time.Time
	Command  string
	Machine  string   // in words
	Versions []string // "kafka-go v0.4.51"
	Stages   []Stage
	Binary   int64 // size of the handler, in bytes
}

// Stage is a broker with a set of relays.
type Stage struct {
	ID     StageID
	Title  string
	About  string  // what the broker is, and how it was loaded
	Relays []Relay // in the order of the columns
	Cells  []Cell
	Sums   map[Relay]Sum // none in a stage of starts
}

// Load is the load on a relay: a number of callers, each of which waits for the answer, or a rate. The zero value is a
// start.
type Load struct {
	Callers int
	Rate    int  // requests a second, whatever is answered; Callers is 0 then
	Gzip    bool // requests have Accept-Encoding: gzip
}

func (l Load) String() string {
	s := "start"
	switch {
	case l.Callers == 1:
		s = "1 caller"
	case l.Callers > 0:
		s = strconv.Itoa(l.Callers) + " callers"
	case l.Rate > 0:
		s = strconv.Itoa(l.Rate) + "/s"
	}
	if l.Gzip {
		s += ", gzip"
	}
	return s
}

// Cell is a load with its results, round by round. A relay can be missing in a round.
type Cell struct {
	Load   Load
	Rounds []map[Relay]Measure
}

// Metric is a figure of a measurement, as the tables name it, with its unit.
type Metric string

// The metrics.
const (
	First     Metric = "first answer 200 after the start, ms"
	PerSecond Metric = "requests/s" // in a closed loop
	P50       Metric = "p50, ms"
	P99       Metric = "p99, ms"
	CPU       Metric = "processor time of the relay for a request, µs"
)

// Metrics returns the metrics of a load, which all but the first answer are.
func Metrics() []Metric { return []Metric{PerSecond, P50, P99, CPU} }

// Short returns the metric's name in a table with others.
func (f Metric) Short() string {
	name, _, _ := strings.Cut(string(f), ",")
	name, _, _ = strings.Cut(name, " of")
	return name
}

// Measure has the figures of a relay in a round of a cell. One that is not known or says nothing is 0 or missing.
type Measure map[Metric]float64

// String returns the known figures in a line.
func (m Measure) String() string {
	var known []string
	for _, f := range append(Metrics(), First) {
		if m[f] > 0 {
			known = append(known, f.Short()+" "+number(m[f]))
		}
	}
	return strings.Join(known, ", ")
}

// Sum has the totals of a relay in a stage.
type Sum struct {
	OK      int     // answers 200
	Failed  int     // everything else
	Records int64   // in its topic; -1 where it has none
	Items   int64   // telemetry items that arrived; -1 where telemetry is off
	Peak    float64 // memory, MiB; 0: not known
}

// ItemsPerRequest is the number of telemetry items that the handler sends for a registration: received, forwarded, and
// the dependency.
const ItemsPerRequest = 3

// Check returns an error for results that no relay may have: answers other than 200, and answers without a record.
func (r *Run) Check() error {
	for _, st := range r.Stages {
		for name, s := range st.Sums {
			if s.Failed > 0 {
				return fmt.Errorf("%s, %s: %d of %d answers were not 200", st.Title, name, s.Failed, s.Failed+s.OK)
			}
			if s.Records >= 0 && s.Records < int64(s.OK) {
				return fmt.Errorf("%s, %s: %d answers 200, and %d records in the topic", st.Title, name, s.OK, s.Records)
			}
		}
	}
	return nil
}

// stage returns a stage, which is empty if it was left out.
func (r *Run) stage(id StageID) Stage {
	for _, st := range r.Stages {
		if st.ID == id {
			return st
		}
	}
	return Stage{}
}

// cell returns the cell with a number of callers, 0 for a start. It is empty if there is none.
func (s *Stage) cell(callers int) *Cell {
	for i := range s.Cells {
		if s.Cells[i].Load == (Load{Callers: callers}) {
			return &s.Cells[i]
		}
	}
	return new(Cell)
}
