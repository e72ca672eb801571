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
	// Check sends a request to Kafka, and returns nil if any leader of the topic answers.
	Check(ctx context.Context) error
}

// Outbox keeps registrations while Kafka does not accept them.
type Outbox interface {
	// Put stores a message and hides it for a time.
	Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error)
	// Delete deletes a message, and Show makes a hidden one visible after a time. The error is delivery.ErrSeen if
	// another receiver has deleted or received it since.
	Delete(ctx context.Context, kept delivery.Kept) error
	Show(ctx context.Context, kept delivery.Kept, after time.Duration) error
	// Poison stores a message that can never be drained in the poison queue.
	Poison(ctx context.Context, message []byte, reason string) (delivery.Kept, error)
	Backlog
}

// Backlog gives access to the messages in the outbox.
type Backlog interface {
	// Receive returns some messages, up to a limit, and hides them for a time.
	Receive(ctx context.Context, most int, hidden time.Duration) ([]delivery.Received, error)
	// Count returns the approximate number of messages, including hidden ones.
	Count(ctx context.Context) (int, error)
}

// Observer is told the outcomes of registrations. It must neither block nor fail.
type Observer interface {
	Received(ctx context.Context, e registration.Event)
	// Sent and Put report each attempt to store a registration in Kafka and in the outbox.
	Sent(ctx context.Context, a delivery.SendAttempt)
	Put(ctx context.Context, a delivery.PutAttempt)
	Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	// Outboxed reports a registration that is in the outbox, and why it is not in Kafka.
	Outboxed(ctx context.Context, e registration.Event, err error)
	// Withdrawn reports that Kafka has stored a registration after it went into the outbox, and that the copy in the
	// outbox is deleted.
	Withdrawn(ctx context.Context, e registration.Event, md delivery.RecordMetadata)
	Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration)
	// NotDrained reports that a message stays in the outbox. The event is empty if it could not be read.
	NotDrained(ctx context.Context, e registration.Event, err error)
	// Poisoned reports which message is now in the poison queue, and why. The event is empty if it could not be read.
	Poisoned(ctx context.Context, e registration.Event, p delivery.Poisoned)
	Refused(ctx context.Context, e registration.Event, err error)
	// Diverted reports that registrations go directly to the outbox. Resumed reports that they go to Kafka again, how
	// long they did not, and how many messages are in the outbox; a negative number means unknown.
	Diverted(ctx context.Context)
	Resumed(ctx context.Context, away time.Duration, waiting int)
	// Emptied reports that the outbox is empty again.
	Emptied(ctx context.Context)
	// Unread reports that the outbox cannot be read, so that nothing is drained. Read reports that it can be read
	// again.
	Unread(ctx context.Context, err error)
	Read(ctx context.Context)
}
