package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: waits(30*time.Millisecond, nil)}
		start := time.Now()
		out, err := j.relay().Deliver(invocation(t.Context(), ""), withProfile())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(relay.Outcome{Kind: relay.InKafka, EventID: "e-1", Kafka: stored()}, out); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
		j.want(t, "Received", "Produce", "Sent", "Forwarded")
		e := withProfile()
		for what, got := range map[string][]registration.Event{"received": j.received, "forwarded": j.forwarded, "sent": {j.sent[0].Event}} {
			if diff := cmp.Diff([]registration.Event{e}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		want := delivery.SendAttempt{Event: e, Span: j.sent[0].Span, Start: start, Duration: 30 * time.Millisecond, Metadata: stored()}
		if diff := cmp.Diff(want, j.sent[0]); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]delivery.RecordMetadata{stored()}, j.metadata); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(e.Record(registration.Header{Key: "traceparent", Value: j.sent[0].Span.Traceparent()}), j.records[0]); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	})
}

// The record's traceparent is the span that is reported to the observer, a child of the invocation's span.
func TestTraceHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ctx     func(context.Context) context.Context
		traceID string // "" any
		headers []string
	}{
		"of the invocation": {func(ctx context.Context) context.Context { return invocation(ctx, "") }, traceID, []string{"traceparent"}},
		"with its state":    {func(ctx context.Context) context.Context { return invocation(ctx, "a=1") }, traceID, []string{"traceparent", "tracestate"}},
		"of a new trace":    {func(ctx context.Context) context.Context { return ctx }, "", []string{"traceparent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{produce: waits(0, &delivery.Error{Class: delivery.TooLarge, Op: "produce"}, nil)}
			if _, err := j.relay().Deliver(c.ctx(t.Context()), withProfile()); err != nil {
				t.Fatal(err)
			}
			for i, r := range j.records {
				span := j.sent[i].Span
				if span.TraceID != c.traceID && c.traceID != "" || span.SpanID == spanID {
					t.Errorf("try %d: span %+v is no child of the invocation's", i, span)
				}
				var names []string
				for _, h := range r.Headers {
					switch h.Key {
					case "traceparent":
						if h.Value != span.Traceparent() || h.Value == "" {
							t.Errorf("try %d: traceparent %q, the span told is %q", i, h.Value, span.Traceparent())
						}
					case "tracestate":
						if h.Value != "a=1" {
							t.Errorf("try %d: tracestate %q", i, h.Value)
						}
					default:
						continue
					}
					names = append(names, h.Key)
				}
				if diff := cmp.Diff(c.headers, names); diff != "" {
					t.Errorf("try %d: trace headers (-want +got):\n%s", i, diff)
				}
			}
			if a, b := j.sent[0].Span.SpanID, j.sent[1].Span.SpanID; a == b {
				t.Errorf("both tries are the span %s", a)
			}
		})
	}
}

func TestNotStored(t *testing.T) {
	t.Parallel()
	for _, class := range []delivery.Class{
		delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized,
		delivery.UnknownTopic, delivery.Invalid, delivery.Fatal,
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			failure := fmt.Errorf("wrapped: %w", &delivery.Error{Class: class, Op: "produce"})
			j := &journal{produce: waits(0, failure)}
			out, err := j.relay().Deliver(t.Context(), withProfile())
			if !errors.Is(err, failure) || delivery.ClassOf(err) != class {
				t.Errorf("error = %v", err)
			}
			if diff := cmp.Diff(relay.Outcome{}, out); diff != "" {
				t.Errorf("outcome beside the error:\n%s", diff)
			}
			j.want(t, "Received", "Produce", "Sent", "Refused")
			if !errors.Is(j.sent[0].Err, failure) || !errors.Is(j.errors[0], failure) {
				t.Errorf("told of %v and %v, want %v", j.sent[0].Err, j.errors[0], failure)
			}
			if diff := cmp.Diff([]registration.Event{withProfile()}, j.refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	tooLarge := &delivery.Error{Class: delivery.TooLarge, Op: "produce"}
	away := &delivery.Error{Class: delivery.Unavailable, Op: "produce"}
	for name, c := range map[string]struct {
		event   registration.Event
		answers []error
		calls   []string
		want    error
	}{
		"once more without its profile": {withProfile(), []error{tooLarge, nil}, []string{"Received", "Produce", "Sent", "Produce", "Sent", "Forwarded"}, nil},
		"and not a third time":          {withProfile(), []error{tooLarge, tooLarge}, []string{"Received", "Produce", "Sent", "Produce", "Sent", "Refused"}, tooLarge},
		"then Kafka is away":            {withProfile(), []error{tooLarge, away}, []string{"Received", "Produce", "Sent", "Produce", "Sent", "Refused"}, away},
		"there is no profile":           {event(), []error{tooLarge}, []string{"Received", "Produce", "Sent", "Refused"}, tooLarge},
		"it is left out already":        {withProfile().WithoutProfile(), []error{tooLarge}, []string{"Received", "Produce", "Sent", "Refused"}, tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{produce: waits(0, c.answers...)}
			out, err := j.relay().Deliver(t.Context(), c.event)
			if !errors.Is(err, c.want) || (c.want == nil) != (out == relay.Outcome{Kind: relay.InKafka, EventID: "e-1", Kafka: stored()}) {
				t.Errorf("outcome %+v, error %v, want %v", out, err, c.want)
			}
			j.want(t, c.calls...)
			if len(j.records) < 2 {
				return
			}
			want := withProfile().WithoutProfile()
			for what, got := range map[string][]registration.Event{"sent": {j.sent[1].Event}, "in the end": append(j.forwarded, j.refused...)} {
				if diff := cmp.Diff([]registration.Event{want}, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			if diff := cmp.Diff(withProfile(), j.sent[0].Event); diff != "" {
				t.Errorf("sent first (-want +got):\n%s", diff)
			}
			if got := string(j.records[1].Value); got != `{"userId":"auth0|1"}` {
				t.Errorf("second value = %s", got)
			}
			if h := (registration.Header{Key: "ce_profileomitted", Value: "true"}); !slices.Contains(j.records[1].Headers, h) {
				t.Errorf("headers of the second record %v, want %v among them", j.records[1].Headers, h)
			}
		})
	}
}

// Both attempts share one time limit.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	tooLarge := &delivery.Error{Class: delivery.TooLarge, Op: "produce"}
	for name, c := range map[string]struct {
		produce func(context.Context, registration.Record) (delivery.RecordMetadata, error)
		took    time.Duration
		want    delivery.Class
	}{
		"no answer":              {waits(time.Hour, nil), 2 * time.Second, delivery.UnknownOutcome},
		"late":                   {waits(2*time.Second+1, nil), 2 * time.Second, delivery.UnknownOutcome},
		"just in time":           {waits(2*time.Second-1, nil), 2*time.Second - 1, ""},
		"two tries in time":      {waits(time.Second-1, tooLarge, nil), 2*time.Second - 2, ""},
		"the second try is late": {waits(1200*time.Millisecond, tooLarge, nil), 2 * time.Second, delivery.UnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{produce: c.produce}
				start := time.Now()
				_, err := j.relay().Deliver(t.Context(), withProfile())
				if class := delivery.ClassOf(err); class != c.want {
					t.Errorf("error %v of class %q, want %q", err, class, c.want)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				total := time.Duration(0)
				for _, s := range j.sent {
					total += s.Duration
				}
				if total != c.took {
					t.Errorf("the tries took %v as told, want %v", total, c.took)
				}
			})
		})
	}
}

// The delivery goes on if the caller disconnects before or during it.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"before": 0, "meanwhile": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				caller, leave := context.WithCancel(invocation(t.Context(), ""))
				defer leave()
				if after == 0 {
					leave()
				}
				timer := time.AfterFunc(after, leave)
				defer timer.Stop()
				j := &journal{produce: waits(1500*time.Millisecond, nil)}
				out, err := j.relay().Deliver(caller, event())
				if err != nil || out.Kafka != stored() {
					t.Fatalf("outcome %+v, error %v", out, err)
				}
				if caller.Err() == nil {
					t.Fatal("the caller did not leave")
				}
				j.want(t, "Received", "Produce", "Sent", "Forwarded")
				for i, ctx := range j.contexts {
					if op := trace.FromContext(ctx); op.TraceID != traceID || op.InvocationID != "inv" || op.Name != "RegisterUser" || op.SpanID != spanID {
						t.Errorf("%s has another operation: %+v", j.calls[i], op)
					}
				}
			})
		})
	}
}

// Everything that the relay starts for a delivery ends with it.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{produce: waits(0, nil)}
		if _, err := j.relay().Deliver(t.Context(), event()); err != nil {
			t.Fatal(err)
		}
		ctx := j.contexts[1]
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != 2*time.Second {
			t.Errorf("deadline of the producer's context: %v, %t", deadline, ok)
		}
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("the producer's context: %v, want it cancelled", ctx.Err())
		}
	})
}
