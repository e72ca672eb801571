// Package delivery names the outcomes of storing a registration: where a record lies, and why it does not. It is the
// vocabulary between those who store (kafka, outbox) and those who decide and tell (relay, functions, insights).
package delivery

import (
	"context"
	"errors"
	"time"

	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// RecordMetadata says where Kafka stored a record.
type RecordMetadata struct {
	Topic     string
	Partition int
	Offset    int64
	Timestamp time.Time // the record's, to the millisecond
	// Throttled is how long the broker asks its client to wait for its quotas (throttle_time_ms); 0: not at all.
	Throttled time.Duration
}

// SendAttempt is one attempt to store a registration in Kafka, as it is seen from outside.
type SendAttempt struct {
	Event    registration.Event
	Span     trace.Operation // the record's traceparent names it
	Start    time.Time
	Duration time.Duration
	Metadata RecordMetadata // where Err is nil
	Err      error
}

// Kept says where the outbox keeps a registration.
type Kept struct {
	Queue   string
	ID      string // of the queue's making
	Receipt string // what the queue wants to see before it changes or deletes the message ("pop receipt")
}

// Received is a message of the outbox that nobody else sees for a while.
type Received struct {
	Kept

	Message []byte
	Tries   int64     // how often it was received, this time counted
	Until   time.Time // it is seen again from then on
}

// ErrSeen says that a message of the outbox is gone, or that somebody else has received it.
var ErrSeen = errors.New("the message is gone, or somebody else has received it")

// Poisoned says which message lies in the poison queue, and why.
type Poisoned struct {
	MessageID string
	Reason    string // a sentence of this program
	Class     Class
}

// PutAttempt is one attempt to keep a registration in the outbox, as it is seen from outside.
type PutAttempt struct {
	Event    registration.Event
	Span     trace.Operation
	Start    time.Time
	Duration time.Duration
	Err      error
}

// Class says why a registration was not stored. The set is closed; its texts are the errorClass of telemetry items.
type Class string

// The classes.
const (
	Unavailable    Class = "unavailable"     // not stored; the same may work in a moment: no connection, no leader, a full queue
	UnknownOutcome Class = "unknown-outcome" // sent, and no answer came: stored or not
	Throttled      Class = "throttled"       // not stored; the broker is asked for more than it gives
	NotAuthorized  Class = "not-authorized"  // not stored until an operator fixes the login or its rights
	UnknownTopic   Class = "unknown-topic"   // not stored until an operator makes the topic
	TopicRule      Class = "topic-rule"      // not stored until an operator fixes a rule of the topic or this machine's clock
	TooLarge       Class = "too-large"       // the broker or the topic accepts only smaller records
	Invalid        Class = "invalid"         // the broker calls the record itself wrong; it will never be stored
	Fatal          Class = "fatal"           // a fault of this program or its set-up that no waiting fixes
)

// Error says why a registration was not stored. Its text names the operation and the class and nothing that a broker
// or a caller sent; the cause is for errors.Is and errors.As.
type Error struct {
	Class Class
	Op    string // what was being done: "produce", "connect to the broker"
	Err   error
	// Late, where it is not nil, waits for how it ended after all: the outcome was unknown because the caller's time was
	// up, and the attempt goes on without it. It may be called once. The outcome stays unknown when ctx ends first.
	Late func(ctx context.Context) (RecordMetadata, error)
}

func (e *Error) Error() string { return e.Op + ": " + string(e.Class) }

func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of an error, Fatal for one that has none, and "" for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Fatal
}

// LateOf returns the Late of an error, or nil.
func LateOf(err error) func(context.Context) (RecordMetadata, error) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Late
	}
	return nil
}
