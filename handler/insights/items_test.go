package insights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// private is text that no item and no line may hold: an e-mail address in a profile, a broker's text, a secret.
const private = "jane.doe@example.com"

func registeredEvent() registration.Event {
	return registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:auth0:acme", Profile: []byte(`{"email":"` + private + `"}`)}
}

func storedPlace() delivery.RecordMetadata {
	return delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: 317}
}

// invokedContext is a context of an invocation of RegisterUser.
func invokedContext(t *testing.T) context.Context {
	t.Helper()
	return trace.NewContext(t.Context(), trace.Operation{
		TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", Flags: "01", InvocationID: "6b1a", Name: "RegisterUser",
	})
}

// sentEvent is a send that took 30 ms.
func sentEvent(err error) delivery.SendAttempt {
	s := delivery.SendAttempt{
		Event: registeredEvent(), Span: trace.Operation{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "00f067aa0ba902b7", Flags: "01"},
		Start: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Duration: 30 * time.Millisecond, Err: err,
	}
	if err == nil {
		s.Metadata = storedPlace()
	}
	return s
}

// with returns properties with one more.
func with(properties map[string]string, name, value string) map[string]string {
	properties = maps.Clone(properties)
	properties[name] = value
	return properties
}

func putEvent(err error) delivery.PutAttempt {
	s := sentEvent(err)
	return delivery.PutAttempt{Event: s.Event, Span: s.Span, Start: s.Start, Duration: s.Duration, Err: err}
}

func failedWith(class delivery.Class) error {
	return fmt.Errorf("deliver: %w", &delivery.Error{Class: class, Op: "produce", Err: errors.New(private)})
}

// promise is a call of Telemetry and the item that it makes: the contract with queries, alerts and people.
type promise struct {
	call func(ctx context.Context, t *insights.Telemetry)
	want toldItem
}

func promises() map[string]promise {
	event := func(event string, more ...string) map[string]string {
		p := map[string]string{"event": event, "userId": "auth0|1", "eventId": "e-1", "source": "urn:auth0:acme"}
		for _, pair := range more {
			key, value, _ := strings.Cut(pair, "=")
			p[key] = value
		}
		return p
	}
	sent := event("", "topic=user-events", "partition=3", "offset=317")
	delete(sent, "event")
	all := map[string]promise{
		"received": {
			func(ctx context.Context, t *insights.Telemetry) { t.Received(ctx, registeredEvent()) },
			toldItem{Kind: "trace", Text: "Received ID of the newly registered user: auth0|1", Severity: contracts.Information, Properties: event("received")},
		},
		"received: an id that could be taken for more": {
			func(ctx context.Context, t *insights.Telemetry) {
				e := registeredEvent()
				e.UserID = "auth0|1\n\u202e2"
				t.Received(ctx, e)
			},
			toldItem{
				Kind: "trace", Text: `Received ID of the newly registered user: "auth0|1\n\u202e2"`, Severity: contracts.Information,
				Properties: event("received", "userId=auth0|1\n\u202e2"), // by which it is found: as it is
			},
		},
		"tenant left out": {
			func(ctx context.Context, t *insights.Telemetry) { t.TenantLeftOut(ctx, registeredEvent()) },
			toldItem{
				Kind: "trace", Text: "The tenant that the request names cannot be one: left out", Severity: contracts.Warning,
				Properties: event("tenant-left-out"),
			},
		},
		"forwarded": {
			func(ctx context.Context, t *insights.Telemetry) { t.Forwarded(ctx, registeredEvent(), storedPlace()) },
			toldItem{
				Kind: "trace", Text: "Forwarded to user-events[3]@317", Severity: contracts.Information,
				Properties: event("forwarded", "topic=user-events", "partition=3", "offset=317"),
			},
		},
		"sent": {
			func(ctx context.Context, t *insights.Telemetry) { t.Sent(ctx, sentEvent(nil)) },
			toldItem{Kind: "dependency", Text: "send user-events", Properties: sent, Dependency: toldDependency{
				Type: "Queue Message | kafka", Target: "b-1.example.com/user-events", ID: "00f067aa0ba902b7",
				ResultCode: "0", Duration: "0.00:00:00.0300000", Success: true,
			}},
		},
		"sent, throttled for its successors": {
			func(ctx context.Context, t *insights.Telemetry) {
				s := sentEvent(nil)
				s.Metadata.Throttled = 1500 * time.Millisecond
				t.Sent(ctx, s)
			},
			toldItem{Kind: "dependency", Text: "send user-events", Properties: with(sent, "throttledMs", "1500"), Dependency: toldDependency{
				Type: "Queue Message | kafka", Target: "b-1.example.com/user-events", ID: "00f067aa0ba902b7",
				ResultCode: "0", Duration: "0.00:00:00.0300000", Success: true,
			}},
		},
		"outboxed": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Outboxed(ctx, registeredEvent(), failedWith(delivery.Throttled))
			},
			toldItem{
				Kind: "trace", Text: "Kafka unavailable, kept in the outbox", Severity: contracts.Warning,
				Properties: event("outboxed", "errorClass=throttled"),
			},
		},
		"withdrawn": {
			func(ctx context.Context, t *insights.Telemetry) { t.Withdrawn(ctx, registeredEvent(), storedPlace()) },
			toldItem{
				Kind: "trace", Text: "Taken back from the outbox, forwarded to user-events[3]@317", Severity: contracts.Information,
				Properties: event("withdrawn", "topic=user-events", "partition=3", "offset=317"),
			},
		},
		"drained": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Drained(ctx, registeredEvent(), storedPlace(), 61*time.Second+time.Millisecond/2)
			},
			toldItem{
				Kind: "trace", Text: "Drained to user-events[3]@317", Severity: contracts.Information,
				Properties: event("drained", "topic=user-events", "partition=3", "offset=317", "queuedMs=61000"),
			},
		},
		"not drained": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.NotDrained(ctx, registeredEvent(), failedWith(delivery.NotAuthorized))
			},
			toldItem{
				Kind: "trace", Text: "Not drained, the message stays in the outbox", Severity: contracts.Warning,
				Properties: event("undrained", "errorClass=not-authorized"),
			},
		},
		"not drained: not read": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.NotDrained(ctx, registration.Event{}, failedWith(delivery.Fatal))
			},
			toldItem{
				Kind: "trace", Text: "Not drained, the message stays in the outbox", Severity: contracts.Warning,
				Properties: map[string]string{"event": "undrained", "errorClass": "fatal"},
			},
		},
		"poisoned": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Poisoned(ctx, registeredEvent(), delivery.Poisoned{MessageID: "m-1", Reason: "Kafka rejects the record as invalid.", Class: delivery.Invalid})
			},
			toldItem{
				Kind: "trace", Text: "Moved to the poison queue", Severity: contracts.Error,
				Properties: event("poisoned", "errorClass=invalid", "messageId=m-1", "reason=Kafka rejects the record as invalid."),
			},
		},
		"poisoned: not read": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Poisoned(ctx, registration.Event{}, delivery.Poisoned{MessageID: "m-1", Reason: "It cannot be read.", Class: delivery.Invalid})
			},
			toldItem{
				Kind: "trace", Text: "Moved to the poison queue", Severity: contracts.Error,
				Properties: map[string]string{"event": "poisoned", "errorClass": "invalid", "messageId": "m-1", "reason": "It cannot be read."},
			},
		},
		"put": {
			func(ctx context.Context, t *insights.Telemetry) { t.Put(ctx, putEvent(nil)) },
			toldItem{
				Kind: "dependency", Text: "put userrelay-outbox", Properties: map[string]string{"userId": "auth0|1", "eventId": "e-1", "source": "urn:auth0:acme"},
				Dependency: toldDependency{
					Type: "Azure queue", Target: "userrelay-outbox", ID: "00f067aa0ba902b7",
					ResultCode: "0", Duration: "0.00:00:00.0300000", Success: true,
				},
			},
		},
		"put: failed": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Put(ctx, putEvent(errors.New("put the message: Timeout")))
			},
			toldItem{
				Kind: "dependency", Text: "put userrelay-outbox", Properties: map[string]string{"userId": "auth0|1", "eventId": "e-1", "source": "urn:auth0:acme"},
				Dependency: toldDependency{
					Type: "Azure queue", Target: "userrelay-outbox", ID: "00f067aa0ba902b7",
					ResultCode: "put the message: Timeout", Duration: "0.00:00:00.0300000",
				},
			},
		},
		"diverted": {
			func(ctx context.Context, t *insights.Telemetry) { t.Diverted(ctx) },
			toldItem{
				Kind: "trace", Text: "Kafka is away: registrations go straight to the outbox", Severity: contracts.Warning,
				Properties: map[string]string{"event": "diverted"},
			},
		},
		"resumed": {
			func(ctx context.Context, t *insights.Telemetry) { t.Resumed(ctx, 25700*time.Millisecond, 9) },
			toldItem{
				Kind: "trace", Text: "Kafka is back after 25.7s; 9 in the outbox", Severity: contracts.Information,
				Properties: map[string]string{"event": "resumed", "awayMs": "25700", "waiting": "9"},
			},
		},
		"resumed: not counted": {
			func(ctx context.Context, t *insights.Telemetry) { t.Resumed(ctx, time.Hour, -1) },
			toldItem{
				Kind: "trace", Text: "Kafka is back after 3600.0s", Severity: contracts.Information,
				Properties: map[string]string{"event": "resumed", "awayMs": "3600000"},
			},
		},
		"emptied": {
			func(ctx context.Context, t *insights.Telemetry) { t.Emptied(ctx) },
			toldItem{Kind: "trace", Text: "The outbox is empty", Severity: contracts.Information, Properties: map[string]string{"event": "emptied"}},
		},
		"unread": {
			func(ctx context.Context, t *insights.Telemetry) {
				t.Unread(ctx, errors.New("receive messages: NoConnection"))
				t.Unread(ctx, errors.New("receive messages: NoConnection")) // no flood
			},
			toldItem{
				Kind: "trace", Text: "The outbox cannot be reached: nothing is drained, and while Kafka is away registrations are refused",
				Severity: contracts.Warning, Properties: map[string]string{"event": "unread"},
			},
		},
		"unhealthy": {
			func(ctx context.Context, t *insights.Telemetry) { t.Unhealthy(ctx, failedWith(delivery.Unavailable)) },
			toldItem{
				Kind: "trace", Text: "Kafka is away: the health check says degraded", Severity: contracts.Warning,
				Properties: map[string]string{"event": "unhealthy", "errorClass": "unavailable"},
			},
		},
		"healthy": {
			func(ctx context.Context, t *insights.Telemetry) { t.Healthy(ctx) },
			toldItem{Kind: "trace", Text: "Kafka is back: the health check says ok", Severity: contracts.Information, Properties: map[string]string{"event": "healthy"}},
		},
		"panicked": {
			func(ctx context.Context, t *insights.Telemetry) { t.Panicked(ctx, private, []byte("stack")) },
			toldItem{Kind: "exception", Text: "string: string", Severity: contracts.Error, Properties: map[string]string{}},
		},
	}
	for _, class := range []delivery.Class{
		delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized,
		delivery.UnknownTopic, delivery.TopicRule, delivery.TooLarge, delivery.Invalid, delivery.Fatal,
	} {
		all["refused: "+string(class)] = promise{
			func(ctx context.Context, t *insights.Telemetry) { t.Refused(ctx, registeredEvent(), failedWith(class)) },
			toldItem{Kind: "trace", Text: "Not stored", Severity: contracts.Error, Properties: event("refused", "errorClass="+string(class))},
		}
		all["sent: "+string(class)] = promise{
			func(ctx context.Context, t *insights.Telemetry) { t.Sent(ctx, sentEvent(failedWith(class))) },
			toldItem{
				Kind: "dependency", Text: "send user-events",
				Properties: map[string]string{"userId": "auth0|1", "eventId": "e-1", "source": "urn:auth0:acme", "topic": "user-events", "errorClass": string(class)},
				Dependency: toldDependency{
					Type: "Queue Message | kafka", Target: "b-1.example.com/user-events", ID: "00f067aa0ba902b7",
					ResultCode: string(class), Duration: "0.00:00:00.0300000",
				},
			},
		}
	}
	return all
}

func telemetryOf(sink insights.Sink, log *slog.Logger, lines bool) *insights.Telemetry {
	return insights.New(insights.Config{Sink: sink, Encoder: insights.NewEncoder(testNode()), Log: log, Lines: lines, Broker: "b-1.example.com", Topic: "user-events", Queue: "userrelay-outbox"})
}

// Of many messages that stay in the outbox, one a second is reported.
func TestManyNotDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &itemSink{}
		telemetry := telemetryOf(sink, slog.New(slog.DiscardHandler), false)
		for range 50 {
			telemetry.NotDrained(t.Context(), registeredEvent(), failedWith(delivery.Unavailable))
			<-time.After(100 * time.Millisecond)
		}
		if n := len(sink.told(t)); n != 5 {
			t.Errorf("%d items in 5 s", n)
		}
	})
}

func TestItems(t *testing.T) {
	t.Parallel()
	for name, c := range promises() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &itemSink{}
			before := time.Now()
			c.call(invokedContext(t), telemetryOf(sink, slog.New(slog.DiscardHandler), false))

			want := c.want
			want.Properties = maps.Clone(want.Properties)
			want.Properties["InvocationId"] = "6b1a"
			want.Tags = map[string]string{
				contracts.OperationId:       "0af7651916cd43dd8448eb211c80319c",
				contracts.OperationParentId: "b7ad6b7169203331",
				contracts.OperationName:     "RegisterUser",
			}
			if diff := cmp.Diff([]toldItem{want}, sink.told(t)); diff != "" {
				t.Fatalf("items (-want +got):\n%s", diff)
			}
			envelope, _ := decode(t, sink.lines[0])
			at, err := time.Parse(time.RFC3339Nano, envelope.Time)
			if err != nil {
				t.Fatal(err)
			}
			if want.Kind == "dependency" {
				if start := sentEvent(nil).Start; !at.Equal(start) {
					t.Errorf("time %v, want the start, %v", at, start)
				}
			} else if at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) {
				t.Errorf("time %v, want the call's, %v", at, before)
			}
		})
	}
}

// Without an invocation and an incoming trace, items lack the unknown fields but still have an operation.
func TestItemsWithoutAnInvocation(t *testing.T) {
	t.Parallel()
	for name, c := range promises() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &itemSink{}
			c.call(t.Context(), telemetryOf(sink, slog.New(slog.DiscardHandler), false))
			got := sink.told(t)
			want := c.want
			if len(got) == 1 && len(got[0].Tags[contracts.OperationId]) == 32 {
				want.Tags = map[string]string{contracts.OperationId: got[0].Tags[contracts.OperationId]}
			}
			if diff := cmp.Diff([]toldItem{want}, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

// No item holds more of a registration than its user id, or any text of a broker.
func TestItemsAndLinesHoldNothingPrivate(t *testing.T) {
	t.Parallel()
	for name, c := range promises() {
		var lines bytes.Buffer
		sink := &itemSink{}
		c.call(invokedContext(t), telemetryOf(sink, slog.New(slog.NewTextHandler(&lines, nil)), true))
		if text := fmt.Sprintf("%+v", sink.told(t)); strings.Contains(text, private) {
			t.Errorf("%s: the item holds it: %s", name, text)
		}
		if strings.Contains(lines.String(), private) {
			t.Errorf("%s: the line holds it: %s", name, &lines)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	const (
		always = iota // whatever Lines says
		wanted
		never
	)
	cases := map[string]struct {
		when int
		want string
	}{
		"received": {wanted, `level=INFO msg="Received ID of the newly registered user: auth0|1" eventId=e-1 InvocationId=6b1a`},
		"received: an id that could be taken for more": {wanted, `level=INFO msg="Received ID of the newly registered user: \"auth0|1\\n\\u202e2\"" eventId=e-1 InvocationId=6b1a`},
		"tenant left out":         {wanted, `level=WARN msg="The tenant that the request names cannot be one: left out" eventId=e-1 InvocationId=6b1a`},
		"forwarded":               {wanted, `level=INFO msg="Forwarded to user-events[3]@317" eventId=e-1 InvocationId=6b1a`},
		"refused: throttled":      {wanted, `level=ERROR msg="Not stored" eventId=e-1 errorClass=throttled InvocationId=6b1a`},
		"sent":                    {never, ``},
		"sent: throttled":         {never, ``},
		"unhealthy":               {always, `level=WARN msg="Kafka is away: the health check says degraded" errorClass=unavailable InvocationId=6b1a doing="deliver: produce: unavailable"`},
		"not drained":             {always, `level=WARN msg="Not drained, the message stays in the outbox" eventId=e-1 errorClass=not-authorized InvocationId=6b1a doing="deliver: produce: not-authorized"`},
		"poisoned":                {always, `level=ERROR msg="Moved to the poison queue" eventId=e-1 errorClass=invalid messageId=m-1 reason="Kafka rejects the record as invalid." InvocationId=6b1a`},
		"unread":                  {always, `level=WARN msg="The outbox cannot be reached: nothing is drained, and while Kafka is away registrations are refused" InvocationId=6b1a doing="receive messages: NoConnection" todo="Start the emulator."`},
		"resumed":                 {always, `level=INFO msg="Kafka is back after 25.7s; 9 in the outbox" InvocationId=6b1a`},
		"emptied":                 {always, `level=INFO msg="The outbox is empty" InvocationId=6b1a`},
		"healthy":                 {always, `level=INFO msg="Kafka is back: the health check says ok" InvocationId=6b1a`},
		"panicked":                {always, `level=ERROR msg="Panic while answering a request" value=string stack=stack`},
		"refused: not-authorized": {wanted, `level=ERROR msg="Not stored" eventId=e-1 errorClass=not-authorized InvocationId=6b1a`},
	}
	for name, c := range cases {
		for _, lines := range []bool{true, false} {
			for _, sink := range []*itemSink{nil, {}} {
				var out bytes.Buffer
				log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				}}))
				config := insights.Config{
					Log: log, Lines: lines, Broker: "b-1.example.com", Topic: "user-events",
					Advice: func(error) string { return "Start the emulator." },
				}
				if sink != nil {
					config.Sink, config.Encoder = sink, insights.NewEncoder(testNode())
				}
				promises()[name].call(invokedContext(t), insights.New(config))
				want := ""
				if c.when == always || c.when == wanted && lines {
					want = c.want + "\n"
				}
				if got := out.String(); got != want {
					t.Errorf("%s, lines %t, items %t: %q, want %q", name, lines, sink != nil, got, want)
				}
			}
		}
	}
}
