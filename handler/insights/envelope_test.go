package insights_test

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/trace"
)

var update = flag.Bool("update", false, "write the golden file anew") //nolint:gochecknoglobals // as go test's own flags

// bothSinks hands items to two sinks.
type bothSinks [2]insights.Sink

func (b bothSinks) Track(item appinsights.Telemetry) {
	b[0].Track(item)
	b[1].Track(item)
}

// wire returns the items that do makes, and as what they went over the wire. It must be called in a bubble.
func wire(t *testing.T, do func(s insights.Sink)) (items []appinsights.Telemetry, lines []string, stats insights.Stats) {
	t.Helper()
	e := &endpoint{}
	s := newSender(t, insights.SenderConfig{Transport: e})
	sink := &itemSink{}
	do(bothSinks{sink, s})
	s.Close(time.Second)
	for _, p := range e.requests() {
		lines = append(lines, p.lines...)
	}
	return sink.items, lines, s.Stats()
}

// bySDK is the item in an envelope as the SDK's types make JSON of it.
func bySDK(t *testing.T, item appinsights.Telemetry) string {
	t.Helper()
	data := item.TelemetryData()
	data.Sanitize()
	envelope := contracts.NewEnvelope()
	envelope.Name = data.EnvelopeName(strings.ReplaceAll(testKey, "-", ""))
	envelope.Time = item.Time().UTC().Format("2006-01-02T15:04:05.000000Z")
	envelope.IKey = testKey
	envelope.Tags = map[string]string{
		contracts.CloudRole: "fn-user-events", contracts.CloudRoleInstance: "instance-1",
		contracts.ApplicationVersion: "1.2.3", contracts.InternalSdkVersion: "userrelay:1.2.3",
	}
	maps.Copy(envelope.Tags, item.ContextTags())
	envelope.Data = &contracts.Data{Base: contracts.Base{BaseType: data.BaseType()}, BaseData: data}
	text, err := json.Marshal(envelope, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sameJSON compares texts by what they say: members have no order.
func sameJSON(t *testing.T, want, got string) {
	t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("(-SDK +sent):\n%s", diff)
	}
}

// everyItem is each item that the program makes, by name.
func everyItem(t *testing.T) map[string]func(s insights.Sink) {
	t.Helper()
	op := trace.Operation{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", Flags: "01", InvocationID: "6b1a", Name: "RegisterUser"}
	ctx := trace.NewContext(t.Context(), op)
	all := map[string]func(insights.Sink){
		"a log line": func(s insights.Sink) {
			log := slog.New(insights.WithItems(slog.DiscardHandler, s))
			log.WarnContext(ctx, "Kafka cannot be used", "error", failedWith(delivery.Throttled), "user", private)
		},
		"an exception with its stack": func(s insights.Sink) {
			item := appinsights.NewExceptionTelemetry(io.ErrUnexpectedEOF)
			item.Frames = []*contracts.StackFrame{
				{Level: 0, Method: "(*Relay).Deliver", Assembly: "userrelay/handler/relay", FileName: "handler/relay/relay.go", Line: 42},
				{Level: 1, Method: "main", Assembly: "main", FileName: "handler/main.go", Line: 7},
			}
			item.Measurements = map[string]float64{"seconds": 0.25, "bytes": 1e21, "tiny": 1e-9}
			item.Properties["key"] = "a <b> & \"c\" \\ é 日本 😀 \t\n\x00\x7f\u2028"
			s.Track(item)
		},
	}
	for name, c := range promises() {
		all[name] = func(s insights.Sink) { c.call(ctx, telemetryOf(s, slog.New(slog.DiscardHandler), false)) }
	}
	return all
}

// What is logged twice under one name is one property: an item with two of a name is no JSON to some who read it.
func TestNoPropertyStandsTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, lines, _ := wire(t, func(s insights.Sink) {
			ctx := invokedContext(t)
			log := slog.New(insights.WithItems(slog.DiscardHandler, s)).With("code", 1, "event", "x")
			log.WarnContext(ctx, "m", "code", 2, "error", io.EOF, "errorClass", "fatal", "InvocationId", "another", "event", "y")
		})
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		var item any
		if err := json.Unmarshal([]byte(lines[0]), &item); err != nil { // which refuses two members of a name
			t.Errorf("%v: %s", err, lines[0])
		}
		if !strings.Contains(lines[0], `"code":"2"`) || !strings.Contains(lines[0], `"InvocationId":"6b1a"`) {
			t.Errorf("item %s", lines[0])
		}
	})
}

// TestEnvelopes holds every item, as it goes over the wire, against the golden file, and against what the SDK's types
// make of it.
func TestEnvelopes(t *testing.T) {
	frames := regexp.MustCompile(`"parsedStack":\[\{"level":0,.*?\}\]`)
	var got strings.Builder
	items := everyItem(t)
	for _, name := range slices.Sorted(maps.Keys(items)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made, lines, _ := wire(t, items[name])
				if len(made) != 1 || len(lines) != 1 {
					t.Fatalf("%d items, %d lines", len(made), len(lines))
				}
				sameJSON(t, bySDK(t, made[0]), lines[0])
				line := lines[0]
				if name == "panicked" { // the lines of the program change
					line = frames.ReplaceAllString(line, `"parsedStack":[]`)
				}
				fmt.Fprintf(&got, "# %s\n%s\n", name, line)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		s := newSender(t, insights.SenderConfig{Transport: e})
		trackTrace(s, "m")
		<-time.After(62 * time.Second)
		fmt.Fprintf(&got, "# telemetry-stats\n%s\n", e.requests()[1].lines[0])
	})

	golden := filepath.Join("testdata", "envelopes.jsonl")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("items changed; if that is meant, run the test with -update (-want +got):\n%s", diff)
	}
}
