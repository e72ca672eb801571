package contract_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/quiet"
)

// store is a Kafka with configurable answers, which keeps the last record.
type store struct {
	mu     sync.Mutex
	err    error
	panics bool
	record *registration.Record
}

// tell sets the next answers, and forgets the record.
func (s *store) tell(err error, panics bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.panics, s.record = err, panics, nil
}

// kept returns the last record, or nil.
func (s *store) kept() *registration.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

func (s *store) Produce(_ context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("for the test")
	}
	if s.err != nil {
		return delivery.RecordMetadata{}, s.err
	}
	s.record = &r
	return delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: 42, Timestamp: time.UnixMilli(1_795_560_934_590)}, nil
}

func (s *store) Check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func down(c delivery.Class) error {
	return &delivery.Error{Class: c, Op: "produce", Err: errors.New("for the test")}
}

// outbox accepts everything, unless it is set to fail.
type outbox struct {
	quiet.Outbox

	err error
}

func (o outbox) Put(context.Context, registration.Envelope, time.Duration) (delivery.Kept, error) {
	if o.err != nil {
		return delivery.Kept{}, o.err
	}
	return delivery.Kept{Queue: "userrelay-outbox", ID: "800ae4b3-bdd2-4c08-badd-f08e5a34b865", Receipt: "x"}, nil
}

// Poison accepts a copy.
func (o outbox) Poison(context.Context, []byte, string) (delivery.Kept, error) {
	return delivery.Kept{Queue: "userrelay-outbox-poison", ID: "1", Receipt: "x"}, nil
}

// app is the handler, with an outbox or without.
func app(t *testing.T, s *store, o relay.Outbox, d registration.Decoder) *functions.Handler {
	t.Helper()
	r := relay.New(relay.Config{Producer: s, Outbox: o, Observer: quiet.Observer{}, KafkaTimeout: time.Second, OutboxTimeout: time.Second})
	t.Cleanup(func() { r.Close(context.Background()) })
	return functions.New(functions.Config{
		Decoder: d, Deliver: r, Drain: r, Kafka: s, Observer: quiet.Observer{},
		Build: func() functions.Build {
			return functions.Build{Commit: "c51b745+changed", SHA256: strings.Repeat("0a", 32)}
		},
	})
}
