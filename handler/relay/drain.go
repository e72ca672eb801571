package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// Drain stores in Kafka what the outbox held. Without an error the message is done with: it is stored, or it can never be
// and lies in the poison queue. With one it must be tried again.
//
// It waits for Kafka to come back, and for the final outcome, up to 4 minutes in all: a message that is given back early
// comes again as a copy, and each return costs one of its tries.
func (r *Relay) Drain(ctx context.Context, message []byte) error {
	m, err := registration.ParseEnvelope(message)
	if errors.Is(err, registration.ErrNewerVersion) {
		return fmt.Errorf("read the message: %w", err)
	}
	if err != nil {
		return r.poison(ctx, message, err, "It cannot be read: "+err.Error())
	}
	if m.Traceparent != "" {
		op := trace.Start(m.Traceparent, m.Tracestate) // the request's, so that both are one transaction
		now := trace.FromContext(ctx)
		op.InvocationID, op.Name = now.InvocationID, now.Name
		ctx = trace.NewContext(ctx, op)
	}
	md, sent, err := r.sendHeld(ctx, m.Event)
	switch {
	case err == nil:
		r.observer.Drained(ctx, sent, md, time.Since(m.Queued))
		return nil
	case delivery.ClassOf(err) == delivery.Invalid:
		return r.poison(ctx, message, err, "Kafka calls the record invalid.")
	default:
		return err
	}
}

// sendHeld sends the event once Kafka is there, and waits for the final outcome.
func (r *Relay) sendHeld(ctx context.Context, e registration.Event) (delivery.RecordMetadata, registration.Event, error) {
	report := func(error) {}
	if r.breaker != nil {
		hold, cancel := context.WithTimeout(ctx, drainHold)
		defer cancel()
		done, err := r.breaker.wait(hold)
		if err != nil {
			return delivery.RecordMetadata{}, e, err
		}
		var first sync.Once
		report = func(err error) { first.Do(func() { done(err) }) }
	}
	defer func() { report(errPanicked) }() // should it not return
	// Whether Kafka is there is known before the final outcome.
	late := time.AfterFunc(r.kafkaTimeout, func() { report(errLate) })
	defer late.Stop()
	limit, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	md, sent, err := r.sendFitting(limit, e)
	if ctx.Err() != nil {
		report(errGone)
	}
	report(err)
	if after := delivery.LateOf(err); after != nil && ctx.Err() == nil {
		more, cancel := context.WithTimeout(ctx, hiddenFor)
		defer cancel()
		md, err = after(more)
	}
	return md, sent, err
}

var errNoOutbox = errors.New("the outbox is switched off")

// poison puts a message where a person finds it.
func (r *Relay) poison(ctx context.Context, message []byte, err error, reason string) error {
	if r.outbox == nil {
		return fmt.Errorf("move the message to the poison queue: %w", errNoOutbox)
	}
	limit, cancel := context.WithTimeout(ctx, r.outboxTimeout)
	defer cancel()
	if err := r.outbox.Poison(limit, message, reason); err != nil {
		return fmt.Errorf("move the message to the poison queue: %w", err)
	}
	if delivery.ClassOf(err) != delivery.Invalid {
		err = &delivery.Error{Class: delivery.Invalid, Op: "read the message", Err: err}
	}
	r.observer.Poisoned(ctx, err)
	return nil
}
