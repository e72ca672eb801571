// Package quiet has fakes for parts of a relay that a test does not examine: an observer that ignores everything, and
// an outbox that refuses everything. They implement every method, so that a new method causes a build error here and
// not a panic in a test.
package quiet

import (
	"context"
	"errors"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Observer ignores all events.
type Observer = observer

type observer struct{}

var (
	_ relay.Observer     = Observer{}
	_ functions.Observer = Observer{}
)

func (observer) Received(context.Context, registration.Event)                           {}
func (observer) Sent(context.Context, delivery.SendAttempt)                             {}
func (observer) Forwarded(context.Context, registration.Event, delivery.RecordMetadata) {}
func (observer) Put(context.Context, delivery.PutAttempt)                               {}
func (observer) Outboxed(context.Context, registration.Event, error)                    {}
func (observer) Withdrawn(context.Context, registration.Event, delivery.RecordMetadata) {}
func (observer) Drained(context.Context, registration.Event, delivery.RecordMetadata, time.Duration) {
}
func (observer) Poisoned(context.Context, registration.Event, delivery.Poisoned) {}
func (observer) Refused(context.Context, registration.Event, error)              {}
func (observer) Diverted(context.Context)                                        {}
func (observer) Resumed(context.Context, time.Duration, int)                     {}
func (observer) Emptied(context.Context)                                         {}
func (observer) Unread(context.Context, error)                                   {}
func (observer) Read(context.Context)                                            {}
func (observer) TenantLeftOut(context.Context, registration.Event)               {}
func (observer) NotDrained(context.Context, registration.Event, error)           {}
func (observer) Panicked(context.Context, any, []byte)                           {}
func (observer) Unhealthy(context.Context, error)                                {}
func (observer) Healthy(context.Context)                                         {}

// Outbox is an outbox for tests that need none: all methods fail.
type Outbox = outbox

type outbox struct{}

var _ relay.Outbox = Outbox{}

var errNothing = errors.New("this outbox takes nothing")

func (outbox) Put(context.Context, registration.Envelope, time.Duration) (delivery.Kept, error) {
	return delivery.Kept{}, errNothing
}
func (outbox) Delete(context.Context, delivery.Kept) error              { return errNothing }
func (outbox) Show(context.Context, delivery.Kept, time.Duration) error { return errNothing }
func (outbox) Poison(context.Context, []byte, string) (delivery.Kept, error) {
	return delivery.Kept{}, errNothing
}

func (outbox) Receive(context.Context, int, time.Duration) ([]delivery.Received, error) {
	return nil, errNothing
}
func (outbox) Count(context.Context) (int, error) { return 0, errNothing }
