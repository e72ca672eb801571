// Package relay decides where a registration goes: to Kafka, or nowhere.
//
// It promises that Deliver returns within its time limit, and that it returns an Outcome only when the registration is
// stored durably.
package relay

import (
	"context"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// Producer stores records in Kafka. Its errors carry a delivery.Class.
type Producer interface {
	Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error)
}

// Observer is told what becomes of a registration. It must neither block nor fail.
type Observer interface {
	Received(ctx context.Context, e registration.Event)
	Sent(ctx context.Context, s delivery.Send)
	Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	Refused(ctx context.Context, e registration.Event, err error)
}

// Outcome says where a registration is stored.
type Outcome struct {
	EventID string
	Kafka   delivery.RecordMetadata
}

// Relay delivers registrations.
type Relay struct {
	Producer Producer
	Observer Observer
	Timeout  time.Duration // for Kafka
}

// Deliver stores the registration. It has a time limit of its own: a caller that leaves does not take the delivery
// along, since what it did not hear of may be stored all the same. The error carries a delivery.Class.
func (r *Relay) Deliver(ctx context.Context, e registration.Event) (Outcome, error) {
	r.Observer.Received(ctx, e)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Timeout)
	defer cancel()

	md, err := r.send(ctx, e)
	if delivery.ClassOf(err) == delivery.TooLarge && e.Profile != nil {
		// The topic takes less than MaxRecord. A registration is not lost for its profile.
		e = e.WithoutProfile()
		md, err = r.send(ctx, e)
	}
	if err != nil {
		r.Observer.Refused(ctx, e, err)
		return Outcome{}, err
	}
	r.Observer.Forwarded(ctx, e, md)
	return Outcome{EventID: e.ID, Kafka: md}, nil
}

func (r *Relay) send(ctx context.Context, e registration.Event) (delivery.RecordMetadata, error) {
	span := trace.FromContext(ctx).Child()
	headers := []registration.Header{{Key: "traceparent", Value: span.Traceparent()}}
	if span.State != "" {
		headers = append(headers, registration.Header{Key: "tracestate", Value: span.State})
	}
	start := time.Now()
	md, err := r.Producer.Produce(ctx, e.Record(headers...))
	r.Observer.Sent(ctx, delivery.Send{Event: e, Span: span, Start: start, Duration: time.Since(start), Metadata: md, Err: err})
	return md, err
}
