package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/trace"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
	ms, s   = time.Millisecond, time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Kafka and a queue in memory for a relay. It lives in a synctest bubble of its own.
type rig struct {
	*testing.T

	k *kafka
	q *memory
}

// bubble runs a test in a bubble, beside other tests.
func bubble(t *testing.T, run func(x *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { run(&rig{T: t, k: &kafka{answers: always(0, nil)}, q: &memory{}}) })
}

// each is bubble for each case.
func each[C any](t *testing.T, cases map[string]C, run func(x *rig, c C)) {
	t.Helper()
	t.Parallel()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { bubble(t, func(x *rig) { run(x, c) }) })
	}
}

// with returns a relay with an outbox, or without (nil).
func (x *rig) with(o relay.Outbox) *relay.Relay {
	x.Helper()
	return x.start(relay.Config{Producer: x.k, Outbox: o, Observer: x.k, Profile: true})
}

// start returns a relay that is closed at the end of the test.
func (x *rig) start(c relay.Config) *relay.Relay {
	x.Helper()
	c.KafkaTimeout, c.OutboxTimeout = 2*s, 1500*ms
	r := relay.New(c)
	x.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// draining returns a relay that drains the queue until stop is called; stop waits for its end.
func (x *rig) draining() (r *relay.Relay, stop func()) {
	x.Helper()
	r = x.with(x.q)
	return r, x.background(1, r.DrainWhile)
}

// host starts as many drains of the queue trigger as the Functions host does. It deletes what is drained, and tries
// that once.
func (x *rig) host(r *relay.Relay) {
	x.Helper()
	x.background(24, func(ctx context.Context) {
		for ctx.Err() == nil {
			got, err := x.q.Receive(ctx, 1, 3*time.Minute)
			if err != nil || len(got) == 0 {
				<-time.After(5 * s)
			} else if r.Drain(ctx, got[0].Message) == nil {
				_ = x.q.Delete(ctx, got[0].Kept)
			}
		}
	})
}

// background runs a function n times, until the end of the test or until stop is called, which waits for their end.
func (x *rig) background(n int, run func(ctx context.Context)) (stop func()) {
	x.Helper()
	ctx, cancel := context.WithCancel(x.Context())
	var running sync.WaitGroup
	for range n {
		running.Go(func() { run(ctx) })
	}
	stop = func() { cancel(); running.Wait() }
	x.Cleanup(stop)
	return stop
}

// deliver delivers a registration, which has to be stored.
func (x *rig) deliver(r *relay.Relay, e registration.Event, kind relay.Kind) relay.Outcome {
	x.Helper()
	out, err := r.Deliver(x.Context(), e)
	if err != nil || out.Kind != kind {
		x.Errorf("outcome %+v, error %v, want kind %d", out, err, kind)
	}
	return out
}

// callers deliver registrations of n users, one every so often, and wait for the last answer.
func (x *rig) callers(
	r *relay.Relay, n int, every time.Duration, user func(i int) string, told func(user string, start time.Time, out relay.Outcome),
) {
	var all sync.WaitGroup
	for i := range n {
		e := registered(strconv.Itoa(i), user(i))
		all.Go(func() {
			start := time.Now()
			out, err := r.Deliver(x.Context(), e)
			if err != nil {
				x.Error(err)
			}
			told(e.UserID, start, out)
		})
		<-time.After(every)
	}
	all.Wait()
}

func anybody(i int) string { return fmt.Sprint("auth0|", i) }

// trip opens the breaker of a relay whose Kafka then answers again, which the relay does not know yet.
func (x *rig) trip(r *relay.Relay) {
	x.Helper()
	x.k.now(always(0, fails(delivery.Unavailable)))
	for i := range 5 {
		x.deliver(r, registered(fmt.Sprint("trip-", i), fmt.Sprint("auth0|trip-", i)), relay.InOutbox)
	}
	x.k.now(always(0, nil))
}

func (x *rig) equal(what string, want, got any) {
	x.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		x.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// answer is the answer of a Kafka to a record, or of a queue to a message.
type answer struct {
	takes time.Duration
	err   error // nil: stored
}

// forever is an answer's time after which nobody waits, not even the producer, which otherwise gives up after a minute.
const forever = 1000 * time.Hour

func always(takes time.Duration, err error) func(registration.Record) answer {
	return func(registration.Record) answer { return answer{takes, err} }
}

// script gives the answers in turn, and then always the last one.
func script(answers ...answer) func(registration.Record) answer {
	n := -1
	return func(registration.Record) answer {
		n = min(n+1, len(answers)-1)
		return answers[n]
	}
}

var (
	errQueue = &delivery.Error{Class: delivery.Unavailable, Op: "call the queue: NoConnection"}
	// errUnsent is the answer to a record that waits in the producer's queue until its caller takes it back.
	errUnsent = errors.New("not sent")
	errPanic  = errors.New("the producer panics")
)

func fails(c delivery.Class) error { return &delivery.Error{Class: c, Op: "produce"} }

// stored is the place of the n-th record.
func stored(n int64) delivery.RecordMetadata {
	return delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: n, Timestamp: time.UnixMilli(1641950606804)}
}

// inKafka and inOutbox are the outcomes of event, if it is the first.
func inKafka() relay.Outcome {
	return relay.Outcome{Kind: relay.InKafka, EventID: "e-1", Kafka: stored(1)}
}

func inOutbox() relay.Outcome {
	kept := delivery.Kept{Queue: "userrelay-outbox", ID: "m-1", Receipt: "r-2"}
	return relay.Outcome{Kind: relay.InOutbox, EventID: "e-1", Outbox: kept}
}

func event() registration.Event { return chosen("acme", "e-1", "auth0|1") }

func chosen(tenant, id, userID string) registration.Event {
	return registration.Event{ID: id, Chosen: true, UserID: userID, Source: "urn:auth0:" + tenant, Time: time.Unix(1, 0)}
}

// registered is an event whose id is derived.
func registered(id, userID string) registration.Event {
	e := chosen("acme", id, userID)
	e.Chosen = false
	return e
}

func withProfile() registration.Event {
	e := event()
	e.Profile = []byte(`{"email":"jane@example.com"}`)
	return e
}

func queued() registration.Envelope {
	return registration.Envelope{
		Event: withProfile(), Traceparent: "00-" + traceID + "-" + spanID + "-01", Tracestate: "a=1",
		Queued: time.Now().UTC(), Reason: "unavailable",
	}
}

func invocation(ctx context.Context, state string) context.Context {
	return trace.NewContext(ctx, trace.Operation{
		TraceID: traceID, SpanID: spanID, Flags: "01", State: state, InvocationID: "inv", Name: "RegisterUser",
	})
}

func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
