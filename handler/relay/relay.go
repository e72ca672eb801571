// Package relay decides where a registration goes: to Kafka; while Kafka does not take it, to the outbox; or nowhere.
//
// It promises that Deliver returns within its time limits, and that it returns an Outcome only when the registration is
// stored durably. What is in the outbox, Drain moves to Kafka.
package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Producer stores records in Kafka. Its errors carry a delivery.Class.
type Producer interface {
	Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error)
}

// Outbox keeps registrations while Kafka does not take them.
type Outbox interface {
	// Put stores a message, hidden for a time from those who drain.
	Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error)
	// Delete and Show delete a hidden message or make it visible; they fail where it has been seen.
	Delete(ctx context.Context, kept delivery.Kept) error
	Show(ctx context.Context, kept delivery.Kept, m registration.Envelope) error
	// Poison stores what can never be drained where a person finds it.
	Poison(ctx context.Context, message []byte, reason string) error
}

// Observer is told what becomes of a registration. It must neither block nor fail.
type Observer interface {
	Received(ctx context.Context, e registration.Event)
	Sent(ctx context.Context, s delivery.Send)
	Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	Put(ctx context.Context, p delivery.Put)
	// Outboxed is told why Kafka does not have it.
	Outboxed(ctx context.Context, e registration.Event, err error)
	// Withdrawn tells that Kafka has stored after all what went into the outbox, and that the copy there is deleted.
	Withdrawn(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration)
	Poisoned(ctx context.Context, err error)
	Refused(ctx context.Context, e registration.Event, err error)
	// Diverted and Resumed tell that registrations go straight to the outbox, and that they do no longer.
	Diverted(ctx context.Context)
	Resumed(ctx context.Context)
}

// Outcome says where a registration is stored: in Kafka, or in the outbox where Outbox has an ID.
type Outcome struct {
	EventID  string
	Kafka    delivery.RecordMetadata
	Outbox   delivery.Kept
	Replayed bool // it was stored before, by a request with the same event id
}

// Times.
const (
	// A message whose record may be stored all the same stays hidden for longer than the producer goes on with it: 60 s and
	// one attempt, which takes 25 s at most.
	hiddenFor = 90 * time.Second
	// An invocation of Drain waits so long for Kafka to come back, and so long for the queue in the producer. With hiddenFor
	// on top it ends before the host's functionTimeout of 5 minutes.
	drainHold    = 60 * time.Second
	drainTimeout = 60 * time.Second
)

// Config names the parts that a relay works with.
type Config struct {
	Producer      Producer
	Outbox        Outbox // nil: what Kafka does not take is refused
	Observer      Observer
	KafkaTimeout  time.Duration
	OutboxTimeout time.Duration
}

// Relay delivers registrations. It is safe for use by several goroutines.
type Relay struct {
	producer      Producer
	outbox        Outbox
	observer      Observer
	kafkaTimeout  time.Duration
	outboxTimeout time.Duration
	breaker       *breaker // nil: without an outbox there is nowhere else to go
	repeats       repeats

	mu       sync.Mutex
	closed   bool
	watchers sync.WaitGroup  // of hidden messages
	life     context.Context //nolint:containedctx // from New to Close; watchers end with it
	end      context.CancelFunc
}

// New returns a relay. It must be closed.
func New(c Config) *Relay {
	r := &Relay{
		producer: c.Producer, outbox: c.Outbox, observer: c.Observer,
		kafkaTimeout: c.KafkaTimeout, outboxTimeout: c.OutboxTimeout,
		repeats: repeats{byKey: map[registration.RepeatKey]*first{}},
	}
	if c.Outbox != nil {
		r.breaker = newBreaker(c.Observer)
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// Close waits until nothing is left to be taken back from the outbox, or until ctx ends: what is left then becomes visible
// by itself, and may be a copy. The producer must be closed before, so that it has answered for all records.
func (r *Relay) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, r.end)
	r.watchers.Wait()
	stop()
	r.end()
}

// Deliver stores the registration. It has time limits of its own: a caller that leaves does not take the delivery along,
// since what it did not hear of may be stored all the same. The error carries a delivery.Class, or is ErrIDTaken.
//
// An event whose id the caller chose is stored once: a repeat, of the same source and id, within 5 minutes has the first
// one's outcome.
func (r *Relay) Deliver(ctx context.Context, e registration.Event) (Outcome, error) {
	r.observer.Received(ctx, e)
	ctx = context.WithoutCancel(ctx)
	if !e.Chosen {
		return r.store(ctx, e)
	}
	out, err := r.repeats.once(e, func() (Outcome, error) { return r.store(ctx, e) })
	if errors.Is(err, ErrIDTaken) {
		r.observer.Refused(ctx, e, &delivery.Error{Class: delivery.Invalid, Op: "look for the event id", Err: err})
	}
	return out, err
}
