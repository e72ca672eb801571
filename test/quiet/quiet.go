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
type Observer struct{}

var (
	_ relay.Observer     = Observer{}
	_ functions.Observer = Observer{}
)

// Received does nothing.
func (Observer) Received(context.Context, registration.Event) {}

// Sent does nothing.
func (Observer) Sent(context.Context, delivery.SendAttempt) {}

// Forwarded does nothing.
func (Observer) Forwarded(context.Context, registration.Event, delivery.RecordMetadata) {}

// Put does nothing.
func (Observer) Put(context.Context, delivery.PutAttempt) {}

// Outboxed does nothing.
func (Observer) Outboxed(context.Context, registration.Event, error) {}

// Withdrawn does nothing.
func (Observer) Withdrawn(context.Context, registration.Event, delivery.RecordMetadata) {}

// Drained does nothing.
func (Observer) Drained(context.Context, registration.Event, delivery.RecordMetadata, time.Duration) {
}

// Poisoned does nothing.
func (Observer) Poisoned(context.Context, registration.Event, delivery.Poisoned) {}

// Refused does nothing.
func (Observer) Refused(context.Context, registration.Event, error) {}

// Diverted does nothing.
func (Observer) Diverted(context.Context) {}

// Resumed does nothing.
func (Observer) Resumed(context.Context, time.Duration, int) {}

// Emptied does nothing.
func (Observer) Emptied(context.Context) {}

// Unread does nothing.
func (Observer) Unread(context.Context, error) {}

// Read does nothing.
func (Observer) Read(context.Context) {}

// TenantLeftOut does nothing.
func (Observer) TenantLeftOut(context.Context, registration.Event) {}

// NotDrained does nothing.
func (Observer) NotDrained(context.Context, registration.Event, error) {}

// Panicked does nothing.
func (Observer) Panicked(context.Context, any, []byte) {}

// Unhealthy does nothing.
func (Observer) Unhealthy(context.Context, error) {}

// Healthy does nothing.
func (Observer) Healthy(context.Context) {}

// Outbox is an outbox for tests that need none: all methods fail.
type Outbox struct{}

var _ relay.Outbox = Outbox{}

var errNothing = errors.New("this outbox takes nothing")

// Put fails.
func (Outbox) Put(context.Context, registration.Envelope, time.Duration) (delivery.Kept, error) {
	return delivery.Kept{}, errNothing
}

// Delete fails.
func (Outbox) Delete(context.Context, delivery.Kept) error { return errNothing }

// Show fails.
func (Outbox) Show(context.Context, delivery.Kept, time.Duration) error { return errNothing }

// Poison fails.
func (Outbox) Poison(context.Context, []byte, string) (delivery.Kept, error) {
	return delivery.Kept{}, errNothing
}

// Receive fails.
func (Outbox) Receive(context.Context, int, time.Duration) ([]delivery.Received, error) {
	return nil, errNothing
}

// Count fails.
func (Outbox) Count(context.Context) (int, error) { return 0, errNothing }
