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

// Load is a number of callers, each with one record in flight at a time.
type Load struct {
	Callers int
	Each    int           // records by caller
	Timeout time.Duration // of one attempt
	Retries int           // further attempts after a failure
	Name    string        // prefix of ids, so that several loads can use one topic
	Pause   time.Duration // between two records of a caller
}

// Run produces and records results until every record has a final result, or ctx has ended.
func (l *Ledger) Run(ctx context.Context, p Producer, load Load) {
	var callers sync.WaitGroup
	for c := range load.Callers {
		callers.Go(func() {
			for i := 0; i < load.Each && ctx.Err() == nil; i++ {
				l.send(ctx, p, load, fmt.Sprintf("%s%d-%d", load.Name, c, i))
				if load.Pause > 0 {
					pause(ctx, load.Pause)
				}
			}
		})
	}
	callers.Wait()
}

// send produces a record and records the result of each attempt. An attempt that has begun goes on when ctx ends.
func (l *Ledger) send(ctx context.Context, p Producer, load Load, id string) {
	for range load.Retries + 1 {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), load.Timeout)
		md, err := p.Produce(limit, Record(id))
		cancel()
		l.Note(id, md, err)
		if err == nil || ctx.Err() != nil {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Record makes a record identified by id. Its key is also id, so that records spread over partitions.
func Record(id string) registration.Record {
	e := registration.Event{ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Unix(1_700_000_000, 0)}
	return e.Record()
}
