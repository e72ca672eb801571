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
//	Kafka has it                                     Forwarded
//	Kafka calls the record invalid                   Refused: it would circle
//	anything else, and the outbox has it             Outboxed; hidden while Kafka may have it too
//	neither, but Kafka's late answer has come        Forwarded
//	neither, and Kafka had not been asked            Kafka, whatever the breaker says
//	neither                                          Refused, with Kafka's reason, unless the outbox may have it after all
func (r *Relay) store(ctx context.Context, e registration.Event) (Outcome, error) {
	md, sent, kafkaErr := r.forward(ctx, e)
	if kafkaErr == nil {
		return r.forwarded(ctx, sent, md)
	}
	if r.outbox == nil || delivery.ClassOf(kafkaErr) == delivery.Invalid {
		return r.refused(ctx, sent, kafkaErr)
	}
	kept, outboxErr := r.keep(ctx, e, kafkaErr)
	if outboxErr == nil {
		return Outcome{EventID: e.ID, Outbox: kept}, nil
	}
	if md, sent, kafkaErr = r.lastResort(ctx, e, sent, kafkaErr); kafkaErr == nil {
		return r.forwarded(ctx, sent, md)
	}
	if delivery.ClassOf(outboxErr) == delivery.UnknownOutcome {
		return r.refused(ctx, sent, outboxErr) // it may be in the outbox, whatever Kafka says
	}
	return r.refused(ctx, sent, kafkaErr)
}

// lastResort is for an event that the outbox did not take: Kafka's late answer may have come, and if the breaker kept the
// event from Kafka, Kafka is asked all the same.
func (r *Relay) lastResort(ctx context.Context, e, sent registration.Event, kafkaErr error) (delivery.RecordMetadata, registration.Event, error) {
	if late := delivery.LateOf(kafkaErr); late != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel() // there is no time left to wait
		md, err := late(ended)
		return md, sent, err
	}
	if errors.Is(kafkaErr, errDiverted) {
		return r.send(ctx, e)
	}
	return delivery.RecordMetadata{}, sent, kafkaErr
}

func (r *Relay) forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) (Outcome, error) {
	r.observer.Forwarded(ctx, e, md)
	return Outcome{EventID: e.ID, Kafka: md}, nil
}

func (r *Relay) refused(ctx context.Context, e registration.Event, err error) (Outcome, error) {
	r.observer.Refused(ctx, e, err)
	return Outcome{}, err
}

// forward sends the event to Kafka, unless Kafka is known to be away. It returns the event as it was sent.
func (r *Relay) forward(ctx context.Context, e registration.Event) (md delivery.RecordMetadata, sent registration.Event, err error) {
	if r.breaker == nil {
		return r.send(ctx, e)
	}
	report, err := r.breaker.allow()
	if err != nil {
		return delivery.RecordMetadata{}, e, err
	}
	err = errPanicked // should send not return
	defer func() { report(err) }()
	return r.send(ctx, e)
}

// send sends the event to Kafka within the time for that.
func (r *Relay) send(ctx context.Context, e registration.Event) (delivery.RecordMetadata, registration.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, r.kafkaTimeout)
	defer cancel()
	return r.sendFitting(ctx, e)
}

// sendFitting sends the event, without its profile if the topic takes less than registration.MaxRecord: a registration is
// not lost for its profile.
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
	r.observer.Sent(ctx, delivery.Send{Event: e, Span: span, Start: start, Duration: time.Since(start), Metadata: md, Err: err})
	return md, err
}

// keep puts the event into the outbox. why is what Kafka has against it.
func (r *Relay) keep(ctx context.Context, e registration.Event, why error) (delivery.Kept, error) {
	late, hidden := delivery.LateOf(why), time.Duration(0)
	if late != nil {
		hidden = hiddenFor
	}
	span, start := trace.FromContext(ctx).Child(), time.Now()
	m := registration.Envelope{
		Event: e, Traceparent: span.Traceparent(), Tracestate: span.State, Queued: start, Reason: string(delivery.ClassOf(why)),
	}
	limit, cancel := context.WithTimeout(ctx, r.outboxTimeout)
	defer cancel()
	kept, err := r.outbox.Put(limit, m, hidden)
	r.observer.Put(ctx, delivery.Put{Event: e, Span: span, Start: start, Duration: time.Since(start), Err: err})
	if err != nil {
		return delivery.Kept{}, err
	}
	r.observer.Outboxed(ctx, e, why)
	if late != nil {
		r.watch(ctx, m, kept, late)
	}
	return kept, nil
}

// watch waits for Kafka's late answer to a record that is in the outbox, too. Is it stored, the copy is taken back; is it
// certainly not, the message becomes visible.
func (r *Relay) watch(ctx context.Context, m registration.Envelope, kept delivery.Kept, late func(context.Context) (delivery.RecordMetadata, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.watchers.Go(func() {
		limit, cancel := context.WithTimeout(ctx, hiddenFor)
		defer cancel()
		defer context.AfterFunc(r.life, cancel)() //nolint:contextcheck // it ends with the relay, not with the request
		md, err := late(limit)
		switch {
		case limit.Err() != nil: // it shows by itself
		case err != nil:
			_ = r.outbox.Show(limit, kept, m) // if that fails it shows by itself, later
		case r.outbox.Delete(limit, kept) == nil:
			r.observer.Withdrawn(ctx, m.Event, md)
		default: // it is a copy, and Drain will tell of it
		}
	})
}
