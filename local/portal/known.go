package portal

import (
	"context"
	"errors"
	"time"
)

// Telemetry arrives a second after the event. If an older record or message has none, it never will: it is from
// another run.
const telemetryLag = 5 * time.Second

// lookAround looks every second for registrations in the topic and in the queues without telemetry, and whether Kafka
// can be reached, until ctx ends.
func (p *Portal) lookAround(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		now := time.Now()
		if p.topic != nil {
			p.lookIntoTopic(now)
		}
		if p.queues != nil {
			p.lookIntoQueues(now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Portal) lookIntoTopic(now time.Time) {
	newest, failed := p.topic.latest()
	if !errors.Is(failed, errNotRead) {
		p.registrations.kafkaIs(failed == nil, now)
	}
	found := false
	for _, r := range newest {
		header := func(name string) string {
			for _, h := range r.Headers {
				if h.Key == name && h.Value != nil {
					return *h.Value
				}
			}
			return ""
		}
		if id := header("ce_id"); id != "" && r.Key != nil && now.Sub(r.at) > telemetryLag {
			place := r.Place
			found = p.registrations.found(Registration{
				Time: r.Time, at: r.at, UserID: *r.Key, EventID: id, Source: header("ce_source"), Operation: operationOf(header("traceparent")),
				Outcome: stored, Place: &place, From: "topic",
			}) || found
		}
	}
	if found {
		p.feed.itemsChanged()
	}
}

func (p *Portal) lookIntoQueues(now time.Time) {
	look, given, _ := p.queues.latest()
	found := false
	for _, m := range look.Messages {
		if e := newWaiting(m); e.EventID != "" && now.Sub(e.at) > telemetryLag {
			found = p.registrations.found(Registration{
				Time: e.Since, at: e.at, UserID: e.UserID, EventID: e.EventID, Operation: e.Operation,
				Outcome: waiting, ErrorClass: e.ErrorClass, From: "outbox",
			}) || found
		}
	}
	for _, m := range given.Messages {
		if e := newPoisoned(m); e.EventID != "" && now.Sub(e.at) > telemetryLag {
			found = p.registrations.found(Registration{
				Time: e.Since, at: e.at, UserID: e.UserID, EventID: e.EventID, Operation: e.operation,
				Outcome: poisoned, From: "outbox",
			}) || found
		}
	}
	if found {
		p.feed.itemsChanged()
	}
}
