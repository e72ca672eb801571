package relay

import (
	"context"
	"errors"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// store tries Kafka, then the outbox.
//
//	Kafka has it                                      in Kafka
//	Kafka rejects the record as invalid               refused, with a copy in the poison queue: in the outbox it would circle
//	anything else, and the outbox has it              in the outbox; hidden while Kafka may have it, too
//	the outbox has not, but Kafka's late answer comes in Kafka
//	the outbox has not, and Kafka was not asked       Kafka, whatever the breaker says
//	neither                                           refused with Kafka's reason; as not known where the outbox may have it
//
// If it is refused because the outcome is unknown, late is Kafka's late answer.
func (r *Relay) store(ctx context.Context, e registration.Event) (out Outcome, late *answer, err error) {
	md, sent, kafkaErr := r.forward(ctx, e)
	if kafkaErr == nil {
		return r.forwarded(ctx, sent, md), nil, nil
	}
	late = r.await(ctx, kafkaErr)
	switch {
	case r.outbox == nil:
		return Outcome{}, late, r.notStored(ctx, sent, kafkaErr)
	case delivery.ClassOf(kafkaErr) == delivery.Invalid:
		r.poisonInvalid(ctx, sent)
		return Outcome{}, nil, r.notStored(ctx, sent, kafkaErr)
	}
	limit, cancel := context.WithTimeout(ctx, r.outboxTimeout)
	defer cancel()
	kept, queued, outboxErr := r.keep(ctx, limit, e, kafkaErr, late)
	if outboxErr == nil {
		return Outcome{Kind: InOutbox, EventID: e.ID, Outbox: kept}, nil, nil
	}
	maybeKept, key := delivery.ClassOf(outboxErr) == delivery.UnknownOutcome, keyOf(e, queued)
	if maybeKept && !r.inKafka.add(key, storedMessage{asked: true}) { // it was in the outbox, and has been drained
		drained, _ := r.inKafka.get(key)
		return r.forwarded(ctx, e, drained.md), nil, nil
	}
	if md, late, kafkaErr = r.lastResort(ctx, limit, &sent, kafkaErr, late); kafkaErr == nil {
		if maybeKept {
			r.inKafka.set(key, storedMessage{md: md, told: true}) // if the outbox has it, it is deleted when this program receives it
		}
		return r.forwarded(ctx, sent, md), nil, nil
	}
	if maybeKept {
		r.inKafka.forget(key)
		kafkaErr = outboxErr // it may be in the outbox, whatever Kafka answers
		if late != nil {
			r.watch(func(context.Context) {
				if <-late.came; late.err == nil {
					r.inKafka.set(key, storedMessage{md: late.md, told: true})
				}
			})
		}
	}
	return Outcome{}, late, r.notStored(ctx, sent, kafkaErr)
}

// lastResort handles an event that the outbox did not accept. Kafka's late answer may arrive in the rest of the
// outbox's time. If the breaker kept the event from Kafka, it is sent to Kafka now; that answer may be late as well. e
// becomes the event as it was sent.
func (r *Relay) lastResort(ctx, limit context.Context, e *registration.Event, kafkaErr error, late *answer) (delivery.RecordMetadata, *answer, error) {
	switch {
	case late != nil:
		md, err := late.by(limit)
		return md, late, err
	case errors.Is(kafkaErr, errDiverted):
		md, sent, err := r.send(ctx, *e)
		*e = sent
		if err == nil {
			return md, nil, nil
		}
		return md, r.await(ctx, err), err
	default:
		return delivery.RecordMetadata{}, nil, kafkaErr
	}
}

func (r *Relay) forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) Outcome {
	r.observer.Forwarded(ctx, e, md)
	return Outcome{Kind: InKafka, EventID: e.ID, Kafka: md}
}

func (r *Relay) notStored(ctx context.Context, e registration.Event, err error) error {
	r.observer.Refused(ctx, e, err)
	return err
}

// forward sends the event to Kafka, unless Kafka is known to be unavailable. It returns the event as it was sent.
func (r *Relay) forward(ctx context.Context, e registration.Event) (md delivery.RecordMetadata, sent registration.Event, err error) {
	if r.breaker == nil {
		return r.send(ctx, e)
	}
	report, err := r.breaker.allow()
	if err != nil {
		return delivery.RecordMetadata{}, e, err
	}
	err = errPanicked // also if send panics
	defer func() { report(err) }()
	return r.send(ctx, e)
}

// send sends the event to Kafka within kafkaTimeout.
func (r *Relay) send(ctx context.Context, e registration.Event) (delivery.RecordMetadata, registration.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, r.kafkaTimeout)
	defer cancel()
	return r.sendFitting(ctx, e)
}

// sendFitting sends the event, without its profile if the topic accepts only records smaller than
// registration.MaxRecord: a profile must not cost the registration.
func (r *Relay) sendFitting(ctx context.Context, e registration.Event) (delivery.RecordMetadata, registration.Event, error) {
	md, err := r.produce(ctx, e)
	if delivery.ClassOf(err) == delivery.TooLarge && e.Profile != nil {
		e = e.WithoutProfile()
		md, err = r.produce(ctx, e)
	}
	return md, e, err
}

func (r *Relay) produce(ctx context.Context, e registration.Event) (delivery.RecordMetadata, error) {
	span := trace.FromContext(ctx).Child()
	headers := []registration.Header{{Key: "traceparent", Value: span.Traceparent()}}
	if span.State != "" {
		headers = append(headers, registration.Header{Key: "tracestate", Value: span.State})
	}
	start := time.Now()
	md, err := r.producer.Produce(ctx, e.Record(headers...))
	r.observer.Sent(ctx, delivery.SendAttempt{Event: e, Span: span, Start: start, Duration: time.Since(start), Metadata: md, Err: err})
	return md, err
}

// keep puts the event into the outbox, before limit ends. why is the reason that Kafka does not have it, late its late
// answer.
func (r *Relay) keep(ctx, limit context.Context, e registration.Event, why error, late *answer) (kept delivery.Kept, queued time.Time, err error) {
	hidden := time.Duration(0)
	if late != nil {
		hidden = hiddenFor
	}
	span, start, queued := trace.FromContext(ctx).Child(), time.Now(), r.now()
	kept, err = r.outbox.Put(limit, registration.Envelope{
		Event: e, Traceparent: span.Traceparent(), Tracestate: span.State, Queued: queued, Reason: string(delivery.ClassOf(why)),
		Origin: r.origin,
	}, hidden)
	r.observer.Put(ctx, delivery.PutAttempt{Event: e, Span: span, Start: start, Duration: time.Since(start), Err: err})
	if err != nil {
		return delivery.Kept{}, queued, err
	}
	r.observer.Outboxed(ctx, e, why)
	r.stirred.Store(true)
	if late != nil {
		r.takeBack(ctx, e.WithoutProfile(), queued, kept, start.Add(hidden), late)
	} else {
		r.wake()
	}
	return kept, queued, nil
}
