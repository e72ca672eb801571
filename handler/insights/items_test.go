package insights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
	"userrelay/test/must"
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

func failedWith(class delivery.Class) error {
	return fmt.Errorf("deliver: %w", &delivery.Error{Class: class, Op: "produce", Err: errors.New(private)})
}

// promise is a call of Telemetry. The item that it makes is in the golden file: the contract with queries, alerts and
// people.
type promise func(ctx context.Context, t *insights.Telemetry)

func promises() map[string]promise {
	e, none, md := registeredEvent(), registration.Event{}, storedPlace()
	odd, throttled := e, sentEvent(nil)
	odd.UserID, throttled.Metadata.Throttled = "auth0|1\n\u202e2", 1500*time.Millisecond
	put := delivery.PutAttempt{Event: e, Span: throttled.Span, Start: throttled.Start, Duration: throttled.Duration}
	failed := put
	failed.Err = errors.New("put the message: Timeout")
	no := errors.New("receive messages: NoConnection")
	reason := delivery.Poisoned{MessageID: "m-1", Reason: "Kafka rejects the record as invalid.", Class: delivery.Invalid}
	unreadable := delivery.Poisoned{MessageID: "m-1", Reason: "It cannot be read.", Class: delivery.Invalid}
	queued, refused := 61*time.Second+time.Millisecond/2, failedWith(delivery.NotAuthorized)
	all := map[string]promise{
		"received": func(ctx context.Context, t *insights.Telemetry) { t.Received(ctx, e) },
		// In the property, by which it is found, it is as it is.
		"received: an id that could be taken for more": func(ctx context.Context, t *insights.Telemetry) { t.Received(ctx, odd) },

		"tenant left out":                    func(ctx context.Context, t *insights.Telemetry) { t.TenantLeftOut(ctx, e) },
		"forwarded":                          func(ctx context.Context, t *insights.Telemetry) { t.Forwarded(ctx, e, md) },
		"sent":                               func(ctx context.Context, t *insights.Telemetry) { t.Sent(ctx, sentEvent(nil)) },
		"sent, throttled for its successors": func(ctx context.Context, t *insights.Telemetry) { t.Sent(ctx, throttled) },

		"outboxed":              func(ctx context.Context, t *insights.Telemetry) { t.Outboxed(ctx, e, failedWith(delivery.Throttled)) },
		"withdrawn":             func(ctx context.Context, t *insights.Telemetry) { t.Withdrawn(ctx, e, md) },
		"drained":               func(ctx context.Context, t *insights.Telemetry) { t.Drained(ctx, e, md, queued) },
		"not drained":           func(ctx context.Context, t *insights.Telemetry) { t.NotDrained(ctx, e, refused) },
		"not drained: not read": func(ctx context.Context, t *insights.Telemetry) { t.NotDrained(ctx, none, failedWith(delivery.Fatal)) },
		"poisoned":              func(ctx context.Context, t *insights.Telemetry) { t.Poisoned(ctx, e, reason) },
		"poisoned: not read":    func(ctx context.Context, t *insights.Telemetry) { t.Poisoned(ctx, none, unreadable) },
		"put":                   func(ctx context.Context, t *insights.Telemetry) { t.Put(ctx, put) },
		"put: failed":           func(ctx context.Context, t *insights.Telemetry) { t.Put(ctx, failed) },
		"diverted":              func(ctx context.Context, t *insights.Telemetry) { t.Diverted(ctx) },
		"resumed":               func(ctx context.Context, t *insights.Telemetry) { t.Resumed(ctx, 25700*time.Millisecond, 9) },
		"resumed: not counted":  func(ctx context.Context, t *insights.Telemetry) { t.Resumed(ctx, time.Hour, -1) },
		"emptied":               func(ctx context.Context, t *insights.Telemetry) { t.Emptied(ctx) },
		"unread": func(ctx context.Context, t *insights.Telemetry) {
			t.Unread(ctx, no)
			t.Unread(ctx, no) // no flood
		},
		"read": func(ctx context.Context, t *insights.Telemetry) {
			t.Read(ctx) // as before
			t.Unread(ctx, no)
			t.Read(ctx)
			t.Read(ctx)
		},
		"unhealthy": func(ctx context.Context, t *insights.Telemetry) { t.Unhealthy(ctx, failedWith(delivery.Unavailable)) },
		"healthy":   func(ctx context.Context, t *insights.Telemetry) { t.Healthy(ctx) },
		"panicked":  func(ctx context.Context, t *insights.Telemetry) { t.Panicked(ctx, private, []byte("stack")) },
	}
	for _, class := range []delivery.Class{
		delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized,
		delivery.UnknownTopic, delivery.TopicRule, delivery.TooLarge, delivery.Invalid, delivery.Fatal,
	} {
		all["refused: "+string(class)] = func(ctx context.Context, t *insights.Telemetry) { t.Refused(ctx, e, failedWith(class)) }
		all["sent: "+string(class)] = func(ctx context.Context, t *insights.Telemetry) { t.Sent(ctx, sentEvent(failedWith(class))) }
	}
	return all
}

func telemetryOf(sink insights.Sink) *insights.Telemetry { return insights.New(configOf(sink)) }

// configOf is a configuration with a console that discards. A sink of nil is none.
func configOf(sink insights.Sink) insights.Config {
	c := insights.Config{
		Log: slog.New(slog.DiscardHandler), Broker: "b-1.example.com", Topic: "user-events", Queue: "userrelay-outbox",
		Advice: func(error) string { return "Start the emulator." },
	}
	if sink != nil {
		c.Sink, c.Encoder = sink, insights.NewEncoder(testNode())
	}
	return c
}

// Of many messages that stay in the outbox, one a second is reported.
func TestManyNotDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &itemSink{}
		telemetry := telemetryOf(sink)
		for range 50 {
			telemetry.NotDrained(t.Context(), registeredEvent(), failedWith(delivery.Unavailable))
			<-time.After(100 * time.Millisecond)
		}
		if n := len(sink.told(t)); n != 5 {
			t.Errorf("%d items in 5 s", n)
		}
	})
}

type secretive struct{ text string }

func (s secretive) String() string   { return s.text }
func (s secretive) GoString() string { return s.text }

// A panic's value may hold any data. Its type is reported, and its text only for runtime errors, which hold no data.
func TestPanicValues(t *testing.T) {
	t.Parallel()
	var (
		none    []string
		nothing map[string]int
	)
	for want, explode := range map[string]func(){ // want is in the item and in the line
		"string":                   func() { panic(private) },
		"*errors.errorString":      func() { panic(errors.New(private)) },
		"insights_test.secretive":  func() { panic(secretive{private}) },
		"*insights_test.secretive": func() { panic(&secretive{private}) },
		"*fmt.wrapError":           func() { panic(failedWith(delivery.Fatal)) },
		"runtime error: index out of range [20] with length 0": func() { panic(none[len(private)]) },
		"assignment to entry in nil map":                       func() { nothing[private] = 1 },
		"interface conversion: insights_test.secretive is not error: missing method Error": func() {
			panic(any(secretive{private}).(error)) //nolint:errcheck // this is the fault
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			var line bytes.Buffer
			sink := &itemSink{}
			config := configOf(sink)
			config.Log = slog.New(slog.NewTextHandler(&line, nil))
			telemetry := insights.New(config)
			func() {
				defer func() {
					telemetry.Panicked(invokedContext(t), recover(), []byte("goroutine 1 [running]:\nmain.main()"))
				}()
				explode()
			}()
			got := sink.told(t)
			if len(got) != 1 || got[0].Kind != "exception" || got[0].Severity != contracts.Error || !strings.Contains(got[0].Text, want) ||
				got[0].Properties["InvocationId"] != "6b1a" {
				t.Errorf("items %+v, want one exception with %q", got, want)
			}
			if !strings.Contains(line.String(), want) || !strings.Contains(line.String(), `stack="goroutine 1 [running]:\nmain.main()"`) {
				t.Errorf("line %s, want %q and the stack in it", &line, want)
			}
			if text := sink.lines[0] + line.String(); strings.Contains(text, private) {
				t.Errorf("the value is told: %s", text)
			}
			_, data := decode(t, sink.lines[0])
			exception, ok := data.(*contracts.ExceptionData)
			if !ok || !exception.Exceptions[0].HasFullStack || !slices.ContainsFunc(exception.Exceptions[0].ParsedStack,
				func(f *contracts.StackFrame) bool { return strings.Contains(f.Method, "TestPanicValues") }) {
				t.Error("the item's stack does not lead to the panic")
			}
		})
	}
}

// TestTelemetryPage compares the table in docs/telemetry.md with the items: wording, events, properties and error classes.
func TestTelemetryPage(t *testing.T) {
	t.Parallel()
	page := string(must.Get[[]byte](t)(os.ReadFile("../../docs/telemetry.md")))
	table, _, _ := strings.Cut(page, "\n\nThe property")
	written := regexp.MustCompile(`^(.*?)(?:user-events|"?auth0\||\d|$)`) // the part that is the same for all registrations
	told, sink := map[string]bool{"telemetry-stats": true}, &itemSink{}
	for _, call := range promises() {
		call(t.Context(), telemetryOf(sink))
	}
	rows := strings.Split(table, "\n")
	for _, item := range sink.told(t) {
		if item.Kind == "exception" {
			continue
		}
		at := slices.IndexFunc(rows, func(row string) bool {
			return strings.Contains(row, "`"+written.FindStringSubmatch(item.Text)[1])
		})
		if at < 0 {
			t.Errorf("the page does not have %q", item.Text)
			continue
		}
		for key, value := range item.Properties {
			if key == "event" {
				told[value] = true
				key += "=" + value
			}
			if !strings.Contains(rows[at], "`"+key+"`") {
				t.Errorf("the page does not have `%s` in\n%s", key, rows[at])
			}
			if key == "errorClass" && !strings.Contains(page, "`"+value+"`") {
				t.Errorf("the page does not have the class %s", value)
			}
		}
	}
	for _, m := range regexp.MustCompile("`event=([^`]+)`").FindAllStringSubmatch(table, -1) {
		if !told[m[1]] {
			t.Errorf("the page has the event %s, which no item has", m[1])
		}
	}
}

// Each method of Telemetry has an item in promises, and so in the golden file and on the page.
func TestEveryItemIsPromised(t *testing.T) {
	t.Parallel()
	promised := map[string]bool{}
	for name := range promises() {
		name, _, _ = strings.Cut(strings.ReplaceAll(name, ",", ":"), ":")
		promised[strings.ReplaceAll(name, " ", "")] = true
	}
	for method := range reflect.TypeFor[*insights.Telemetry]().Methods() {
		if !promised[strings.ToLower(method.Name)] {
			t.Errorf("promises has none of Telemetry.%s", method.Name)
		}
	}
}
