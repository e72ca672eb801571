// Package delivery names the outcomes of storing a registration: where a record lies, and why it does not. It is the
// vocabulary between those who store (kafka) and those who decide and tell (relay, functions, insights).
package delivery

import (
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
}

// Send is one attempt to store a registration in Kafka, as it is seen from outside.
type Send struct {
	Event    registration.Event
	Span     trace.Operation // the record's traceparent names it
	Start    time.Time
	Duration time.Duration
	Metadata RecordMetadata // where Err is nil
	Err      error
}

// Class says why a registration was not stored. The set is closed; its texts are the errorClass of telemetry items.
type Class string

// The classes.
const (
	Unavailable    Class = "unavailable"     // not stored; the same may work in a moment: no connection, no leader, a full queue
	UnknownOutcome Class = "unknown-outcome" // sent, and no answer came: stored or not
	Throttled      Class = "throttled"       // not stored; the broker is asked for more than it gives
	NotAuthorized  Class = "not-authorized"  // not stored until an operator mends the login or its rights
	UnknownTopic   Class = "unknown-topic"   // not stored until an operator makes the topic
	TooLarge       Class = "too-large"       // the broker or the topic takes only smaller records
	Invalid        Class = "invalid"         // the broker calls the record itself wrong; it will never be stored
	Fatal          Class = "fatal"           // a fault of this program or its set-up that no waiting mends
)

// Error says why a registration was not stored. Its text names the operation and the class and nothing that a broker
// or a caller sent; the cause is for errors.Is and errors.As.
type Error struct {
	Class Class
	Op    string // what was being done: "produce", "connect to the broker"
	Err   error
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
