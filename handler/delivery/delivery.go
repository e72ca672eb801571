// Package delivery names the outcomes of storing a registration: where a record is stored, or why it is not. It has
// the types that the packages that store (kafka, outbox) share with those that decide and report (relay, functions,
// insights).
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
	// Throttled is how long the broker's quotas make the client wait (throttle_time_ms); 0: not at all.
	Throttled time.Duration
}

// SendAttempt describes one attempt to store a registration in Kafka.
type SendAttempt struct {
	Event    registration.Event
	Span     trace.Operation // the record's traceparent names it
	Start    time.Time
	Duration time.Duration
	Metadata RecordMetadata // where Err is nil
	Err      error
}

// Kept identifies a registration's message in the outbox.
type Kept struct {
	Queue   string
	ID      string // of the queue's making
	Receipt string // the queue requires it for changing or deleting the message ("pop receipt")
}

// Received is a message of the outbox that is hidden from other receivers for a while.
type Received struct {
	Kept

	Message []byte
	Tries   int64     // how often it was received, including this time
	Until   time.Time // it is visible again from then on
}

// ErrSeen says that a message of the outbox is gone, or that another receiver has it.
var ErrSeen = errors.New("the message is gone, or somebody else has received it")

// Poisoned names a message of the poison queue, and why it is there.
type Poisoned struct {
	MessageID string
	Reason    string // a sentence of this program
	Class     Class
}

// PutAttempt describes one attempt to store a registration in the outbox.
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
	Throttled      Class = "throttled"       // not stored; a quota of the broker is used up
	NotAuthorized  Class = "not-authorized"  // not stored until an operator fixes the login or its rights
	UnknownTopic   Class = "unknown-topic"   // not stored until an operator makes the topic
	TopicRule      Class = "topic-rule"      // not stored until an operator fixes a rule of the topic or this machine's clock
	TooLarge       Class = "too-large"       // the broker or the topic accepts only smaller records
	Invalid        Class = "invalid"         // the broker calls the record itself wrong; it will never be stored
	Fatal          Class = "fatal"           // a fault of this program or its configuration that waiting does not fix
)

// Error says why a registration was not stored. Its text names the operation and the class, and nothing that a broker
// or a caller sent. The cause is for errors.Is and errors.As.
type Error struct {
	Class Class
	Op    string // what was being done: "produce", "connect to the broker"
	Err   error
	// Late is set if the caller's time was up while the attempt goes on. It waits for the final outcome of that
	// attempt, and may be called once. The outcome stays unknown if ctx ends first.
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
