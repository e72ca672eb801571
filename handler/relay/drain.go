package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// The queue trigger passes one message with each invocation, and waits. These are the time limits for waiting until
// Kafka is back, and for waiting in the producer. Together with hiddenFor they are shorter than the host's
// functionTimeout of 5 minutes.
const (
	triggerHold     = 60 * time.Second
	triggerPatience = 60 * time.Second
)

// Drain stores a message of the outbox in Kafka. If it returns no error the message may be deleted: it is stored in
// Kafka, or it can never be and is in the poison queue. After an error it must be tried again.
//
// It waits up to 4 minutes until Kafka is back and the final outcome is known. A message that is returned to the queue
// earlier could be stored twice, and each return uses up one of its attempts.
func (r *Relay) Drain(ctx context.Context, message []byte) error {
	ctx, d := r.open(ctx, message)
	if d.err == nil && r.breaker != nil {
		hold, cancel := context.WithTimeout(ctx, triggerHold)
		defer cancel()
		d.err = r.breaker.wait(hold)
	}
	r.transfer(ctx, &d, triggerPatience)
	if late := delivery.LateOf(d.err); late != nil {
		limit, cancel := context.WithTimeout(ctx, hiddenFor)
		if ctx.Err() != nil { // shutdown: a message whose record Kafka may still store is not returned before that is known
			limit, cancel = context.WithTimeout(context.WithoutCancel(ctx), endPatience)
		}
		defer cancel()
		d.md, d.err = late(limit)
	}
	return r.close(ctx, &d)
}

// drained is a message of the outbox that is being moved to Kafka. Both ways of draining take the same steps: open,
// transfer, and close once the outcome is known.
type drained struct {
	message []byte
	unread  string                  // why the message can never be read, or ""
	event   registration.Event      // as it was sent
	queued  time.Time               // when it was put into the outbox
	known   bool                    // Kafka had it before
	before  storedMessage           // what is known of that
	md      delivery.RecordMetadata // where err is nil
	err     error
}

// open reads a message, and returns it with the context of the transaction that it belongs to.
func (r *Relay) open(ctx context.Context, message []byte) (context.Context, drained) {
	m, err := registration.ParseEnvelope(message)
	d := drained{message: message, event: m.Event, queued: m.Queued, err: err}
	switch {
	case errors.Is(err, registration.ErrNewerVersion):
		d.err = &delivery.Error{Class: delivery.Fatal, Op: "read the message", Err: err}
		return ctx, d
	case err != nil:
		d.err = &delivery.Error{Class: delivery.Invalid, Op: "read the message", Err: err}
		d.unread = "It cannot be read: " + err.Error()
		return ctx, d
	case m.Origin.Foreign(r.origin):
		d.event = registration.Event{} // it is not for this app's telemetry
		d.err = &delivery.Error{Class: delivery.Fatal, Op: "drain the message", Err: registration.ErrForeign}
		return ctx, d
	}
	if !r.profile && (m.Event.Profile != nil || m.Event.ProfileOmitted) { // the current setting counts
		m.Event = m.Event.IDOnly()
		d.event, d.message = m.Event, m.Encode()
	}
	if m.Traceparent != "" {
		op := trace.Start(m.Traceparent, m.Tracestate) // the request's, so that both are one transaction
		now := trace.FromContext(ctx)
		op.InvocationID, op.Name = now.InvocationID, now.Name
		ctx = trace.NewContext(ctx, op)
	}
	return ctx, d
}

// transfer sends the event to Kafka, unless Kafka has it. The producer returns it unsent if it could not send it
// within the time limit patience.
func (r *Relay) transfer(ctx context.Context, d *drained, patience time.Duration) {
	if d.err != nil {
		return
	}
	if d.before, d.known = r.inKafka.get(keyOf(d.event, d.queued)); d.known {
		if d.before.asked {
			d.known, d.err = false, &delivery.Error{Class: delivery.Unavailable, Op: "wait for the registration's own attempt", Err: errAsked}
		}
		return
	}
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.md, d.event, d.err = r.sendFitting(limit, d.event)
	if d.err == nil && r.breaker != nil && time.Since(start) <= r.kafkaTimeout {
		r.breaker.stored()
	}
}

// close reports the outcome of a message, and moves a message that can never be drained to the poison queue. If it
// returns no error the message may be deleted.
func (r *Relay) close(ctx context.Context, d *drained) error {
	switch {
	case d.known:
		if !d.before.told {
			d.before.told = true // it may be received again before it is deleted
			r.inKafka.set(keyOf(d.event, d.queued), d.before)
			r.observer.Withdrawn(ctx, d.event, d.before.md)
		}
		return nil
	case d.err == nil:
		r.inKafka.add(keyOf(d.event, d.queued), storedMessage{md: d.md, told: true}) // it may be received again before it is deleted
		r.observer.Drained(ctx, d.event, d.md, max(r.now().Sub(d.queued), 0))        // another clock may have put it there
		return nil
	}
	reason := d.unread
	if reason == "" && delivery.ClassOf(d.err) == delivery.Invalid {
		reason = invalidReason
	}
	if reason == "" {
		r.observer.NotDrained(ctx, d.event, d.err)
		return d.err
	}
	if err := r.poison(ctx, d.event, d.message, reason); err != nil {
		r.observer.NotDrained(ctx, d.event, err)
		return err
	}
	return nil
}

var errAsked = errors.New("kafka is being asked to store it")

const (
	invalidReason = "Kafka rejects the record as invalid."
	foreignReason = "It is the message of another app that uses another Kafka."
)

var errNoOutbox = errors.New("the outbox is switched off")

// poison stores a message in the poison queue.
func (r *Relay) poison(ctx context.Context, e registration.Event, message []byte, reason string) error {
	if r.outbox == nil {
		return fmt.Errorf("move the message to the poison queue: %w", errNoOutbox)
	}
	limit, cancel := context.WithTimeout(ctx, r.outboxTimeout)
	defer cancel()
	kept, err := r.outbox.Poison(limit, message, reason)
	if err != nil {
		return fmt.Errorf("move the message to the poison queue: %w", err)
	}
	r.observer.Poisoned(ctx, e, delivery.Poisoned{MessageID: kept.ID, Reason: reason, Class: delivery.Invalid})
	return nil
}

// poisonInvalid stores a copy of a registration that Kafka rejects as invalid in the poison queue, at most one in five
// minutes for each event id. The caller gets the answer that it is not stored, whether or not the copy is.
func (r *Relay) poisonInvalid(ctx context.Context, e registration.Event) {
	key := keyOf(e, time.Unix(0, 0))
	if !r.invalid.add(key, struct{}{}) {
		return
	}
	span := trace.FromContext(ctx)
	m := registration.Envelope{Event: e, Traceparent: span.Traceparent(), Tracestate: span.State, Queued: r.now(), Reason: string(delivery.Invalid), Origin: r.origin}
	if r.poison(ctx, e, m.Encode(), invalidReason) != nil {
		r.invalid.forget(key) // the next attempt may succeed
	}
}
