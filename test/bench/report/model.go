// Package report makes a page from the results of a benchmark.
//
// It presents all results in the same way: every figure is the median of the rounds with the smallest and the largest,
// ratios are computed within a round, and missed goals and faster peers are in the same tables as the rest.
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
	Dead      Relay = "userrelay, its endpoint dead"
	Hanging   Relay = "userrelay, its endpoint hanging"
	Before    Relay = "userrelay, another build"
	Behind    Relay = "userrelay, telemetry on, behind the host"
	Tuned     Relay = "kafka.Writer, tuned"
	Defaults  Relay = "kafka.Writer, defaults"
	Franz     Relay = "franz-go"
)

// StageID identifies the broker of a stage.
type StageID string

// The stages.
const (
	InProcess StageID = "in-process"
	Apache    StageID = "apache"
	Delayed   StageID = "delayed"
	Endpoint  StageID = "endpoint"
	Host      StageID = "host"
)

// Run has all results of a run of the benchmark.
type Run struct {
	Date     time.Time
	Command  string
	Machine  string   // in words
	Versions []string // "kafka-go v0.4.51"
	Stages   []Stage
	Cold     []Cold
	Binary   int64   // size of the handler, in bytes
	Allocs   []Alloc // nil: not measured
}

// Stage is a broker with a set of relays.
type Stage struct {
	ID      StageID
	Title   string
	About   string  // what the broker is, and how it was loaded
	Missing string  // why the stage was left out; the rest is then empty
	Relays  []Relay // in the order of the columns
	Cells   []Cell
	Sums    []Sum
}

// Load is the load on a relay: a number of callers, each of which waits for the answer, or a rate.
type Load struct {
	Callers int
	Rate    int  // requests a second, whatever is answered; Callers is 0 then
	Gzip    bool // requests have Accept-Encoding: gzip
}

func (l Load) String() string {
	s := strconv.Itoa(l.Rate) + "/s"
	switch {
	case l.Callers == 1:
		s = "1 caller"
	case l.Callers > 0:
		s = strconv.Itoa(l.Callers) + " callers"
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

// Measure is the result of a relay in a round of a cell.
type Measure struct {
	PerSecond float64
	P50, P99  time.Duration
	CPU       time.Duration // of the relay, for a request; 0: not known
}

// Sum has the totals of a relay in a stage.
type Sum struct {
	Relay   Relay
	OK      int   // answers 200
	Failed  int   // everything else
	Records int64 // in its topic; -1 where it has none
	Peak    int64 // memory, bytes; 0: not known
	Items   int64 // telemetry items that arrived; -1 where telemetry is off
}

// Lost says whether the relay answered 200 more often than there are records in its topic.
func (s *Sum) Lost() bool { return s.Records >= 0 && s.Records < int64(s.OK) }

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
			if s.Lost() {
				return fmt.Errorf("%s, %s: %d answers 200, and %d records in the topic", st.Title, s.Relay, s.OK, s.Records)
			}
		}
	}
	return nil
}

// Cold is the time from the start of a relay's process to its first answer 200, for each start.
type Cold struct {
	Relay Relay
	Times []time.Duration
}

// Alloc is one of the handler's Go benchmarks.
type Alloc struct {
	Name   string
	NsOp   float64
	Bytes  int64 // for an operation
	Allocs int64
}

func (r *Run) stage(id StageID) *Stage {
	for i := range r.Stages {
		if r.Stages[i].ID == id && r.Stages[i].Missing == "" {
			return &r.Stages[i]
		}
	}
	return nil
}

func (s *Stage) cell(l Load) *Cell {
	if s == nil {
		return nil
	}
	for i := range s.Cells {
		if s.Cells[i].Load == l {
			return &s.Cells[i]
		}
	}
	return nil
}

func (s *Stage) sum(name Relay) *Sum {
	if s == nil {
		return nil
	}
	for i := range s.Sums {
		if s.Sums[i].Relay == name {
			return &s.Sums[i]
		}
	}
	return nil
}
