package relay_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

// journal is a producer and an observer that record their calls.
type journal struct {
	produce func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error)
	check   func(ctx context.Context) error // nil: Kafka answers

	mu        sync.Mutex
	asked     []time.Time // by Check
	calls     []string
	records   []registration.Record
	contexts  []context.Context
	received  []registration.Event
	sent      []delivery.SendAttempt
	forwarded []registration.Event
	metadata  []delivery.RecordMetadata
	puts      []delivery.PutAttempt
	refused   []registration.Event
	errors    []error
}

func (j *journal) note(ctx context.Context, call string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, call)
	j.contexts = append(j.contexts, ctx)
}

func (j *journal) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	j.note(ctx, "Produce")
	j.mu.Lock()
	j.records = append(j.records, r)
	produce := j.produce
	j.mu.Unlock()
	return produce(ctx, r)
}

func (j *journal) Check(ctx context.Context) error {
	j.mu.Lock()
	j.asked = append(j.asked, time.Now())
	j.mu.Unlock()
	if j.check == nil {
		return nil
	}
	return j.check(ctx)
}

func (j *journal) Received(ctx context.Context, e registration.Event) {
	j.note(ctx, "Received")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.received = append(j.received, e)
}

func (j *journal) Sent(ctx context.Context, s delivery.SendAttempt) {
	j.note(ctx, "Sent")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent = append(j.sent, s)
}

func (j *journal) Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	j.note(ctx, "Forwarded")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forwarded, j.metadata = append(j.forwarded, e), append(j.metadata, md)
}

func (j *journal) Refused(ctx context.Context, e registration.Event, err error) {
	j.note(ctx, "Refused")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refused, j.errors = append(j.refused, e), append(j.errors, err)
}

func (j *journal) Put(ctx context.Context, p delivery.PutAttempt) {
	j.note(ctx, "Put")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.puts = append(j.puts, p)
}

func (j *journal) Outboxed(ctx context.Context, _ registration.Event, err error) {
	j.note(ctx, "Outboxed for "+string(delivery.ClassOf(err)))
}

func (j *journal) Withdrawn(ctx context.Context, _ registration.Event, md delivery.RecordMetadata) {
	j.note(ctx, "Withdrawn")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.metadata = append(j.metadata, md)
}

func (j *journal) Drained(ctx context.Context, e registration.Event, md delivery.RecordMetadata, queued time.Duration) {
	j.note(ctx, "Drained after "+queued.String())
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forwarded, j.metadata = append(j.forwarded, e), append(j.metadata, md)
}

func (j *journal) NotDrained(ctx context.Context, _ registration.Event, err error) {
	j.note(ctx, "NotDrained for "+string(delivery.ClassOf(err)))
}

func (j *journal) Poisoned(ctx context.Context, _ registration.Event, p delivery.Poisoned) {
	j.note(ctx, "Poisoned for "+string(p.Class))
}

func (j *journal) Diverted(ctx context.Context) { j.note(ctx, "Diverted") }

func (j *journal) Resumed(ctx context.Context, away time.Duration, waiting int) {
	j.note(ctx, fmt.Sprintf("Resumed after %v, %d wait", away, waiting))
}

func (j *journal) Emptied(ctx context.Context) { j.note(ctx, "Emptied") }

func (j *journal) Unread(ctx context.Context, _ error) { j.note(ctx, "Unread") }

func (j *journal) Read(ctx context.Context) { j.note(ctx, "Read") }

// become changes the Kafka.
func (j *journal) become(produce func(context.Context, registration.Record) (delivery.RecordMetadata, error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.produce = produce
}

// told has all reports so far, n the number of sent records, questions the number of checks.
func (j *journal) told() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.calls)
}

func (j *journal) n() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.records)
}

func (j *journal) questions() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.asked)
}

// forget begins a new list of records.
func (j *journal) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = nil
}

// count returns the number of reports with that prefix.
func (j *journal) count(beginning string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, call := range j.calls {
		if strings.HasPrefix(call, beginning) {
			n++
		}
	}
	return n
}

// relay returns a relay without an outbox.
func (j *journal) relay() *relay.Relay {
	return relay.New(relay.Config{Producer: j, Observer: j, KafkaTimeout: 2 * time.Second, Profile: true})
}

// waits returns a produce that needs some time and then returns the errors in turn; nil means stored.
func waits(d time.Duration, answers ...error) func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
	n := 0
	return func(ctx context.Context, _ registration.Record) (delivery.RecordMetadata, error) {
		err := answers[n]
		n++
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "produce", Err: ctx.Err()}
		}
		if err != nil {
			return delivery.RecordMetadata{}, err
		}
		return stored(), nil
	}
}

func stored() delivery.RecordMetadata {
	return delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: 317, Timestamp: time.UnixMilli(1641950606804)}
}

func event() registration.Event {
	return registration.Event{ID: "e-1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme", Time: time.Unix(1, 0)}
}

func withProfile() registration.Event {
	e := event()
	e.Profile = []byte(`{"email":"jane@example.com"}`)
	return e
}

func invocation(ctx context.Context, state string) context.Context {
	return trace.NewContext(ctx, trace.Operation{TraceID: traceID, SpanID: spanID, Flags: "01", State: state, InvocationID: "inv", Name: "RegisterUser"})
}

func (j *journal) want(t *testing.T, calls ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if diff := cmp.Diff(calls, j.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
