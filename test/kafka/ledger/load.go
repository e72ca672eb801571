package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Producer is the producer under load.
type Producer interface {
	Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error)
}

// Load is how callers behave, each with one record in flight at a time.
type Load struct {
	Timeout time.Duration // of one attempt
	Retries int           // further attempts after a failure
	Name    string        // prefix of ids, so that several loads can use one topic
	Pause   time.Duration // between two records of a caller
}

// callers is their number, of one load.
const callers = 32

// Start starts callers that record the results of their attempts. stop has them end, and waits for their last records.
func (l *Ledger) Start(p Producer, load Load) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := 0; ; i++ {
				l.send(p, load, fmt.Sprintf("%s%d-%d", load.Name, c, i))
				select {
				case <-time.After(load.Pause):
				case <-end:
					return
				}
			}
		})
	}
	return func() {
		close(end)
		all.Wait()
	}
}

// send produces a record and records the result of each attempt.
func (l *Ledger) send(p Producer, load Load, id string) {
	for range load.Retries + 1 {
		limit, cancel := context.WithTimeout(context.Background(), load.Timeout)
		md, err := p.Produce(limit, Record(id))
		cancel()
		l.Note(id, md, err)
		if err == nil {
			return
		}
	}
}

// Record makes a record identified by id. Its key is also id, so that records spread over partitions.
func Record(id string) registration.Record {
	e := registration.Event{ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Unix(1_700_000_000, 0)}
	return e.Record()
}
