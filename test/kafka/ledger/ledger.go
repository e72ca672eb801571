// Package ledger compares the results for the callers of a Kafka producer with the log.
//
// A caller notes the end of every attempt; the record has its id in the header ce_id. Compare then checks the promises:
// an acknowledged record is at its place exactly once; a record that was reported as not stored is not in the log; and
// copies exist only if a caller tried again after an unknown outcome.
package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
)

// IDHeader is the header that identifies records.
const IDHeader = "ce_id"

// Ledger is safe for use by several goroutines. The zero value is empty.
type Ledger struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// entry has the results for a record.
type entry struct {
	stored  []place
	unknown int
	refused int
}

// Record makes a record identified by id. Its key is also id, so that records spread over partitions.
func Record(id string) registration.Record {
	e := registration.Event{ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Unix(1_700_000_000, 0)}
	return e.Record()
}

// Note records a producer's result for a record.
func (l *Ledger) Note(r registration.Record, md delivery.RecordMetadata, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[string]*entry{}
	}
	id := r.Headers[slices.IndexFunc(r.Headers, func(h registration.Header) bool { return h.Key == IDHeader })].Value
	e := l.entries[id]
	if e == nil {
		e = &entry{}
		l.entries[id] = e
	}
	switch {
	case err == nil:
		e.stored = append(e.stored, place{md.Partition, md.Offset})
	case delivery.ClassOf(err) == delivery.UnknownOutcome:
		e.unknown++
	default:
		e.refused++
	}
}

// Report counts records by their reported and actual outcome.
type Report struct {
	Acknowledged  int // records, not attempts
	Unknown       int // records with only unknown outcomes, or with refusals as well
	UnknownStored int // of these, how many are in the log
	Refused       int // records that were only refused
	Copies        int // records in the log beyond the first of each id
}

type place struct {
	partition int
	offset    int64
}

const maxProblems = 20 // the largest number of reported ones

// Compare compares the log with the notes. The error lists broken promises, including records without an id or with an
// unknown id.
func (l *Ledger) Compare(log []realkafka.Record) (Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var (
		report   Report
		problems []error
		places   = map[string][]place{}
	)
	problem := func(format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	for i := range log {
		id := log[i].Header(IDHeader)
		if l.entries[id] == nil {
			problem("%d@%d: a record with id %q, which nobody sent", log[i].Partition, log[i].Offset, id)
			continue
		}
		places[id] = append(places[id], place{int(log[i].Partition), log[i].Offset})
	}
	for id, e := range l.entries {
		e.count(&report, len(places[id]))
		if err := e.check(places[id]); err != nil {
			problem("%s: %w", id, err)
		}
	}
	return report, errors.Join(problems...)
}

func (e *entry) count(r *Report, found int) {
	switch {
	case len(e.stored) > 0:
		r.Acknowledged++
	case e.unknown > 0:
		r.Unknown++
		r.UnknownStored += min(found, 1)
	default:
		r.Refused++
	}
	r.Copies += max(0, found-1)
}

// check compares the results for a record with its places in the log.
func (e *entry) check(places []place) error {
	for i, p := range e.stored {
		if !slices.Contains(places, p) {
			return fmt.Errorf("lost: acknowledged at %v, it lies at %v", p, places)
		}
		if slices.Contains(e.stored[:i], p) {
			return fmt.Errorf("acknowledged twice at %v", p)
		}
	}
	switch most := len(e.stored) + e.unknown; {
	case most == 0 && len(places) > 0:
		return fmt.Errorf("said to be not stored, it lies at %v", places)
	case len(places) > most:
		return fmt.Errorf("acknowledged %d times and unknown %d times, it lies at %v", len(e.stored), e.unknown, places)
	}
	return nil
}
