// Package audit compares the answers to callers with the topic.
//
// The header ce_id identifies records. An event whose caller was answered 200 or 202 must be in the topic, preferably
// once. A record without such an answer is not a fault: the caller would try again with the same id.
package audit

import (
	"fmt"
	"slices"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/load"
)

// Outcome is the result of an event for its caller. Every event is sent once.
type Outcome struct {
	ID         string
	Status     int           // of the answer; 0: none came
	RetryAfter bool          // the answer has that header
	Start      time.Time     // when the request was due
	Took       time.Duration // from then to the complete answer, or to the time limit
	Place                    // from an answer 200
}

// Place is where a record lies, as answers tell it.
type Place struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// Stored says that the answer promised that the event is stored.
func (o *Outcome) Stored() bool { return o.Status == 200 || o.Status == 202 }

// Report counts events.
type Report struct {
	Requests int
	Status   map[int]int // answers by status; 0: no answer

	Stored     int      // answered 200 or 202
	Lost       []string // of these, the ids that do not lie in the topic
	Elsewhere  int      // answered 200, and they lie in the topic, but not where the answer says
	Copies     int      // records beyond the first of an id
	Unanswered int      // events that lie in the topic without such an answer
	Foreign    int      // records with no id, or one that nobody sent
}

// Not2xx is the number of events that were not answered 200 or 202.
func (r *Report) Not2xx() int { return r.Requests - r.Stored }

func (r *Report) String() string {
	return fmt.Sprintf("%d events: %d answered 200, %d 202, %d otherwise, %d not at all; %d lost, %d copies, %d stored but not answered so",
		r.Requests, r.Status[200], r.Status[202], r.Not2xx()-r.Status[0], r.Status[0], len(r.Lost), r.Copies, r.Unanswered)
}

// Compare compares the outcomes with all records of the topic.
func Compare(outcomes []Outcome, log []realkafka.Record) *Report {
	r := &Report{Requests: len(outcomes), Status: map[int]int{}}
	places := make(map[string][]Place, len(log))
	for i := range log {
		id := log[i].Header("ce_id")
		places[id] = append(places[id], Place{log[i].Partition, log[i].Offset})
	}
	for i := range outcomes {
		o := &outcomes[i]
		at := places[o.ID]
		delete(places, o.ID)
		r.Status[o.Status]++
		r.Copies += max(0, len(at)-1)
		switch {
		case !o.Stored():
			r.Unanswered += min(1, len(at))
			continue
		case len(at) == 0:
			r.Lost = append(r.Lost, o.ID)
		case o.Status == 200 && !slices.Contains(at, o.Place):
			r.Elsewhere++
		}
		r.Stored++
	}
	for _, at := range places { // the remaining ones were not sent
		r.Foreign += len(at)
	}
	return r
}

// Percentile returns the time within which the share p of the outcomes arrived, 0 < p <= 1. They may be in any order.
// It returns 0 without outcomes.
func Percentile(outcomes []Outcome, p float64) time.Duration {
	took := make([]time.Duration, len(outcomes))
	for i := range outcomes {
		took[i] = outcomes[i].Took
	}
	return load.Percentile(took, p)
}
