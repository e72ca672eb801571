package relay

import (
	"context"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// Producer stores records in Kafka. Its errors carry a delivery.Class.
type Producer interface {
	Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error)
	// Check asks Kafka, and returns nil where any leader of the topic answers.
	Check(ctx context.Context) error
}

// Outbox keeps registrations while Kafka does not accept them.
type Outbox interface {
	// Put stores a message, hidden for a time from those who drain.
	Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error)
	// Delete deletes a message, and Show makes a hidden one visible after a time. The error is delivery.ErrSeen where
	// somebody else has deleted or received it since.
	Delete(ctx context.Context, kept delivery.Kept) error
	Show(ctx context.Context, kept delivery.Kept, after time.Duration) error
	// Poison stores what can never be drained where a person finds it.
	Poison(ctx context.Context, message []byte, reason string) (delivery.Kept, error)
	Backlog
}

// Backlog is what lies in the outbox.
type Backlog interface {
	// Receive returns some messages, at most so many, and hides them for a time.
	Receive(ctx context.Context, most int, hidden time.Duration) ([]delivery.Received, error)
	// Count is about how many messages there are, hidden ones among them.
	Count(ctx context.Context) (int, error)
}

// Observer is told what becomes of a registration. It must neither block nor fail.
type Observer interface {
	Received(ctx context.Context, e registration.Event)
	// Sent and Put are told of each attempt to store it in Kafka and in the outbox.
	Sent(ctx context.Context, a delivery.SendAttempt)
	Put(ctx context.Context, a delivery.PutAttempt)
	Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	// Outboxed is told why Kafka does not have it.
	Outboxed(ctx context.Context, e registration.Event, err error)
	// Withdrawn tells that Kafka has stored after all what went into the outbox, and that the copy there is deleted.
	Withdrawn(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration)
	// NotDrained tells that a message stays in the outbox. The event is empty where it could not be read.
	NotDrained(ctx context.Context, e registration.Event, err error)
	// Poisoned tells which message lies in the poison queue now, and why. The event is empty where it could not be read.
	Poisoned(ctx context.Context, e registration.Event, p delivery.Poisoned)
	Refused(ctx context.Context, e registration.Event, err error)
	// Diverted and Resumed tell that registrations go straight to the outbox, and that they do no longer, after a time, with
	// so many messages in the outbox; fewer than none where that is not known.
	Diverted(ctx context.Context)
	Resumed(ctx context.Context, away time.Duration, waiting int)
	// Emptied tells that the outbox is empty again.
	Emptied(ctx context.Context)
	// Unread and Read tell that the outbox cannot be read, so that nothing is drained, and that it can be again.
	Unread(ctx context.Context, err error)
	Read(ctx context.Context)
}
