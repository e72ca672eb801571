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

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// store is an outbox in memory.
type store struct {
	put   time.Duration // that a Put takes
	fails error         // of a Put or a Poison
	stuck error         // of a Delete or a Show

	mu       sync.Mutex
	messages []registration.Envelope
	hidden   []time.Duration
	deleted  []string
	shown    []string
	poisoned []string // reasons
}

func (s *store) Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error) {
	select {
	case <-time.After(s.put):
	case <-ctx.Done():
		return delivery.Kept{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return delivery.Kept{}, s.fails
	}
	s.messages, s.hidden = append(s.messages, m), append(s.hidden, hidden)
	return kept(len(s.messages)), nil
}

func kept(n int) delivery.Kept {
	return delivery.Kept{Queue: "userrelay-outbox", ID: fmt.Sprint("m-", n), Receipt: fmt.Sprint("r-", n)}
}

func (s *store) Delete(_ context.Context, m delivery.Kept) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = append(s.deleted, m.ID+" "+m.Receipt)
	return s.stuck
}

func (s *store) Receive(context.Context, int, time.Duration) ([]delivery.Received, error) {
	return nil, nil
}

func (s *store) Count(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages), nil
}

func (s *store) Show(ctx context.Context, m delivery.Kept, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.shown = append(s.shown, m.ID+" "+m.Receipt)
	return s.stuck
}

func (s *store) Poison(_ context.Context, _ []byte, reason string) (delivery.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return delivery.Kept{}, s.fails
	}
	s.poisoned = append(s.poisoned, reason)
	return delivery.Kept{ID: fmt.Sprint("p-", len(s.poisoned))}, nil
}

// with returns a relay with this outbox, which is closed at the end of the test.
func (j *journal) with(t *testing.T, s relay.Outbox) *relay.Relay {
	t.Helper()
	r := relay.New(relay.Config{Producer: j, Outbox: s, Observer: j, KafkaTimeout: 2 * time.Second, OutboxTimeout: 1500 * time.Millisecond, Profile: true})
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func fails(c delivery.Class) error { return &delivery.Error{Class: c, Op: "produce"} }

// lately returns a produce that is still in progress when its caller's time is up, and ends later with an answer.
func lately(after time.Duration, answer error) func(context.Context, registration.Record) (delivery.RecordMetadata, error) {
	return func(ctx context.Context, _ registration.Record) (delivery.RecordMetadata, error) {
		due := time.Now().Add(after)
		<-ctx.Done()
		return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "wait", Late: func(ctx context.Context) (delivery.RecordMetadata, error) {
			if wait := time.Until(due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return delivery.RecordMetadata{}, fails(delivery.UnknownOutcome)
				}
			}
			if answer != nil {
				return delivery.RecordMetadata{}, answer
			}
			return stored(), nil
		}}
	}
}

var errQueue = errors.New("the queue is away")

// The order of attempts, and every outcome of a delivery.
func TestWhereItGoes(t *testing.T) {
	t.Parallel()
	inKafka := relay.Outcome{Kind: relay.InKafka, EventID: "e-1", Kafka: stored()}
	inOutbox := relay.Outcome{Kind: relay.InOutbox, EventID: "e-1", Outbox: kept(1)}
	type want struct {
		outcome relay.Outcome
		class   delivery.Class
		took    time.Duration
		calls   []string
	}
	for name, c := range map[string]struct {
		produce func(context.Context, registration.Record) (delivery.RecordMetadata, error)
		outbox  *store
		want    want
	}{
		"Kafka has it": {
			waits(time.Second, nil), &store{},
			want{inKafka, "", time.Second, []string{"Received", "Produce", "Sent", "Forwarded"}},
		},
		"Kafka is away": {
			waits(time.Second, fails(delivery.Unavailable)), &store{put: time.Second},
			want{inOutbox, "", 2 * time.Second, []string{"Received", "Produce", "Sent", "Put", "Outboxed for unavailable"}},
		},
		"Kafka is late": {
			lately(time.Hour, nil), &store{},
			want{inOutbox, "", 2 * time.Second, []string{"Received", "Produce", "Sent", "Put", "Outboxed for unknown-outcome"}},
		},
		"Kafka refuses the login": {
			waits(0, fails(delivery.NotAuthorized)), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Put", "Outboxed for not-authorized"}},
		},
		"Kafka has no such topic": {
			waits(0, fails(delivery.UnknownTopic)), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Put", "Outboxed for unknown-topic"}},
		},
		"Kafka throttles": {
			waits(0, fails(delivery.Throttled)), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Put", "Outboxed for throttled"}},
		},
		"a rule of the topic": {
			waits(0, fails(delivery.TopicRule)), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Put", "Outboxed for topic-rule"}},
		},
		"Kafka is late, and the outbox fails at once": {
			lately(3*time.Second, nil), &store{fails: errQueue},
			want{inKafka, "", 3 * time.Second, []string{"Received", "Produce", "Sent", "Put", "Forwarded"}},
		},
		"Kafka is late, and the outbox may have it": {
			lately(time.Hour, nil), &store{fails: fails(delivery.UnknownOutcome)},
			want{relay.Outcome{}, delivery.UnknownOutcome, 3500 * time.Millisecond, []string{"Received", "Produce", "Sent", "Put", "Refused"}},
		},
		"even without its profile it is too large": {
			waits(0, fails(delivery.TooLarge), fails(delivery.TooLarge)), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Produce", "Sent", "Put", "Outboxed for too-large"}},
		},
		"a fault of the set-up": {
			waits(0, errors.New("of no class")), &store{},
			want{inOutbox, "", 0, []string{"Received", "Produce", "Sent", "Put", "Outboxed for fatal"}},
		},
		"Kafka calls it invalid": {
			waits(0, fails(delivery.Invalid)), &store{},
			want{relay.Outcome{}, delivery.Invalid, 0, []string{"Received", "Produce", "Sent", "Poisoned for invalid", "Refused"}},
		},
		"both are away": {
			waits(2*time.Second-1, fails(delivery.Unavailable)), &store{fails: errQueue, put: time.Second},
			want{relay.Outcome{}, delivery.Unavailable, 3*time.Second - 1, []string{"Received", "Produce", "Sent", "Put", "Refused"}},
		},
		"neither answers": {
			lately(time.Hour, nil), &store{put: time.Hour},
			want{relay.Outcome{}, delivery.UnknownOutcome, 3500 * time.Millisecond, []string{"Received", "Produce", "Sent", "Put", "Refused"}},
		},
		"the outbox may have it": {
			waits(time.Second, fails(delivery.Unavailable)), &store{fails: fails(delivery.UnknownOutcome)},
			want{relay.Outcome{}, delivery.UnknownOutcome, time.Second, []string{"Received", "Produce", "Sent", "Put", "Refused"}},
		},
		"the outbox fails, and meanwhile Kafka answers": {
			lately(2500*time.Millisecond, nil), &store{put: time.Second, fails: errQueue},
			want{inKafka, "", 3 * time.Second, []string{"Received", "Produce", "Sent", "Put", "Forwarded"}},
		},
		"the outbox fails, and meanwhile Kafka refuses": {
			lately(2500*time.Millisecond, fails(delivery.Unavailable)), &store{put: time.Second, fails: errQueue},
			want{relay.Outcome{}, delivery.Unavailable, 3 * time.Second, []string{"Received", "Produce", "Sent", "Put", "Refused"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{produce: c.produce}
				r := j.with(t, c.outbox)
				start := time.Now()
				out, err := r.Deliver(t.Context(), withProfile())
				if diff := cmp.Diff(c.want.outcome, out); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
				if class := delivery.ClassOf(err); class != c.want.class {
					t.Errorf("error %v of class %q, want %q", err, class, c.want.class)
				}
				if took := time.Since(start); took != c.want.took {
					t.Errorf("took %v, want %v", took, c.want.took)
				}
				j.want(t, c.want.calls...)
			})
		})
	}
}

// The message in the outbox has the event and the request's trace.
func TestMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{put: time.Second}
		j := &journal{produce: waits(0, fails(delivery.Throttled))}
		start := time.Now()
		if _, err := j.with(t, s).Deliver(invocation(t.Context(), "a=1"), withProfile()); err != nil {
			t.Fatal(err)
		}
		span := j.puts[0].Span
		want := registration.Envelope{
			Event: withProfile(), Traceparent: span.Traceparent(), Tracestate: "a=1", Queued: start, Reason: "throttled",
		}
		if diff := cmp.Diff(want, s.messages[0]); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		if span.TraceID != traceID || span.SpanID == spanID || span.SpanID == j.sent[0].Span.SpanID {
			t.Errorf("span %+v is not a child of its own of the invocation's", span)
		}
		if p := j.puts[0]; p.Start != start || p.Duration != time.Second || p.Err != nil {
			t.Errorf("told of %+v", p)
		}
	})
}

// A message whose record may be in Kafka is hidden until that is known.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	const both = "m-1 r-1"
	type want struct {
		hidden         time.Duration
		deleted, shown []string
		withdrawn      bool
	}
	for name, c := range map[string]struct {
		produce func(context.Context, registration.Record) (delivery.RecordMetadata, error)
		stuck   error
		want    want
	}{
		"stored after all":         {lately(12*time.Second, nil), nil, want{90 * time.Second, []string{both}, nil, true}},
		"stored, and drained, too": {lately(12*time.Second, nil), delivery.ErrSeen, want{90 * time.Second, []string{both}, nil, false}},
		"certainly not":            {lately(12*time.Second, fails(delivery.Unavailable)), nil, want{90 * time.Second, nil, []string{both}, false}},
		"given up":                 {lately(time.Minute, fails(delivery.UnknownOutcome)), nil, want{90 * time.Second, nil, nil, false}},
		"never answered":           {lately(time.Hour, nil), nil, want{90 * time.Second, nil, nil, false}},
		"not sent at all":          {waits(0, fails(delivery.Unavailable)), nil, want{0, nil, nil, false}},
		"unknown for good":         {waits(0, fails(delivery.UnknownOutcome)), nil, want{0, nil, nil, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &store{stuck: c.stuck}
				j := &journal{produce: c.produce}
				r := j.with(t, s)
				if _, err := r.Deliver(t.Context(), event()); err != nil {
					t.Fatal(err)
				}
				r.Close(t.Context()) // waits
				got := want{s.hidden[0], s.deleted, s.shown, len(j.metadata) == 1}
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("message (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Close keeps its time limit, and leaves no goroutines.
func TestCloseWhileAnswersAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		j := &journal{produce: lately(time.Hour, nil)}
		r := j.with(t, s)
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				if _, err := r.Deliver(t.Context(), registration.Event{ID: "derived", UserID: "auth0|1"}); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		start := time.Now()
		limit, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		r.Close(limit)
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if _, err := r.Deliver(t.Context(), event()); err != nil { // one that was cut off from its caller
			t.Errorf("after Close: %v", err)
		}
	})
}

// If the outbox is unavailable as well, the registration is sent to Kafka although the breaker is open.
func TestLastResort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: waits(0, fails(delivery.Unavailable), fails(delivery.Unavailable), fails(delivery.Unavailable),
			fails(delivery.Unavailable), fails(delivery.Unavailable), nil)}
		r := j.with(t, &store{fails: errQueue})
		for i := range 5 {
			if _, err := r.Deliver(t.Context(), registration.Event{ID: strconv.Itoa(i), UserID: "auth0|1"}); delivery.ClassOf(err) != delivery.Unavailable {
				t.Errorf("%d: %v", i, err)
			}
		}
		j.calls = nil
		out, err := r.Deliver(t.Context(), event())
		if err != nil || out.Kafka != stored() {
			t.Errorf("outcome %+v, error %v", out, err)
		}
		j.want(t, "Received", "Put", "Produce", "Sent", "Forwarded")
	})
}

// A record that is refused for its own content does not open the breaker.
func TestRecordsFaultsDoNotDivert(t *testing.T) {
	t.Parallel()
	var answers []error
	for range 20 {
		answers = append(answers, fails(delivery.Invalid))
	}
	j := &journal{produce: waits(0, append(answers, nil)...)}
	r := j.with(t, &store{})
	for range 20 {
		_, err := r.Deliver(t.Context(), registration.Event{UserID: "auth0|1"})
		if delivery.ClassOf(err) != delivery.Invalid {
			t.Fatal(err)
		}
	}
	if out, err := r.Deliver(t.Context(), event()); err != nil || out.Kafka != stored() {
		t.Errorf("outcome %+v, error %v", out, err)
	}
}

func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
