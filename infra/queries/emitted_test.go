package queries_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
	"userrelay/local/portal"
)

// item is one that is sent: what queries may ask for.
type item struct {
	texts []string // its "event" and "errorClass", its message or name, its type
	keys  []string // of its customDimensions
}

// calls has one for each thing that telemetry can be told.
func calls() map[string]func(context.Context, *insights.Telemetry) {
	event := registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:auth0:acme"}
	place := delivery.RecordMetadata{Topic: "user-events", Partition: 3, Offset: 317}
	return map[string]func(context.Context, *insights.Telemetry){
		"Received":      func(ctx context.Context, t *insights.Telemetry) { t.Received(ctx, event) },
		"TenantLeftOut": func(ctx context.Context, t *insights.Telemetry) { t.TenantLeftOut(ctx, event) },
		"Forwarded":     func(ctx context.Context, t *insights.Telemetry) { t.Forwarded(ctx, event, place) },
		"Refused": func(ctx context.Context, t *insights.Telemetry) {
			for _, err := range failures() {
				t.Refused(ctx, event, err)
			}
		},
		"Sent": func(ctx context.Context, t *insights.Telemetry) {
			t.Sent(ctx, delivery.SendAttempt{Event: event, Metadata: place})
			for _, err := range failures() {
				t.Sent(ctx, delivery.SendAttempt{Event: event, Err: err})
			}
		},
		"Put": func(ctx context.Context, t *insights.Telemetry) {
			t.Put(ctx, delivery.PutAttempt{Event: event})
			t.Put(ctx, delivery.PutAttempt{Event: event, Err: errors.New("put the message: Timeout")})
		},
		"Outboxed": func(ctx context.Context, t *insights.Telemetry) {
			for _, err := range failures() {
				t.Outboxed(ctx, event, err)
			}
		},
		"Withdrawn":  func(ctx context.Context, t *insights.Telemetry) { t.Withdrawn(ctx, event, place) },
		"Drained":    func(ctx context.Context, t *insights.Telemetry) { t.Drained(ctx, event, place, time.Minute) },
		"NotDrained": func(ctx context.Context, t *insights.Telemetry) { t.NotDrained(ctx, event, failures()[0]) },
		"Poisoned": func(ctx context.Context, t *insights.Telemetry) {
			t.Poisoned(ctx, event, delivery.Poisoned{MessageID: "m-1", Reason: "It cannot be read.", Class: delivery.Invalid})
		},
		"Diverted": func(ctx context.Context, t *insights.Telemetry) { t.Diverted(ctx) },
		"Resumed":  func(ctx context.Context, t *insights.Telemetry) { t.Resumed(ctx, 25700*time.Millisecond, 9) },
		"Emptied":  func(ctx context.Context, t *insights.Telemetry) { t.Emptied(ctx) },
		"Unread":   func(ctx context.Context, t *insights.Telemetry) { t.Unread(ctx, failures()[0]) },
		"Read": func(ctx context.Context, t *insights.Telemetry) {
			t.Unread(ctx, failures()[0])
			t.Read(ctx)
		},
		"Panicked":  func(ctx context.Context, t *insights.Telemetry) { t.Panicked(ctx, "fault", nil) },
		"Unhealthy": func(ctx context.Context, t *insights.Telemetry) { t.Unhealthy(ctx, errors.New("away")) },
		"Healthy":   func(ctx context.Context, t *insights.Telemetry) { t.Healthy(ctx) },
	}
}

// failures returns an error of each class.
func failures() (all []error) {
	for _, class := range []delivery.Class{
		delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized, delivery.UnknownTopic,
		delivery.TopicRule, delivery.TooLarge, delivery.Invalid, delivery.Fatal,
	} {
		all = append(all, &delivery.Error{Class: class, Op: "produce"})
	}
	return all
}

// endpoint takes what the sender sends.
type endpoint struct{ http.Handler }

// RoundTrip answers as Application Insights does.
func (e endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.Host = "localhost" // the stand-in answers to no other name
	e.ServeHTTP(w, r)
	return w.Result(), nil
}

// emitted returns what the handler sends: it has telemetry told everything, and reads what arrives.
func emitted(t *testing.T) (all []item) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // telemetry-stats comes after a minute
		p, err := portal.Start(t.Context(), portal.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		at := endpoint{p.Handler()}
		connection, err := ingest.ParseConnection("InstrumentationKey=00000000-0000-0000-0000-000000000000")
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		encoder := insights.NewEncoder(insights.Node{Key: connection.InstrumentationKey})
		sender := ingest.New(ingest.Config{Connection: connection, Log: log, Transport: at, Report: encoder.Stats})
		sender.Track(make([]byte, 1<<20)) // which is lost
		telemetry := insights.New(insights.Config{Sink: sender, Encoder: encoder, Log: log, Broker: "broker", Topic: "user-events", Queue: "userrelay-outbox"})
		ctx := trace.NewContext(t.Context(), trace.Operation{InvocationID: "i-1", TraceID: "0af7651916cd43dd8448eb211c80319c"})
		for _, call := range calls() {
			call(ctx, telemetry)
		}
		<-time.After(2 * time.Minute)
		sender.Close(time.Second)

		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/items", nil)
		at.ServeHTTP(w, r)
		var items []portal.Item
		if err := json.Unmarshal(w.Body.Bytes(), &items); err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			p := i.Properties
			all = append(all, item{[]string{p["event"], p["errorClass"], i.Message, i.Type}, slices.Collect(maps.Keys(p))})
		}
	})
	return all
}

func TestAllOfTelemetryIsLookedAt(t *testing.T) {
	t.Parallel()
	made := calls()
	for method := range reflect.TypeFor[*insights.Telemetry]().Methods() {
		if made[method.Name] == nil {
			t.Errorf("calls has none of Telemetry.%s: what it sends is not known here", method.Name)
		}
	}
}
