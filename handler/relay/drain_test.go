package relay_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

func queued() registration.Envelope {
	return registration.Envelope{
		Event: withProfile(), Traceparent: "00-" + traceID + "-" + spanID + "-01", Tracestate: "a=1", Queued: time.Now().UTC(), Reason: "unavailable",
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	sound := func() []byte { return queued().Encode() }
	type produce = func(context.Context, registration.Record) (delivery.RecordMetadata, error)
	for name, c := range map[string]struct {
		produce produce
		message func() []byte
		fails   error          // of the outbox
		class   delivery.Class // of the error
		took    time.Duration
		calls   []string
		reason  string // in the poison queue
	}{
		"stored": {
			produce: waits(time.Second, nil), took: time.Second, calls: []string{"Produce", "Sent", "Drained after 1s"},
		},
		"Kafka takes its time": {
			produce: waits(59*time.Second, nil), took: 59 * time.Second, calls: []string{"Produce", "Sent", "Drained after 59s"},
		},
		"its answer is late": {
			produce: lately(100*time.Second, nil), took: 100 * time.Second, calls: []string{"Produce", "Sent", "Drained after 1m40s"},
		},
		"its late answer is no": {
			produce: lately(100*time.Second, fails(delivery.Unavailable)), class: delivery.Unavailable, took: 100 * time.Second, calls: []string{"Produce", "Sent", "NotDrained for unavailable"},
		},
		"it never answers": {
			produce: lately(time.Hour, nil), class: delivery.UnknownOutcome, took: 150 * time.Second, calls: []string{"Produce", "Sent", "NotDrained for unknown-outcome"},
		},
		"Kafka is away": {
			produce: waits(time.Second, fails(delivery.Unavailable)), class: delivery.Unavailable, took: time.Second, calls: []string{"Produce", "Sent", "NotDrained for unavailable"},
		},
		"not authorised": {
			produce: waits(0, fails(delivery.NotAuthorized)), class: delivery.NotAuthorized, calls: []string{"Produce", "Sent", "NotDrained for not-authorized"},
		},
		"a rule of the topic": {
			produce: waits(0, fails(delivery.TopicRule)), class: delivery.TopicRule, calls: []string{"Produce", "Sent", "NotDrained for topic-rule"},
		},
		"too large with its profile": {
			produce: waits(0, fails(delivery.TooLarge), nil), calls: []string{"Produce", "Sent", "Produce", "Sent", "Drained after 0s"},
		},
		"too large without it": {
			produce: waits(0, fails(delivery.TooLarge), fails(delivery.TooLarge)), class: delivery.TooLarge, calls: []string{"Produce", "Sent", "Produce", "Sent", "NotDrained for too-large"},
		},
		"invalid": {
			produce: waits(0, fails(delivery.Invalid)), calls: []string{"Produce", "Sent", "Poisoned for invalid"}, reason: "Kafka rejects the record as invalid.",
		},
		"invalid, and the poison queue is away": {
			produce: waits(0, fails(delivery.Invalid)), fails: errQueue, class: delivery.Fatal, calls: []string{"Produce", "Sent", "NotDrained for fatal"},
		},
		"no message": {
			message: func() []byte { return []byte("hello") }, calls: []string{"Poisoned for invalid"},
			reason: "It cannot be read: body: must be a CloudEvent in JSON, as this program writes it into its outbox",
		},
		"no message, and the poison queue is away": {
			message: func() []byte { return nil }, fails: errQueue, class: delivery.Fatal, calls: []string{"NotDrained for fatal"},
		},
		"of a later version": {
			message: func() []byte {
				return []byte(strings.Replace(string(sound()), `"userrelayversion":1`, `"userrelayversion":2`, 1))
			},
			class: delivery.Fatal, calls: []string{"NotDrained for fatal"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				message := sound
				if c.message != nil {
					message = c.message
				}
				j, s := &journal{produce: c.produce}, &store{fails: c.fails}
				r := j.with(t, s)
				start := time.Now()
				err := r.Drain(t.Context(), message())
				if class := delivery.ClassOf(err); class != c.class {
					t.Errorf("error %v of class %q, want %q", err, class, c.class)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				j.want(t, c.calls...)
				if len(s.messages) > 0 {
					t.Error("it went back into the outbox")
				}
				if got := strings.Join(s.poisoned, "\n"); got != c.reason {
					t.Errorf("reason %q, want %q", got, c.reason)
				}
			})
		})
	}
}

// A drained record has the event's content, and belongs to the trace of the original request.
func TestDrainedRecord(t *testing.T) {
	t.Parallel()
	j := &journal{produce: waits(0, nil)}
	m := queued()
	if err := j.with(t, &store{}).Drain(invocation(t.Context(), ""), m.Encode()); err != nil {
		t.Fatal(err)
	}
	span := j.sent[0].Span
	want := m.Event.Record(registration.Header{Key: "traceparent", Value: span.Traceparent()}, registration.Header{Key: "tracestate", Value: "a=1"})
	if diff := cmp.Diff(want, j.records[0]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if op := trace.FromContext(j.contexts[0]); op.TraceID != traceID || op.SpanID != spanID || op.InvocationID != "inv" {
		t.Errorf("told within %+v", op)
	}
}

// While Kafka is unavailable an invocation waits, and goes on as soon as Kafka is back.
func TestDrainWaitsForKafka(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		back time.Duration // after Drain began
		ok   bool
	}{"it comes back": {20 * time.Second, true}, "it does not": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, s := &journal{}, &store{}
				back := time.Now().Add(time.Hour)
				j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
					return waits(time.Until(back), nil)(ctx, r)
				}
				r := j.with(t, s)
				for range 5 {
					_, _ = r.Deliver(t.Context(), registration.Event{UserID: "auth0|1"})
				}
				back = time.Now().Add(c.back)
				j.calls = nil
				done := make(chan error, 2)
				start := time.Now()
				for range 2 {
					go func() { done <- r.Drain(t.Context(), queued().Encode()) }()
				}
				for range 2 {
					err := <-done
					if (err == nil) != c.ok {
						t.Errorf("error %v after %v", err, time.Since(start))
					}
				}
				if took := time.Since(start); c.ok && took > c.back+2*time.Second {
					t.Errorf("took %v, Kafka was away for %v", took, c.back)
				}
			})
		})
	}
}

// Shutdown ends the waiting of Drain.
func TestDrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: waits(time.Hour, nil)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := j.with(t, &store{}).Drain(ctx, queued().Encode()); err == nil || time.Since(start) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// open opens the breaker.
func open(t *testing.T, j *journal, r *relay.Relay) {
	t.Helper()
	for range 5 {
		if _, err := r.Deliver(t.Context(), registration.Event{UserID: "auth0|1"}); err != nil {
			t.Fatal(err)
		}
	}
	j.want(t, slices.Concat(slices.Repeat([]string{"Received", "Produce", "Sent", "Put", "Outboxed for unavailable"}, 4),
		[]string{"Received", "Produce", "Sent", "Diverted", "Put", "Outboxed for unavailable"})...)
}

// A panic during a drain that tests whether Kafka is back does not block the next drain.
func TestDrainPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		j.produce = func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
			switch n := len(j.records); {
			case n <= 5:
				return delivery.RecordMetadata{}, fails(delivery.Unavailable)
			case n == 6:
				panic("fault")
			default:
				return stored(), nil
			}
		}
		r := j.with(t, &store{})
		open(t, j, r)
		<-time.After(2 * time.Second)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_ = r.Drain(t.Context(), queued().Encode())
		}()
		<-time.After(2 * time.Second)
		if out, err := r.Deliver(t.Context(), event()); err != nil || out.Kafka != stored() {
			t.Errorf("afterwards: %+v, %v", out, err)
		}
	})
}

// Drains that end because of the shutdown do not change the breaker.
func TestDrainsAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		j.produce = func(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
			return waits(time.Second, nil)(ctx, r)
		}
		r := j.with(t, &store{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var drains sync.WaitGroup
		for range 20 {
			drains.Go(func() {
				if err := r.Drain(ctx, queued().Encode()); err == nil {
					t.Error("drained")
				}
			})
		}
		drains.Wait()
		if out, err := r.Deliver(t.Context(), event()); err != nil || out.Kafka != stored() {
			t.Errorf("afterwards: %+v, %v", out, err)
		}
	})
}

// Without an outbox there is no poison queue: a message that cannot be drained stays where it is.
func TestDrainWithoutOutbox(t *testing.T) {
	t.Parallel()
	j := &journal{produce: waits(0, nil)}
	r := j.relay()
	if err := r.Drain(t.Context(), []byte("hello")); err == nil || errors.Is(err, errQueue) {
		t.Errorf("error %v", err)
	}
	if err := r.Drain(t.Context(), queued().Encode()); err != nil {
		t.Error(err)
	}
}
