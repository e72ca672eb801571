package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Registration is an event of the topic (docs/event.md).
type Registration struct {
	ID, Source string // ce_id and ce_source: together they name it, and all copies of it have the same
	Type       string // ce_type
	UserID     string // the record's key
	Time       string // ce_time, RFC 3339
	Value      []byte // JSON with userId, and the profile where the function sends it
}

// read reads a record's headers. It is false for what is no event of ours.
func read(r *kgo.Record) (Registration, bool) {
	e := Registration{UserID: string(r.Key), Value: r.Value}
	for _, h := range r.Headers {
		switch value := string(h.Value); h.Key {
		case "ce_id":
			e.ID = value
		case "ce_source":
			e.Source = value
		case "ce_type":
			e.Type = value
		case "ce_time":
			e.Time = value
		}
	}
	return e, e.ID != "" && e.Source != "" && e.Type == "user.created"
}

// consume hands each registration to handle once, and commits how far it has come when all that was read is handled. It
// returns when ctx ends or handle fails: what was not committed then comes again at the next start.
func consume(ctx context.Context, client *kgo.Client, known *seen, handle func(Registration) error) error {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // it says that it was told to end
		}
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read the topic: %w", err)
		}
		for _, record := range fetches.Records() {
			e, ours := read(record)
			if !ours || known.has(e) {
				continue
			}
			if err := handle(e); err != nil {
				return fmt.Errorf("handle the registration at %d of partition %d: %w", record.Offset, record.Partition, err)
			}
			known.add(e)
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return fmt.Errorf("commit how far it was read: %w", err)
		}
		client.AllowRebalance()
	}
}

// quoted is a user id for a terminal: ids may hold line feeds and characters that nobody sees.
func quoted(id string) string { return strconv.QuoteToGraphic(id) }
