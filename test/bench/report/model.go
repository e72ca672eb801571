// Package report makes a page from the results of a benchmark.
//
// It presents all results in the same way: every figure is the median of the rounds with the smallest and the largest,
// ratios are computed within a round, and missed goals are in the same table as the rest.
package report

import (
	"fmt"
	"strconv"
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
	Sums   []Sum
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

// Measure is the result of a relay in a round of a cell. A figure is 0 where it is not known or says nothing.
type Measure struct {
	First     time.Duration // from the start of the process to the first answer
	PerSecond float64       // in a closed loop
	P50, P99  time.Duration
	CPU       time.Duration // of the relay, for a request
}

// Sum has the totals of a relay in a stage.
type Sum struct {
	Relay   Relay
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
		for _, s := range st.Sums {
			if s.Failed > 0 {
				return fmt.Errorf("%s, %s: %d of %d answers were not 200", st.Title, s.Relay, s.Failed, s.Failed+s.OK)
			}
			if s.Records >= 0 && s.Records < int64(s.OK) {
				return fmt.Errorf("%s, %s: %d answers 200, and %d records in the topic", st.Title, s.Relay, s.OK, s.Records)
			}
		}
	}
	return nil
}

// ratio returns the spread of a figure's ratio between two relays in a cell, which may not have been measured.
func (r *Run) ratio(id StageID, l Load, a, b Relay, f metric) (spread, bool) {
	for _, st := range r.Stages {
		for _, c := range st.Cells {
			if st.ID == id && c.Load == l {
				return c.ratio(a, b, f)
			}
		}
	}
	return spread{}, false
}

// sums returns the spread of a figure of a relay's totals over the stages with these ids.
func (r *Run) sums(name Relay, f func(Sum) float64, ids ...StageID) (spread, bool) {
	var values []float64
	for _, st := range r.Stages {
		for _, s := range st.Sums {
			for _, id := range ids {
				if st.ID == id && s.Relay == name && f(s) > 0 {
					values = append(values, f(s))
				}
			}
		}
	}
	return spreadOf(values)
}
