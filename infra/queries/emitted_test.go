package queries_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
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
	"userrelay/test/must"
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
		"Refused":       ofEach(func(ctx context.Context, t *insights.Telemetry, err error) { t.Refused(ctx, event, err) }),
		"Outboxed":      ofEach(func(ctx context.Context, t *insights.Telemetry, err error) { t.Outboxed(ctx, event, err) }),
		"Sent": func(ctx context.Context, t *insights.Telemetry) {
			t.Sent(ctx, delivery.SendAttempt{Event: event, Metadata: place})
			ofEach(func(ctx context.Context, t *insights.Telemetry, err error) {
				t.Sent(ctx, delivery.SendAttempt{Event: event, Err: err})
			})(ctx, t)
		},
		"Put": func(ctx context.Context, t *insights.Telemetry) {
			t.Put(ctx, delivery.PutAttempt{Event: event})
			t.Put(ctx, delivery.PutAttempt{Event: event, Err: errors.New("put the message: Timeout")})
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

// ofEach calls a function with an error of each class.
func ofEach(call func(ctx context.Context, t *insights.Telemetry, err error)) func(context.Context, *insights.Telemetry) {
	return func(ctx context.Context, t *insights.Telemetry) {
		for _, err := range failures() {
			call(ctx, t, err)
		}
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
		p := must.Get[*portal.Portal](t)(portal.Start(t.Context(), portal.Config{}))
		defer p.Close()
		at := endpoint{p.Handler()}
		connection := must.Get[ingest.Connection](t)(ingest.ParseConnection("InstrumentationKey=00000000-0000-0000-0000-000000000000"))
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

// ofHost returns the items of the Functions host that queries ask for. The host is not ours to run here, so what it sends is
// listed: a request for each call, by the function's name, and a trace when it moves a message to the poison queue, whose
// text names the queue (azure-functions-host, LogConstants.InvocationIdKey; azure-sdk-for-net, QueueProcessor). Its traces of
// each call and its calls to the handler are not among them: host.json keeps them out.
func ofHost() []item {
	return []item{
		{[]string{"RegisterUser"}, []string{"InvocationId"}},
		{[]string{"userrelay-outbox-poison"}, nil},
		{[]string{"Health"}, []string{"InvocationId"}},
		// The workspace's own, of its cap (Microsoft, "Set daily cap on Log Analytics workspace").
		{[]string{"Ingestion", "OverQuota"}, nil},
	}
}

// host.json keeps the rows of the host that queries ask for, all of them, and the queries do without the rest.
func TestHostKeepsWhatQueriesAskFor(t *testing.T) {
	t.Parallel()
	var host struct {
		Logging struct {
			Levels   map[string]string `json:"logLevel"`
			Insights struct {
				Dependencies bool `json:"enableDependencyTracking"`
				Sampling     struct {
					Enabled bool `json:"isEnabled"`
				} `json:"samplingSettings"`
			} `json:"applicationInsights"`
		} `json:"logging"`
	}
	if err := json.Unmarshal(must.Get[[]byte](t)(os.ReadFile("../../host.json")), &host); err != nil {
		t.Fatal(err)
	}
	if level := host.Logging.Levels["Host.Results"]; level != "Information" {
		t.Errorf("requests are kept at Information, and Host.Results is %q", level)
	}
	if level := host.Logging.Levels["default"]; level != "Warning" && level != "Information" {
		t.Errorf("the host tells of poison as a warning, and the default is %q", level)
	}
	if host.Logging.Insights.Sampling.Enabled {
		t.Error("the host samples: what is sampled away cannot be found")
	}
	for file, query := range queries(t) {
		if host.Logging.Levels["Function"] != "Information" && (strings.Contains(query, "Executed '") || strings.Contains(query, "Executing '")) {
			t.Errorf("%s asks for traces that host.json keeps out", file)
		}
		if !host.Logging.Insights.Dependencies && strings.Contains(query, "127.0.0.1") {
			t.Errorf("%s asks for the host's calls, which host.json keeps out", file)
		}
	}
}
